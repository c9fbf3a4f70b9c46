#include "app/statusline.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PLAIN_EVERY_NS (30 * TC_NS_PER_SEC)

static struct {
    bool terminal;
    const char *mode;
    int64_t last_time, last_bars, next_plain;
    double bars_per_s;
    char text[256];
} line;

/* The line is on the screen and a log line has to wipe it first. */
static atomic_bool shown;

static void wipe(void)
{
    if (atomic_load(&shown)) {
        ssize_t rc = write(STDOUT_FILENO, "\r\033[K", 4);
        (void)rc;
    }
}

static void redraw(void)
{
    if (atomic_load(&shown)) {
        ssize_t rc = write(STDOUT_FILENO, line.text, strnlen(line.text, sizeof(line.text)));
        (void)rc;
    }
}

void tc_statusline_open(const char *mode)
{
    line.terminal = isatty(STDOUT_FILENO);
    line.mode = mode;
    line.last_time = tc_mono_ns();
    line.next_plain = line.last_time + PLAIN_EVERY_NS;
    if (line.terminal)
        tc_log_set_hook(wipe, redraw);
}

static int64_t value(const char *name, const char *labels)
{
    tc_metric *m = tc_metric_find(name, labels);
    return m ? tc_metric_get(m) : 0;
}

static void measure_rate(int64_t now, int64_t bars)
{
    double seconds = (double)(now - line.last_time) / 1e9;
    if (seconds < 0.9)
        return;
    line.bars_per_s = (double)(bars - line.last_bars) / seconds;
    line.last_time = now;
    line.last_bars = bars;
}

static void age_text(int64_t data_time, char *out, size_t size)
{
    double age = (double)(tc_now_ns() - data_time) / 1e9;
    if (data_time == 0)
        snprintf(out, size, "no data yet");
    else if (age < 3600)
        snprintf(out, size, "data %.1f s old", age < 0 ? 0 : age);
    else
        tc_time_iso(tc_floor_second(data_time), out, size);
}

static void compose(void)
{
    int64_t bars = value("tickcast_bars_total", NULL);
    measure_rate(tc_mono_ns(), bars);
    char age[48];
    age_text(value("tickcast_data_time_seconds", NULL) * TC_NS_PER_SEC, age, sizeof(age));
    struct tc_buf b;
    tc_buf_init_fixed(&b, line.text, sizeof(line.text));
    tc_buf_printf(&b, "%s  %lld symbols  %lld bars (%.0f/s)  %s", line.mode,
                  (long long)value("tickcast_symbols", NULL), (long long)bars, line.bars_per_s, age);
    struct tc_hist *latency = tc_latency_find("tickcast_forecast_seconds", NULL);
    if (latency && atomic_load(&latency->count))
        tc_buf_printf(&b, "  forecast p99 %.1f ms", (double)tc_hist_quantile(latency, 0.99) / 1e6);
    int64_t scored = value("tickcast_scored_total", NULL),
            ratio = value("tickcast_skill_ratio_millionths", NULL);
    if (scored && ratio)
        tc_buf_printf(&b, "  error %+.1f %% against no change (n %lld)", ((double)ratio / 1e6 - 1) * 100,
                      (long long)scored);
    tc_buf_printf(&b, "  to store %lld",
                  (long long)value("tickcast_lag_records", "role=\"store\",topic=\"bars\""));
}

static void cut_to_terminal(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 && strlen(line.text) >= size.ws_col)
        line.text[size.ws_col - 1] = '\0';
}

void tc_statusline_update(bool last)
{
    compose();
    if (line.terminal) {
        cut_to_terminal();
        atomic_store(&shown, true);
        wipe();
        redraw();
        if (last) {
            atomic_store(&shown, false);
            tc_log_set_hook(NULL, NULL);
            printf("\n");
            fflush(stdout);
        }
    } else if (last || tc_mono_ns() >= line.next_plain) {
        line.next_plain = tc_mono_ns() + PLAIN_EVERY_NS;
        printf("%s\n", line.text);
        fflush(stdout);
    }
}
