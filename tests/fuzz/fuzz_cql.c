/* Whatever a server sends: each frame is read in bounds, and no message is taken for more than it holds. */
#include "wire/cql.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_rows(struct tc_cql_in *in, const struct tc_cql_result *r)
{
    for (int32_t row = 0; row < r->n_rows && !in->bad; row++)
        for (int32_t c = 0; c < r->n_columns; c++) {
            struct tc_cql_bytes v = tc_cql_bytes(in);
            if (v.p && (v.p + v.n > in->end))
                abort();
        }
}

static void read_message(const struct tc_cql_frame *f, struct tc_cql_in in)
{
    struct tc_cql_result r;
    struct tc_cql_error e;
    struct tc_cql_event event;
    char text[200];
    switch (f->op) {
    case TC_CQL_RESULT:
        if (tc_cql_read_result(&in, &r) == 0)
            read_rows(&in, &r);
        break;
    case TC_CQL_ERROR:
        if (tc_cql_read_error(&in, &e) == 0)
            tc_cql_error_text(&e, text, sizeof(text));
        break;
    case TC_CQL_EVENT:
        (void)tc_cql_read_event(&in, &event);
        break;
    default:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tc_buf room;
    tc_buf_init(&room, 1 << 20);
    struct tc_cql_frame f;
    size_t used;
    while (size > 0 && tc_cql_frame(data, size, &f, &used) == 0) {
        struct tc_cql_in in;
        struct tc_cql_text warning;
        if (tc_cql_message(&f, &room, &in, &warning) == 0)
            read_message(&f, in);
        data += used;
        size -= used;
    }
    tc_buf_release(&room);
    return 0;
}
