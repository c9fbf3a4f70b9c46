#include "role/notify.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metrics.h"
#include "net/webhook.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WAITING_MAX = 64, TRIES = 3, MESSAGE_SIZE = 1600, VARIABLES = 5 };

#define POST_NS (10 * TC_NS_PER_SEC)
#define COMMAND_NS (30 * TC_NS_PER_SEC)
#define RETRY_NS (2 * TC_NS_PER_SEC)

/* One receiver. */
struct channel {
    const char *name;
    char *target;
    int (*send)(struct channel *c, const struct tc_ledger_alert *a);
    int64_t retry_ns;
    pthread_t thread;
    bool running;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t more;
    size_t first, n;
    struct tc_ledger_alert waiting[WAITING_MAX];
    atomic_bool stop;
    tc_metric *sent, *failed, *dropped;
};

struct tc_notify {
    struct channel webhook, command;
};

static const char *state_of(const struct tc_ledger_alert *a)
{
    return a->until ? "ended" : "standing";
}

/* `text` and `content` are what chat services show; the rest is for programs. */
static void write_message(const struct tc_ledger_alert *a, struct tc_buf *out)
{
    struct tc_ledger_row row = {.kind = TC_LEDGER_ALERT, .alert = *a};
    char line[TC_LEDGER_TEXT + 32];
    snprintf(line, sizeof(line), "tickcast: %s%s", a->until ? "over: " : "", a->message);
    tc_buf_str(out, "{\"text\":");
    tc_buf_json_string(out, line);
    tc_buf_str(out, ",\"content\":");
    tc_buf_json_string(out, line);
    tc_buf_printf(out, ",\"state\":\"%s\",\"alert\":", state_of(a));
    tc_ledger_to_json(&row, out);
    tc_buf_str(out, "}\n");
}

static int send_webhook(struct channel *c, const struct tc_ledger_alert *a)
{
    char room[2 * MESSAGE_SIZE];
    struct tc_buf out;
    tc_buf_init_fixed(&out, room, sizeof(room));
    write_message(a, &out);
    return tc_webhook_post(c->target, out.data, out.len, POST_NS, &c->stop);
}

/* ---- the command ---- */

/* Waits for the end, the time limit or the stop. */
static int wait_for(struct channel *c, pid_t pid)
{
    int64_t end = tc_mono_ns() + COMMAND_NS;
    int rc;
    while ((rc = tc_child_poll(pid)) == TC_AGAIN) {
        if (tc_mono_ns() < end && !atomic_load(&c->stop)) {
            poll(NULL, 0, 20);
            continue;
        }
        tc_child_kill(pid);
        return atomic_load(&c->stop) ? TC_DONE
                                     : tc_fail(TC_ECONF, "the alert's command was killed after 30 s");
    }
    return rc ? tc_fail(TC_ECONF, "the alert's command: %s", tc_error()) : TC_OK;
}

static int start_command(const struct channel *c, const struct tc_ledger_alert *a, int input, pid_t *pid)
{
    char variables[VARIABLES][MESSAGE_SIZE / 2];
    size_t room = sizeof(variables[0]);
    snprintf(variables[0], room, "TICKCAST_ALERT_RULE=%s", a->rule);
    snprintf(variables[1], room, "TICKCAST_ALERT_SUBJECT=%s", a->subject);
    snprintf(variables[2], room, "TICKCAST_ALERT_STATE=%s", state_of(a));
    snprintf(variables[3], room, "TICKCAST_ALERT_VALUE=%g", a->value);
    snprintf(variables[4], room, "TICKCAST_ALERT_MESSAGE=%s", a->message);
    const char *const argv[] = {c->target, NULL};
    const char *const list[] = {variables[0], variables[1], variables[2], variables[3], variables[4], NULL};
    struct tc_child_conf conf = {.argv = argv, .variables = list, .drop = "TICKCAST_", .input = input};
    int rc = tc_child_start(&conf, pid);
    return rc ? tc_more(rc, "alerts.command") : TC_OK;
}

/* The message is smaller than a pipe's buffer, so writing it never waits. */
static int send_command(struct channel *c, const struct tc_ledger_alert *a)
{
    char room[2 * MESSAGE_SIZE];
    struct tc_buf out;
    int ends[2];
    pid_t pid;
    tc_buf_init_fixed(&out, room, sizeof(room));
    write_message(a, &out);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return tc_fail(TC_EIO, "the alert's command: %s", strerror(errno));
    int rc = write(ends[1], out.data, out.len) == (ssize_t)out.len
                 ? start_command(c, a, ends[0], &pid)
                 : tc_fail(TC_EIO, "the alert's command: %s", strerror(errno));
    close(ends[0]);
    close(ends[1]);
    return rc ? rc : wait_for(c, pid);
}

/* ---- threads ---- */

static bool take(struct channel *c, struct tc_ledger_alert *out)
{
    pthread_mutex_lock(&c->lock);
    while (!c->n && !atomic_load(&c->stop))
        pthread_cond_wait(&c->more, &c->lock);
    bool any = !atomic_load(&c->stop);
    if (any) {
        *out = c->waiting[c->first];
        c->first = (c->first + 1) % WAITING_MAX;
        c->n--;
    }
    pthread_mutex_unlock(&c->lock);
    return any;
}

/* Waits before another try; false when the program stops. */
static bool rest(struct channel *c, int64_t ns)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    int64_t t = until.tv_sec * TC_NS_PER_SEC + until.tv_nsec + ns;
    until = (struct timespec){.tv_sec = t / TC_NS_PER_SEC, .tv_nsec = t % TC_NS_PER_SEC};
    pthread_mutex_lock(&c->lock);
    while (!atomic_load(&c->stop) && pthread_cond_timedwait(&c->more, &c->lock, &until) != ETIMEDOUT)
        continue;
    pthread_mutex_unlock(&c->lock);
    return !atomic_load(&c->stop);
}

static void deliver(struct channel *c, const struct tc_ledger_alert *a)
{
    int rc = TC_OK;
    int64_t wait = c->retry_ns;
    for (int i = 0; i < TRIES; i++, wait *= 3) {
        rc = c->send(c, a);
        if (rc != TC_EPEER || i == TRIES - 1 || !rest(c, wait))
            break;
    }
    tc_metric_add(rc == TC_OK ? c->sent : c->failed, 1);
    if (rc < 0)
        tc_log_error("alerts", "%s; the alert \"%s\" stands in the log and on the page alone", tc_error(),
                     a->rule);
}

static void *run(void *arg)
{
    struct channel *c = arg;
    struct tc_ledger_alert a;
    while (take(c, &a))
        deliver(c, &a);
    return NULL;
}

static tc_metric *metric(const char *to, const char *result)
{
    char labels[64];
    snprintf(labels, sizeof(labels), "to=\"%s\",result=\"%s\"", to, result);
    return tc_counter("tickcast_alert_messages_total", labels, "Messages on alerts, by receiver and result");
}

static int open_channel(struct channel *c, const char *name, const char *target, int64_t retry_ns,
                        int (*send)(struct channel *c, const struct tc_ledger_alert *a))
{
    c->name = name;
    c->send = send;
    c->retry_ns = retry_ns ? retry_ns : RETRY_NS;
    c->target = strdup(target);
    if (!c->target)
        return tc_fail(TC_ENOMEM, "no memory for alerts");
    c->sent = metric(name, "sent");
    c->failed = metric(name, "failed");
    c->dropped = metric(name, "dropped");
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->more, NULL);
    int err = pthread_create(&c->thread, NULL, run, c);
    if (err)
        return tc_fail(TC_EIO, "cannot start the thread of alerts: %s", strerror(err));
    c->running = true;
    pthread_setname_np(c->thread, name);
    return TC_OK;
}

static void close_channel(struct channel *c)
{
    if (c->running) {
        pthread_mutex_lock(&c->lock);
        atomic_store(&c->stop, true);
        pthread_cond_broadcast(&c->more);
        pthread_mutex_unlock(&c->lock);
        pthread_join(c->thread, NULL);
        pthread_cond_destroy(&c->more);
        pthread_mutex_destroy(&c->lock);
    }
    free(c->target);
}

static void put(struct channel *c, const struct tc_ledger_alert *a)
{
    if (!c->running)
        return;
    pthread_mutex_lock(&c->lock);
    if (c->n == WAITING_MAX) {
        c->first = (c->first + 1) % WAITING_MAX;
        c->n--;
        tc_metric_add(c->dropped, 1);
    }
    c->waiting[(c->first + c->n++) % WAITING_MAX] = *a;
    pthread_cond_signal(&c->more);
    pthread_mutex_unlock(&c->lock);
}

int tc_notify_open(const struct tc_notify_conf *conf, struct tc_notify **out)
{
    struct tc_notify *n = calloc(1, sizeof(*n));
    if (!n)
        return tc_fail(TC_ENOMEM, "no memory for alerts");
    tc_webhook_start();
    int rc = TC_OK;
    if (conf->webhook)
        rc = open_channel(&n->webhook, "webhook", conf->webhook, conf->retry_ns, send_webhook);
    if (!rc && conf->command)
        rc = open_channel(&n->command, "command", conf->command, conf->retry_ns, send_command);
    if (rc) {
        tc_notify_close(n);
        return rc;
    }
    *out = n;
    return TC_OK;
}

void tc_notify_close(struct tc_notify *n)
{
    if (!n)
        return;
    close_channel(&n->webhook);
    close_channel(&n->command);
    free(n);
}

void tc_notify_put(struct tc_notify *n, const struct tc_ledger_alert *alert)
{
    put(&n->webhook, alert);
    put(&n->command, alert);
}
