/* record_bus.h - records as JSON messages, as they stand on Kafka: what the API shows of a record and what
 * only a reader of the bus needs (v, type, from, tape, the state in a checkpoint); docs/formats.md lists the
 * keys.
 *
 * Whoever writes such messages by hand may leave out what is not required; unknown keys are ignored.
 */
#pragma once

#include "bus/record.h"

enum {
    TC_MESSAGE_MAX = 96 << 20
}; /* bytes of one message: a checkpoint of TC_BLOB_MAX in base64, and its keys */

const char *tc_record_type_name(enum tc_record_type t); /* "bar", "second" ... */

/* Appends one object. */
void tc_record_to_message(const struct tc_record *r, struct tc_buf *out);

/* TC_EINPUT names the key and what is wrong with it. A checkpoint's state is put into `blob`, which must
 * outlive the record. */
int tc_record_from_message(const char *text, size_t n, struct tc_buf *blob, struct tc_record *out);
