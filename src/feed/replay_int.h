/* replay_int.h - inside of the replay feed: streams (one a file), merged by time, and the sources that open
 * them. A part is what a cursor counts in: a day of a LEAN folder, everything of the other sources.
 */
#pragma once

#include "feed/replay.h"
#include "feed/text.h"
#include "wire/csv.h"

#include <stdatomic.h>

enum { RP_PATH = 4096, RP_SYMBOLS_MAX = 20000 };

struct replay;
struct stream;

/* What a stream's line decoder said. */
enum rp_verdict { RP_EVENT, RP_NOTHING, RP_BAD };

struct rp_log;

struct stream {
    /* Reads on to the next event; NULL = lines of `text` through `decode`. */
    int (*advance)(struct replay *r, struct stream *s);
    void (*close)(struct stream *s); /* what advance needed; may be NULL */
    struct rp_log *log;
    /* Puts the line's event into s->event and its place in time into s->key; RP_BAD: *why says why. */
    enum rp_verdict (*decode)(struct replay *r, struct stream *s, const char *line, size_t n,
                              const char **why);
    struct tc_text *text;
    uint32_t sym;   /* of the file; of the last line for a CSV file */
    uint32_t order; /* rank among streams at the same instant */
    bool trades;    /* a damaged file leaves a gap in the bars */
    bool has_pending, header_read, said_damaged;
    int64_t base; /* LEAN: the exchange's midnight */
    int64_t last; /* time of the last good line, in the file's own terms */
    int64_t key;  /* the event's place in time: a second's bars and quotes stand at its end */
    uint64_t bad_lines;
    struct tc_event event;
    struct tc_event pending; /* a CSV line may make two */
    struct tc_csv_format format;
};

struct rp_gap {
    uint32_t sym;
    int64_t key, start, end;
    const char *reason;
};

struct rp_file {
    char *path;
    struct tc_csv_format format;
};

struct rp_source {
    /* Opens the next part: streams and gaps. TC_DONE when there is none. */
    int (*next_part)(struct replay *r);
    /* Goes to just before the part. */
    void (*seek_part)(struct replay *r, int64_t part);
};

struct replay {
    const struct rp_source *source;
    const struct tc_calendar *calendar;
    char path[RP_PATH];
    uint32_t n_symbols;
    char (*symbols)[TC_SYMBOL_SIZE];
    struct tc_symtab *by_name;
    int32_t from, to;
    double speed;
    enum tc_bars_from bars_from;
    enum tc_on_error on_error;

    struct stream **heap; /* by (key, order) */
    size_t n_streams, cap_streams;
    struct rp_gap *gaps; /* told before the events behind them */
    size_t n_gaps, cap_gaps, next_gap;

    int64_t part, index; /* cursor */
    int64_t skip;        /* events still to pass over after a seek */
    bool part_open, ended;
    int64_t watermark;

    bool anchored;
    int64_t anchor_mono, anchor_time;
    int64_t pace_day, pace_day_end, pace_from, pace_to; /* of the day at hand; is_paced */

    int32_t next_day;           /* LEAN: day to open next, yyyymmdd */
    bool watch_days;            /* CSV: days are told from the events' times */
    int32_t seen_day;           /* the last one so told, 0 = none */
    int64_t day_end;            /* where it ends */
    int64_t from_time, to_time; /* CSV: events outside are left out */
    bool days_done;             /* missing days at the end were told */
    struct rp_file *files;      /* CSV */
    size_t n_files;
    bool opened; /* CSV: the only part was opened */

    int broken; /* code of the fault that ended the source, and its sentence */
    char why[1024];

    _Atomic uint64_t events, bad_lines;
    _Atomic int64_t last_event_ns;
    _Atomic(const char *) state;
};

/* replay.c */
int rp_stream_add(struct replay *r, struct stream *s); /* takes s and reads its first event */
void rp_stream_free(struct stream *s);
int rp_gap_add(struct replay *r, uint32_t sym, int32_t day, const char *reason); /* its session is unknown */
int rp_set_symbols(struct replay *r, char (*names)[TC_SYMBOL_SIZE], size_t n);   /* takes names */
int32_t rp_day_after(int32_t day);
void rp_set_days(struct replay *r); /* from_time and to_time from the session dates */

/* replay_lean.c, replay_log.c, replay_csv.c: see whether the path is theirs (*out), and find symbols and days
 * where conf names none. */
int rp_lean_open(struct replay *r, bool *out);
int rp_log_open(struct replay *r, bool *out);
int rp_csv_open(struct replay *r, bool *out);
