/* schema.h - tables of the SQLite store and how they came about; docs/formats.md describes them for people.
 *
 * user_version is the number of migrations a file has had; application_id marks the file as ours. A change of
 * the tables is a new entry at the end of the list, never an edit of an old one.
 */
#pragma once

#include "bus/record.h"

#include <sqlite3.h>

enum { TC_STORE_APPLICATION_ID = 0x74636b31 }; /* "tck1" */

/* Brings the file to the newest schema in one transaction and writes the world, or checks both. */
int tc_schema_prepare(sqlite3 *db, const char *path, enum tc_world world);

/* Checks that the file is ours, not newer than this program, and has tables. */
int tc_schema_check(sqlite3 *db, const char *path);

/* The world the file belongs to. */
int tc_schema_world(sqlite3 *db, const char *path, enum tc_world *out);
