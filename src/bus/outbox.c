#include "bus/outbox.h"
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    GROUP_SIZE = 24,
    LOOK_BACK = 4096,
    BLOB_KEEP = 1 << 20, /* a larger state's copy is given back once it is published */
};

struct tc_outbox {
    struct tc_outbox_conf conf;
    char group[GROUP_SIZE]; /* under which the output's last checkpoint is kept from retention */
    struct tc_checkpoint checkpoint;
    bool has_checkpoint, finished;
    struct tc_buf found_blob;  /* of the checkpoint found at open */
    struct tc_bus_reader *old; /* stands at the next record to be swallowed; NULL when all are */
    int64_t old_at;            /* offset of the first of them */
    int64_t to_swallow, swallowed;

    struct tc_record *batch;
    size_t n;
    struct tc_buf blob;   /* of the checkpoint in the batch, always its last record */
    int64_t commit_at;    /* offset of a checkpoint that frees its input once it is synced; -1 = none */
    int64_t commit_input; /* input position it holds */
};

/* What one look at the end of the output topic found. */
struct look {
    int64_t start, end; /* [start, end) was read; end is where orphans begin */
    int64_t behind;     /* records behind the checkpoint, or behind start without one */
    int64_t checkpoint_at;
    bool orphans, ends;
};

static int64_t input_end(const struct tc_outbox *o)
{
    struct tc_bus_stat s;
    if (o->conf.input < 0)
        return INT64_MAX;
    o->conf.bus->ops->stat(o->conf.bus->self, (enum tc_topic)o->conf.input, &s);
    return s.end;
}

static int keep_checkpoint(struct tc_outbox *o, const struct tc_checkpoint *c)
{
    tc_buf_clear(&o->found_blob);
    tc_buf_put(&o->found_blob, c->blob, c->blob_len);
    if (o->found_blob.overflow)
        return tc_fail(TC_ENOMEM, "no memory for a checkpoint of %u bytes", c->blob_len);
    o->checkpoint = *c;
    o->checkpoint.blob = (const uint8_t *)o->found_blob.data;
    o->has_checkpoint = true;
    return TC_OK;
}

static bool is_mine(const struct tc_outbox *o, const struct tc_record *r)
{
    return r->type == TC_REC_CHECKPOINT && !strcmp(r->checkpoint.role, o->conf.role);
}

static int look_from(struct tc_outbox *o, int64_t start, int64_t inputs, struct look *out)
{
    const struct tc_bus_ops *ops = o->conf.bus->ops;
    struct tc_bus_reader *reader;
    struct tc_record r;
    int64_t at;
    *out = (struct look){.start = start, .end = start, .checkpoint_at = -1};
    o->has_checkpoint = false;
    int rc = ops->open_reader(o->conf.bus->self, o->conf.topic, start, 0, &reader);
    if (rc)
        return rc;
    while ((rc = ops->read(reader, &r, &at)) == TC_OK) {
        bool mine = is_mine(o, &r);
        out->orphans = r.from >= inputs || (mine && o->conf.input >= 0 && r.checkpoint.position > inputs);
        if (out->orphans)
            break;
        if (mine && (rc = keep_checkpoint(o, &r.checkpoint)) != TC_OK)
            break;
        out->behind = mine ? 0 : out->behind + 1;
        out->checkpoint_at = mine ? at : out->checkpoint_at;
        out->ends = r.type == TC_REC_END;
        out->end = at + 1;
    }
    ops->close_reader(reader);
    return rc == TC_AGAIN ? TC_OK : rc;
}

/* Looks at ever longer pieces of the topic's end until one holds a checkpoint that is no orphan. */
static int find_checkpoint(struct tc_outbox *o, struct look *l)
{
    struct tc_bus_stat s;
    o->conf.bus->ops->stat(o->conf.bus->self, o->conf.topic, &s);
    int64_t inputs = input_end(o), start = o->conf.snapshot_position, back = LOOK_BACK;
    if (start < s.first || start >= s.end)
        start = s.end - back > s.first ? s.end - back : s.first;
    for (;;) {
        int rc = look_from(o, start, inputs, l);
        if (rc || o->has_checkpoint)
            return rc;
        if (start == s.first)
            break;
        back *= 8;
        start = start - back > s.first ? start - back : s.first;
    }
    if (s.first > 0 && !o->conf.cannot_repeat)
        return tc_fail(TC_EINPUT,
                       "topic %s begins at offset %lld and holds no state of role %s to go on from: move the "
                       "data folder away and start anew",
                       tc_topic_name(o->conf.topic), (long long)s.first, o->conf.role);
    return TC_OK;
}

static int prepare(struct tc_outbox *o)
{
    const struct tc_bus_ops *ops = o->conf.bus->ops;
    struct look l;
    int rc = find_checkpoint(o, &l);
    if (!rc && l.orphans)
        rc = ops->truncate(o->conf.bus->self, o->conf.topic, l.end);
    if (rc)
        return rc;
    if (o->conf.cannot_repeat && !o->has_checkpoint)
        return TC_OK;
    o->finished = l.ends;
    o->to_swallow = l.behind;
    o->old_at = l.end - l.behind;
    if (o->has_checkpoint) {
        o->commit_at = l.checkpoint_at;
        o->commit_input = o->checkpoint.position;
    }
    if (!l.behind)
        return TC_OK;
    return ops->open_reader(o->conf.bus->self, o->conf.topic, o->old_at, 0, &o->old);
}

int tc_outbox_open(const struct tc_outbox_conf *conf, struct tc_outbox **out)
{
    *out = NULL;
    struct tc_outbox *o = calloc(1, sizeof(*o));
    if (!o)
        return tc_fail(TC_ENOMEM, "no memory for the outbox of %s", conf->role);
    o->conf = *conf;
    o->conf.batch = conf->batch ? conf->batch : 1;
    o->commit_at = -1;
    snprintf(o->group, sizeof(o->group), "outbox.%.16s", conf->role);
    tc_buf_init(&o->found_blob, (size_t)TC_BLOB_MAX + 1);
    tc_buf_init(&o->blob, (size_t)TC_BLOB_MAX + 1);
    o->batch = calloc(o->conf.batch, sizeof(*o->batch));
    int rc = o->batch ? prepare(o) : tc_fail(TC_ENOMEM, "no memory for the outbox of %s", conf->role);
    if (rc) {
        tc_outbox_close(o);
        return tc_more(rc, "outbox of %s", conf->role);
    }
    *out = o;
    return TC_OK;
}

void tc_outbox_close(struct tc_outbox *o)
{
    if (!o)
        return;
    if (o->old)
        o->conf.bus->ops->close_reader(o->old);
    tc_buf_release(&o->found_blob);
    tc_buf_release(&o->blob);
    free(o->batch);
    free(o);
}

const struct tc_checkpoint *tc_outbox_checkpoint(const struct tc_outbox *o)
{
    return o->has_checkpoint ? &o->checkpoint : NULL;
}

bool tc_outbox_finished(const struct tc_outbox *o)
{
    return o->finished;
}

int64_t tc_outbox_old(const struct tc_outbox *o)
{
    return o->old ? o->old_at + o->swallowed : -1;
}

void tc_outbox_start_over(struct tc_outbox *o)
{
    if (o->old)
        o->conf.bus->ops->close_reader(o->old);
    o->old = NULL;
    o->to_swallow = 0;
}

int64_t tc_outbox_swallowed(const struct tc_outbox *o)
{
    return o->swallowed;
}

static void end_swallowing(struct tc_outbox *o)
{
    o->conf.bus->ops->close_reader(o->old);
    o->old = NULL;
}

/* The next record that was made here and stands there already; TC_AGAIN when only foreign ones were left. */
static int next_old(struct tc_outbox *o, struct tc_record *was, int64_t *at)
{
    while (o->swallowed < o->to_swallow) {
        int rc = o->conf.bus->ops->read(o->old, was, at);
        if (rc)
            return rc < 0 ? rc
                          : tc_fail(TC_EINTERNAL, "topic %s lost records while it was open",
                                    tc_topic_name(o->conf.topic));
        o->swallowed++;
        if (!o->conf.foreign || !o->conf.foreign(was))
            return TC_OK;
    }
    end_swallowing(o);
    return TC_AGAIN;
}

/* The record must be the one that stands there already: same type, key and cause. Times may differ, since
 * live ones come from the clock. TC_AGAIN: nothing stands there any more. */
static int swallow(struct tc_outbox *o, const struct tc_record *r)
{
    struct tc_record was;
    int64_t at = -1;
    int rc = next_old(o, &was, &at);
    if (rc)
        return rc;
    if (was.type != r->type || was.from != r->from || strcmp(tc_record_key(&was), tc_record_key(r)))
        return tc_fail(
            TC_EINPUT,
            "role %s made a record (type %d, key '%s', from %lld) where offset %lld of topic %s holds "
            "another (type %d, key '%s', from %lld): the data folder was written with other "
            "settings; start again with those, or with another data folder",
            o->conf.role, (int)r->type, tc_record_key(r), (long long)r->from, (long long)at,
            tc_topic_name(o->conf.topic), (int)was.type, tc_record_key(&was), (long long)was.from);
    if (o->swallowed == o->to_swallow)
        end_swallowing(o);
    return TC_OK;
}

int tc_outbox_read_old(struct tc_outbox *o, struct tc_record *out)
{
    int64_t at;
    if (!o->old)
        return TC_DONE;
    int rc = o->conf.bus->ops->read(o->old, out, &at);
    if (rc != TC_AGAIN && (rc != TC_EINPUT || at < 0))
        return rc;
    if (rc == TC_EINPUT) /* a record of another version: of no role's state */
        return tc_outbox_read_old(o, out);
    tc_outbox_start_over(o);
    return TC_DONE;
}

int tc_outbox_add(struct tc_outbox *o, const struct tc_record *r)
{
    if (o->old && !(o->conf.foreign && o->conf.foreign(r))) {
        int rc = swallow(o, r);
        if (rc != TC_AGAIN)
            return rc;
    }
    if (o->n == o->conf.batch || o->blob.len) {
        int rc = tc_outbox_flush(o);
        if (rc)
            return rc;
    }
    struct tc_record *copy = &o->batch[o->n];
    *copy = *r;
    if (r->type == TC_REC_CHECKPOINT && r->checkpoint.blob_len) {
        tc_buf_put(&o->blob, r->checkpoint.blob, r->checkpoint.blob_len);
        if (o->blob.overflow) {
            tc_buf_clear(&o->blob);
            return tc_fail(TC_ELIMIT, "the state of role %s has %u bytes, over the limit of %d", o->conf.role,
                           r->checkpoint.blob_len, (int)TC_BLOB_MAX);
        }
        copy->checkpoint.blob = (const uint8_t *)o->blob.data;
    }
    o->n++;
    return TC_OK;
}

/* Lets retention pass what a restart no longer needs: the input before a checkpoint that is durable. */
static void commit(struct tc_outbox *o)
{
    struct tc_bus *bus = o->conf.bus;
    struct tc_bus_stat s;
    if (o->commit_at < 0)
        return;
    bus->ops->stat(bus->self, o->conf.topic, &s);
    if (s.synced <= o->commit_at)
        return;
    bus->ops->commit(bus->self, o->group, o->conf.topic, o->commit_at);
    if (o->conf.input >= 0)
        bus->ops->commit(bus->self, o->conf.role, (enum tc_topic)o->conf.input, o->commit_input);
    o->commit_at = -1;
}

int tc_outbox_flush(struct tc_outbox *o)
{
    struct tc_bus *bus = o->conf.bus;
    commit(o);
    if (!o->n)
        return TC_OK;
    int rc = bus->ops->publish(bus->self, o->conf.topic, o->batch, o->n);
    if (rc)
        return rc; /* kept: the next flush tries again */
    const struct tc_record *last = &o->batch[o->n - 1];
    if (o->commit_at < 0 && is_mine(o, last)) {
        struct tc_bus_stat s;
        bus->ops->stat(bus->self, o->conf.topic, &s);
        o->commit_at = s.end - 1;
        o->commit_input = last->checkpoint.position;
    }
    o->n = 0;
    if (o->blob.cap > BLOB_KEEP) {
        tc_buf_release(&o->blob);
        tc_buf_init(&o->blob, (size_t)TC_BLOB_MAX + 1);
    }
    tc_buf_clear(&o->blob);
    return TC_OK;
}
