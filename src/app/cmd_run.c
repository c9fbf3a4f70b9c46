/* tickcast run: all roles in one process, until the source ends, a time is up or a signal comes. */
#include "app/config.h"
#include "app/command.h"
#include "app/pipeline.h"
#include "app/retrain.h"
#include "app/statusline.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Ctrl-C ends cleanly within 2 s; the rest of the time is for the last fsync of log and store. */
#define STOP_WITHIN_NS (1100 * TC_NS_PER_MS)

static const struct tc_cli cli = {
    .command = "run",
    .usage = "[FLAGS]",
    .about = "Runs everything in one process: feed, log, store, forecasts, page. Without flags it runs on a "
             "simulated market "
             "that needs no key and no network.",
    .sections = "feed sim replay live coinbase binance kraken massive alpaca finnhub run data forecast "
                "schedule alerts store cassandra bus kafka serve social reddit log",
    .examples =
        "  tickcast run --feed coinbase --symbols BTC-USD,ETH-USD\n"
        "                                                  live trades of an exchange, without a key\n"
        "  tickcast run                                    a simulated market, page on "
        "http://127.0.0.1:8080/\n"
        "  tickcast run --feed replay --path DIR --symbols SPY,BAC --from 2013-10-07 --to 2013-10-08\n"
        "                                                  real trades from LEAN files, in real time\n"
        "  tickcast run --feed replay --path DIR --speed max --until-end --data OUT\n"
        "                                                  the same as fast as possible, then stop\n",
};

/* Signals are taken by the main thread alone, by sigtimedwait, so no handler ever runs. */
static void block_signals(sigset_t *set)
{
    struct sigaction hangup;
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    if (!sigaction(SIGHUP, NULL, &hangup) && hangup.sa_handler != SIG_IGN) /* nohup keeps it running */
        sigaddset(set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, set, NULL);
}

/* A shell starts what it puts in the background with SIGINT ignored; whoever sends it to us means it. */
static void take_signals(void)
{
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
}

static void greet(const struct tc_config *c, const struct tc_pipeline *p, const char *mode)
{
    printf("tickcast %s  %s\n", TC_VERSION, mode);
    if (tc_pipeline_url(p)[0])
        printf("page      %s\n", tc_pipeline_url(p));
    printf("data      %s\n", tc_pipeline_data(p));
    if (c->feed == TC_CONFIG_SIMULATED)
        printf("This market is simulated. For real data: tickcast run --feed coinbase, or --feed replay "
               "--path DIR (see --help).\n");
    fflush(stdout);
}

/* Waits until something ends the run. Returns the code of a broken role, or 0. */
static int watch(const struct tc_config *c, struct tc_pipeline *p, const sigset_t *set)
{
    int64_t end = c->duration_ns ? tc_mono_ns() + c->duration_ns : INT64_MAX;
    bool told = false;
    for (;;) {
        struct timespec wait = {.tv_nsec = 100 * TC_NS_PER_MS};
        int signal_no = sigtimedwait(set, NULL, &wait);
        if (signal_no > 0 || tc_pipeline_failed(p) || tc_mono_ns() >= end)
            return tc_pipeline_failed(p);
        if (tc_pipeline_ended(p)) {
            if (c->until_end)
                return 0;
            if (!told)
                tc_log_info("run",
                            "the source has ended and everything is stored; the page stays until Ctrl-C");
            told = true;
        }
        tc_pipeline_tend(p);
        if (c->exit_on_fatal && c->feed == TC_CONFIG_LIVE && tc_pipeline_feeds_failed(p))
            return tc_fail(TC_EFATAL, "every live feed has ended for good; what stands above says why");
        tc_statusline_update(false);
    }
}

/* A second Ctrl-C while stopping ends at once; the log recovers at the next start. */
static void let_signals_kill(const sigset_t *set)
{
    pthread_sigmask(SIG_UNBLOCK, set, NULL);
}

static int run_to_end(const struct tc_config *c, struct tc_pipeline *p, const sigset_t *set)
{
    char mode[40];
    tc_pipeline_mode(c, mode, sizeof(mode));
    greet(c, p, mode);
    tc_statusline_open(mode);
    int rc = tc_pipeline_start(p);
    if (rc)
        return rc;
    rc = watch(c, p, set);
    if (rc && rc != TC_EFATAL)
        tc_fail(rc, "%s", tc_pipeline_failure(p));
    tc_statusline_update(true);
    return rc;
}

static int run(const struct tc_config *c)
{
    sigset_t set;
    struct tc_pipeline *p = NULL;
    int rc = tc_pipeline_open(c, &p); /* a signal ends the process: this may take long */
    if (rc)
        return rc;
    block_signals(&set); /* before the first thread, which inherits it */
    rc = tc_pipeline_connect(p);
    if (!rc)
        rc = run_to_end(c, p, &set);
    let_signals_kill(&set);
    char failure[1024];
    snprintf(failure, sizeof(failure), "%s", tc_error());
    if (!tc_pipeline_close(p, tc_mono_ns() + STOP_WITHIN_NS))
        tc_log_warn(
            "run",
            "stopped before everything was stored; the rest stands in the log and is taken up at the next "
            "start");
    return rc ? tc_fail(rc, "%s", failure) : TC_OK;
}

int tc_cmd_run(int argc, char **argv)
{
    struct tc_config_set set;
    take_signals();
    int rc = tc_config_load(&set, &cli, argc, argv);
    if (!rc)
        rc = tc_retrain_own_model(&set.conf);
    if (!rc)
        rc = run(&set.conf);
    tc_config_release(&set);
    return tc_command_exit(rc);
}
