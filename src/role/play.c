#include "role/play.h"
#include "role/collect.h"
#include "role/role.h"

#include "base/clock.h"
#include "base/err.h"

/* A bus that hands every record of topic bars on and keeps nothing. */
struct sink {
    tc_play_fn fn;
    void *ctx;
    int64_t next; /* offset */
    int answer;   /* first answer of fn that is not 0 */
};

static int sink_publish(void *self, enum tc_topic topic, const struct tc_record *records, size_t n)
{
    struct sink *s = self;
    for (size_t i = 0; i < n && topic == TC_TOPIC_BARS; i++, s->next++)
        if (!s->answer && records[i].type != TC_REC_CHECKPOINT)
            s->answer = s->fn(s->ctx, &records[i], s->next);
    return s->answer < 0 ? s->answer : TC_OK;
}

static int sink_sync(void *self)
{
    (void)self;
    return TC_OK;
}

static void sink_stat(void *self, enum tc_topic topic, struct tc_bus_stat *out)
{
    const struct sink *s = self;
    int64_t end = topic == TC_TOPIC_BARS ? s->next : 0;
    *out = (struct tc_bus_stat){.first = end, .end = end, .synced = end};
}

static int sink_truncate(void *self, enum tc_topic topic, int64_t end)
{
    struct tc_bus_stat now;
    sink_stat(self, topic, &now);
    return end == now.end ? TC_OK : tc_fail(TC_EINTERNAL, "a sink keeps nothing that could be cut");
}

static int sink_open_reader(void *self, enum tc_topic topic, int64_t offset, int flags,
                            struct tc_bus_reader **out)
{
    (void)topic;
    (void)offset;
    (void)flags;
    *out = self;
    return TC_OK;
}

static int sink_read(struct tc_bus_reader *r, struct tc_record *out, int64_t *out_offset)
{
    (void)r;
    (void)out;
    (void)out_offset;
    return TC_AGAIN;
}

static void sink_close_reader(struct tc_bus_reader *r)
{
    (void)r;
}

static void sink_commit(void *self, const char *group, enum tc_topic topic, int64_t position)
{
    (void)self;
    (void)group;
    (void)topic;
    (void)position;
}

static void sink_wait(void *self, uint64_t *seen, int64_t timeout_ns)
{
    (void)self;
    (void)seen;
    (void)timeout_ns;
}

static void sink_nothing(void *self)
{
    (void)self;
}

static const struct tc_bus_ops sink_ops = {
    .name = "sink",
    .publish = sink_publish,
    .sync = sink_sync,
    .stat = sink_stat,
    .truncate = sink_truncate,
    .open_reader = sink_open_reader,
    .read = sink_read,
    .close_reader = sink_close_reader,
    .commit = sink_commit,
    .wait = sink_wait,
    .wake = sink_nothing,
    .close = sink_nothing,
};

static int play_on(const struct tc_role *role, const struct sink *s)
{
    while (!s->answer && !role->ops->ended(role->self)) {
        int done = role->ops->work(role->self);
        if (done < 0)
            return s->answer ? s->answer : done;
        if (done == 0 && role->ops->wait_ns) {
            int64_t wait = role->ops->wait_ns(role->self);
            if (wait > 0)
                tc_sleep_until_mono(tc_mono_ns() + wait);
        }
    }
    return s->answer;
}

int tc_play(struct tc_feed *feed, const struct tc_calendar *calendar, int64_t replay_delay_ns, tc_play_fn fn,
            void *ctx)
{
    struct sink s = {.fn = fn, .ctx = ctx};
    struct tc_bus bus = {&sink_ops, &s};
    const struct tc_collect_conf conf = {.feed = feed,
                                         .bus = &bus,
                                         .calendar = calendar,
                                         .replay_delay_ns = replay_delay_ns,
                                         .snapshot_position = -1};
    struct tc_role role = {0};
    int rc = tc_collect_open(&conf, &role);
    if (rc)
        return rc;
    rc = play_on(&role, &s);
    role.ops->close(role.self);
    return rc;
}
