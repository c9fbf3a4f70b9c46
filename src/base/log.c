#include "base/log.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1400, REPEAT_SLOTS = 64 };

static atomic_int threshold = TC_LOG_INFO;
static atomic_int as_json;
static void (*_Atomic hook_before)(void);
static void (*_Atomic hook_after)(void);

/* Counts of recent warnings and errors by text hash; a new text takes over a colliding slot. */
static pthread_mutex_t repeat_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    uint64_t hash;
    uint64_t count;
} repeat[REPEAT_SLOTS];

void tc_log_set_level(enum tc_log_level level)
{
    atomic_store(&threshold, (int)level);
}

void tc_log_set_json(int json)
{
    atomic_store(&as_json, json);
}

void tc_log_set_hook(void (*before)(void), void (*after)(void))
{
    atomic_store(&hook_before, before);
    atomic_store(&hook_after, after);
}

static bool power_of_ten(uint64_t n)
{
    while (n >= 10 && n % 10 == 0)
        n /= 10;
    return n == 1;
}

/* Returns how often this text was seen, this time included. */
static uint64_t count_text(const char *part, const char *text)
{
    uint64_t h = tc_fnv(tc_fnv(TC_FNV_START, part, strlen(part)), text, strlen(text));
    pthread_mutex_lock(&repeat_lock);
    size_t i = h % REPEAT_SLOTS;
    if (repeat[i].hash != h) {
        repeat[i].hash = h;
        repeat[i].count = 0;
    }
    uint64_t n = ++repeat[i].count;
    pthread_mutex_unlock(&repeat_lock);
    return n;
}

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void tc_log(enum tc_log_level level, const char *part, const char *fmt, ...)
{
    if ((int)level > atomic_load(&threshold))
        return;
    char text[LINE_MAX_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);

    uint64_t seen = 1;
    if (level <= TC_LOG_WARN) {
        seen = count_text(part, text);
        if (!power_of_ten(seen))
            return;
    }
    char when[40];
    tc_time_iso(tc_now_ns(), when, sizeof(when));
    struct tc_buf line;
    char room[LINE_MAX_BYTES * 2];
    tc_buf_init_fixed(&line, room, sizeof(room));
    if (atomic_load(&as_json)) {
        tc_buf_printf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"part\":\"%s\",\"message\":", when,
                      level_names[level], part);
        tc_buf_json_string(&line, text);
        if (seen > 1)
            tc_buf_printf(&line, ",\"times\":%llu", (unsigned long long)seen);
        tc_buf_printf(&line, "}\n");
    } else {
        tc_buf_printf(&line, "%s %-5s %s: %s", when, level_names[level], part, text);
        if (seen > 1)
            tc_buf_printf(&line, " (%llu times)", (unsigned long long)seen);
        tc_buf_printf(&line, "\n");
    }
    void (*before)(void) = atomic_load(&hook_before);
    void (*after)(void) = atomic_load(&hook_after);
    if (before)
        before();
    ssize_t rc = write(STDERR_FILENO, line.data, line.len);
    (void)rc; /* nowhere left to complain */
    if (after)
        after();
}
