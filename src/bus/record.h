/* record.h - what travels on the bus: one tagged value and its two forms, binary (log bus) and JSON (API,
 * stream).
 *
 * The bytes of the binary form are documented in docs/formats.md. Decoding checks every length and enum and
 * never reads outside its input; decoded text is always 0-terminated. A checkpoint's blob points into the
 * decoder's input.
 */
#pragma once

#include "base/buf.h"
#include "market/market.h"

enum tc_topic { TC_TOPIC_BARS, TC_TOPIC_FORECASTS, TC_TOPIC_POSTS, TC_TOPIC_COUNT };
const char *tc_topic_name(enum tc_topic t);

enum tc_record_type {
    /* topic bars, written by collect */
    TC_REC_BAR = 1,
    TC_REC_QUOTE = 2,
    TC_REC_SECOND = 3,
    TC_REC_GAP = 4,
    TC_REC_QUALITY = 5,
    /* topic forecasts, written by forecast */
    TC_REC_FORECAST = 16,
    TC_REC_OUTCOME = 17,
    TC_REC_SCORE = 18,
    /* topic posts, written by posts; holes of a source are TC_REC_GAP there, with the source's place as
       symbol */
    TC_REC_POST = 48,
    TC_REC_REMOVED = 49,
    /* bars and forecasts */
    TC_REC_CHECKPOINT = 32, /* the writing role's state after the records before it */
    TC_REC_END = 33,        /* the source has ended; nothing follows until it is started again */
};

enum tc_kind { TC_KIND_NEXT, TC_KIND_LAST, TC_KIND_MID, TC_KIND_COUNT };
const char *tc_kind_name(enum tc_kind k);

enum {
    TC_MODEL_SIZE = 41, /* name@hash8 */
    TC_KERNEL_SIZE = 12,
    TC_INPUTS_SIZE = 8, /* T14, K11, Q18 */
    TC_POINTS_MAX = 12,
    TC_BLOB_MAX = 256 << 20, /* forecasts of 1,000 symbols */
};

/* Flags of a forecast. */
enum {
    TC_FLAG_LATE = 1,          /* issued too late to count; see contracts */
    TC_FLAG_COLD = 2,          /* warming up: first bars of a session or too little history */
    TC_FLAG_STALE = 4,         /* made from bars with a hole before them */
    TC_FLAG_OUT_OF_DOMAIN = 8, /* an input left the training range and was clipped */
    TC_FLAG_PRICE_LEVEL = 16,  /* by an imported model that forecasts the price itself, not a move */
};

struct tc_point {
    enum tc_kind kind;
    int32_t horizon_ms; /* 0 for kind next */
    int64_t target;     /* instant spoken of; 0 = unknown at issue (kind next) */
    double value, lo, hi;
    double p_down, p_none, p_up; /* NaN when the model gives none */
    bool gate_open; /* the model is measurably better than persistence here; else persistence is shown */
};

struct tc_forecast {
    char symbol[TC_SYMBOL_SIZE];
    char model[TC_MODEL_SIZE];
    char inputs[TC_INPUTS_SIZE];
    char kernel[TC_KERNEL_SIZE];
    int64_t origin_time; /* end of the bar it was made from */
    int64_t issued;
    int32_t day;
    uint32_t flags;
    double reference;     /* last price at origin: what persistence says for next and last */
    double reference_mid; /* mid at origin; NaN without quotes */
    int32_t n_points;
    struct tc_point points[TC_POINTS_MAX];
};

/* What came true for every point of one (symbol, origin): the first available version of each outcome. */
struct tc_outcome_value {
    enum tc_kind kind;
    int32_t horizon_ms;
    int64_t time; /* end of the bar that resolved it (next), or origin + horizon */
    double value; /* NaN = never resolved (session end, gap) */
};

struct tc_outcome {
    char symbol[TC_SYMBOL_SIZE];
    int64_t origin_time;
    int32_t day;
    int32_t n_values;
    struct tc_outcome_value values[TC_POINTS_MAX];
};

/* The sums of a score, X(field, C type, SQL type), in the order of the record's bytes and of the columns of
 * score_sums. Each is a plain sum over samples (or over one-minute blocks), so that scores of parts merge by
 * adding. Errors in price units. y = what came minus the reference, e = y - forecast move. */
#define TC_SCORE_SUMS(X)                                                                    \
    X(n, int64_t, "INTEGER")      /* issued in time and resolved */                         \
    X(n_late, int64_t, "INTEGER") /* late ones, counted nowhere else */                     \
    X(abs_err, double, "REAL")                                                              \
    X(sq_err, double, "REAL")                                                               \
    X(abs_persist, double, "REAL") /* |y|: the same samples under persistence */            \
    X(sq_persist, double, "REAL")                                                           \
    X(sq_reversal, double, "REAL")    /* phi x last return, same samples */                 \
    X(sq_ridge, double, "REAL")       /* ridge, same samples */                             \
    X(n_micro, int64_t, "INTEGER")    /* samples where a microprice existed */              \
    X(sq_model_micro, double, "REAL") /* model and microprice on those */                   \
    X(sq_micro, double, "REAL")                                                             \
    X(moves, int64_t, "INTEGER") /* direction: y != 0 and forecast != 0; ties = the rest */ \
    X(hits, int64_t, "INTEGER")                                                             \
    X(ties, int64_t, "INTEGER")                                                             \
    X(banded, int64_t, "INTEGER") /* samples with a band; inside it */                      \
    X(covered, int64_t, "INTEGER")                                                          \
    X(width, double, "REAL") /* over banded */                                              \
    X(winkler, double, "REAL")                                                              \
    X(dm_blocks, int64_t, "INTEGER") /* closed one-minute blocks b of d = y^2 - e^2 */      \
    X(dm_n2, double, "REAL")         /* over blocks: n_b^2, D_b, D_b^2, n_b D_b */          \
    X(dm_d, double, "REAL")                                                                 \
    X(dm_d2, double, "REAL")                                                                \
    X(dm_nd, double, "REAL")                                                                \
    X(dm_n, int64_t, "INTEGER")   /* samples inside closed blocks */                        \
    X(dm_ridge_d, double, "REAL") /* the same blocks of d = e_ridge^2 - e^2 */              \
    X(dm_ridge_d2, double, "REAL")                                                          \
    X(dm_ridge_nd, double, "REAL")                                                          \
    X(micro_moves, int64_t, "INTEGER") /* the microprice's direction on the same samples */ \
    X(micro_hits, int64_t, "INTEGER")                                                       \
    X(n_flagged, int64_t, "INTEGER") /* outcomes taken for bad prints (score.h) */          \
    X(sq_err_flagged, double, "REAL")                                                       \
    X(sq_persist_flagged, double, "REAL")                                                   \
    X(n_spread, int64_t, "INTEGER")  /* samples with a fresh quote at the origin */         \
    X(beyond, int64_t, "INTEGER")    /* of them: |forecast move| > half the spread */       \
    X(n_prob, int64_t, "INTEGER")    /* samples with P(down), P(none), P(up) */             \
    X(brier, double, "REAL")         /* over them: sum over the three of (p - came)^2 */    \
    X(prob_down, int64_t, "INTEGER") /* of them: y < 0; y = 0 */                            \
    X(prob_none, int64_t, "INTEGER")

#define TC_SCORE_FIELD(field, ctype, sqltype) ctype field;

struct tc_score_sums { /* 8 bytes each, no padding */
    TC_SCORE_SUMS(TC_SCORE_FIELD)
};

/* Sums of one model on one target in one half hour. A later record replaces an earlier. */
struct tc_score {
    char symbol[TC_SYMBOL_SIZE];
    char model[TC_MODEL_SIZE];
    char inputs[TC_INPUTS_SIZE];
    enum tc_kind kind;
    int32_t horizon_ms;
    int32_t day;
    int32_t slot; /* half hour of the day, 0 to 47, exchange time */
    union {
        struct tc_score_sums sums;
        struct {
            TC_SCORE_SUMS(TC_SCORE_FIELD)
        };
    };
};

enum {
    TC_POST_ID_SIZE = 64,
    TC_POST_PLACE_SIZE = 32,
    TC_POST_URL_SIZE = 200,
    TC_POST_TEXT_SIZE = 512, /* an excerpt: title and beginning */
    TC_MENTIONS_MAX = 8,
};

/* Why a post is thought to speak of a symbol, the strongest first (social/tickers.h). */
enum tc_evidence {
    TC_EVIDENCE_CASHTAG,
    TC_EVIDENCE_OPTION,
    TC_EVIDENCE_CAPITALS,
    TC_EVIDENCE_CONTEXT,
    TC_EVIDENCE_NAME,
    TC_EVIDENCE_COUNT
};
const char *tc_evidence_name(enum tc_evidence e);

struct tc_mention {
    char symbol[TC_SYMBOL_SIZE];
    enum tc_evidence evidence;
    bool counted; /* the author's first one of this symbol in this hour */
};

/* No name of an author is kept, only a salted hash to tell two posts of one from posts of two. */
struct tc_post {
    char id[TC_POST_ID_SIZE];       /* unique: "reddit:t3_1abc", "bluesky:...", "sim:..." */
    char source[TC_FEED_SIZE];      /* reddit, atom, bluesky, simulated */
    char place[TC_POST_PLACE_SIZE]; /* "r/stocks"; "" where the source has none */
    char url[TC_POST_URL_SIZE];     /* where it stands; "" = nowhere */
    uint64_t author;
    int64_t created, available;
    int64_t cursor; /* the source's own place behind it, for going on after a restart; 0 = none */
    enum tc_origin origin;
    double compound, pos, neu, neg; /* NaN: built without word lists */
    int32_t n_mentions;
    struct tc_mention mentions[TC_MENTIONS_MAX];
    char text[TC_POST_TEXT_SIZE]; /* valid UTF-8 */
};

/* The post is gone at its source and must go everywhere. */
struct tc_removed {
    char id[TC_POST_ID_SIZE];
    int64_t available;
};

struct tc_checkpoint {
    char role[12];
    char kernel[TC_KERNEL_SIZE];
    enum tc_topic topic; /* input topic; for collect the feed's cursor is inside the blob and position is 0 */
    int32_t partition;
    int64_t position; /* next input offset */
    const uint8_t *blob;
    uint32_t blob_len;
};

struct tc_record {
    enum tc_record_type type;
    int64_t from; /* offset of the record that caused this one in its input topic (partition 0); -1 = none */
    union {
        struct tc_bar bar;
        struct tc_second_quote quote;
        struct tc_second second;
        struct tc_gap gap;
        struct tc_quality quality;
        struct tc_forecast forecast;
        struct tc_outcome outcome;
        struct tc_score score;
        struct tc_checkpoint checkpoint;
        struct tc_post post;
        struct tc_removed removed;
    };
};

/* Appends the record's bytes. TC_ELIMIT when the buffer's bound is reached. */
int tc_record_encode(const struct tc_record *r, struct tc_buf *out);
int tc_record_decode(const uint8_t *bytes, size_t n, struct tc_record *out);

/* One JSON object with the keys of docs/api.md, as API and stream send it (a bar without its tape). */
void tc_record_to_json(const struct tc_record *r, struct tc_buf *out);

/* The key on the bus: the symbol, or "" for records of a whole feed. */
const char *tc_record_key(const struct tc_record *r);

/* Parts of records as JSON text, shared by store and API. */
void tc_points_to_json(const struct tc_forecast *f, struct tc_buf *out);
void tc_tape_to_json(const struct tc_tape *t, struct tc_buf *out);
