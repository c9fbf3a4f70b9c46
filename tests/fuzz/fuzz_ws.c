/* Any bytes as the server's side of a WebSocket, taken in pieces: messages stay within their bound. */
#include "wire/ws.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX = 65536 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tc_ws_answer answer = {0};
    size_t len;
    tc_ws_answer((const char *)data, size, "dGhlIHNhbXBsZSBub25jZQ==", &answer, &len);
    if (!size)
        return 0;
    answer = (struct tc_ws_answer){.deflate = data[0] & 1, .no_context = data[0] & 2};
    struct tc_ws_reader *r;
    if (tc_ws_reader_open(&r, MAX, &answer))
        return 0;
    struct tc_ws_message m;
    int rc = 1;
    for (size_t at = 1, piece = 1 + data[0] / 4; at < size && rc >= 0; at += piece) {
        char *room;
        size_t n;
        tc_ws_reader_room(r, &room, &n);
        n = size - at < piece ? size - at : piece;
        memcpy(room, data + at, n);
        tc_ws_reader_got(r, n);
        while ((rc = tc_ws_reader_next(r, &m)) == 0) {
            char reason[16];
            if (m.n > MAX)
                abort();
            if (m.op == TC_WS_CLOSE)
                tc_ws_close_code(&m, reason, sizeof(reason));
        }
    }
    tc_ws_reader_close(r);
    return 0;
}
