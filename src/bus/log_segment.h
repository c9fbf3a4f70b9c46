/* log_segment.h - the files of the log bus: names, headers, frames, scanning. Inside of log.c and
 * log_reader.c only. The bytes: docs/formats.md.
 */
#pragma once

#include "bus/record.h"

#include <limits.h>

enum {
    TC_SEG_HEADER = 40, /* bytes before the first frame */
    TC_FRAME_HEADER = 8,
    TC_FRAME_MIN = 10, /* smallest record */
    TC_FRAME_MAX = TC_BLOB_MAX + 4096,
};

struct tc_segment {
    int64_t base;   /* offset of its first record, also its name */
    int64_t end;    /* offset after its last record */
    uint64_t bytes; /* size of the file */
    int64_t newest; /* wall clock of its last change */
    int64_t begun;  /* wall clock when this run made it; 0 = an earlier run did */
};

/* DIR/TOPIC/00000000000000000000.log */
void tc_segment_path(const char *topic_dir, int64_t base, char out[static PATH_MAX]);

/* All segments of the folder in rising order; `end` and `bytes` are not looked at yet. *out is the caller's
 * to free. */
int tc_segment_list(const char *topic_dir, struct tc_segment **out, size_t *out_n);

/* Creates the file with its header; returns its descriptor, opened to append, or a negative code. */
int tc_segment_create(const char *topic_dir, enum tc_topic topic, int64_t base, int64_t now);

/* Header of an open file: TC_OK, or TC_EINPUT when it is none of ours or speaks of another base or topic. */
int tc_segment_check_header(int fd, const char *path, enum tc_topic topic, int64_t base);

/* Goes over the frames from the first one on, up to `stop` records (INT64_MAX = all). Fills end and bytes
 * with what is whole. TC_OK: the file ends after a whole frame (or `stop` was reached); TC_DONE: torn or
 * damaged behind `bytes`. */
int tc_segment_scan(int fd, const char *path, int64_t stop, struct tc_segment *s);

/* Frame = u32 length, u32 CRC-32C over length and record, record. Appends one to the buffer. */
int tc_frame_put(const struct tc_record *r, struct tc_buf *out);

/* Length of the record in the frame that starts at p (TC_FRAME_HEADER bytes readable), 0 = impossible. */
uint32_t tc_frame_length(const uint8_t *p);
bool tc_frame_whole(const uint8_t *p, uint32_t length);

/* fsync of a folder, so that names made or removed in it last. */
int tc_sync_folder(const char *path);
