/* schema.h - tables of the SQLite store and how they came about; docs/formats.md describes them for people.
 *
 * user_version is the number of migrations a file has had; application_id marks the file as ours. A change of
 * the tables is a new entry at the end of the list, never an edit of an old one.
 */
#pragma once

#include "market/market.h"

#include <sqlite3.h>

enum { TC_STORE_APPLICATION_ID = 0x74636b31 }; /* "tck1" */

/* The sums of a score, in the order of the columns of score_sums: X(field, C type, SQL type). */
#define TC_SCORE_SUMS(X)              \
    X(n, int64_t, "INTEGER")          \
    X(n_late, int64_t, "INTEGER")     \
    X(abs_err, double, "REAL")        \
    X(sq_err, double, "REAL")         \
    X(abs_persist, double, "REAL")    \
    X(sq_persist, double, "REAL")     \
    X(sq_reversal, double, "REAL")    \
    X(sq_ridge, double, "REAL")       \
    X(n_micro, int64_t, "INTEGER")    \
    X(sq_model_micro, double, "REAL") \
    X(sq_micro, double, "REAL")       \
    X(moves, int64_t, "INTEGER")      \
    X(hits, int64_t, "INTEGER")       \
    X(ties, int64_t, "INTEGER")       \
    X(banded, int64_t, "INTEGER")     \
    X(covered, int64_t, "INTEGER")    \
    X(width, double, "REAL")          \
    X(winkler, double, "REAL")        \
    X(dm_blocks, int64_t, "INTEGER")  \
    X(dm_n2, double, "REAL")          \
    X(dm_d, double, "REAL")           \
    X(dm_d2, double, "REAL")          \
    X(dm_nd, double, "REAL")          \
    X(dm_n, int64_t, "INTEGER")

/* Brings the file to the newest schema in one transaction and writes the world, or checks both. */
int tc_schema_prepare(sqlite3 *db, const char *path, enum tc_world world);

/* Checks that the file is ours, not newer than this program, and has tables. */
int tc_schema_check(sqlite3 *db, const char *path);

/* The world the file belongs to. */
int tc_schema_world(sqlite3 *db, const char *path, enum tc_world *out);
