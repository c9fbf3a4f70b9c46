#include "base/err.h"
#include "wire/ws.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>

static const char key[] = "dGhlIHNhbXBsZSBub25jZQ=="; /* of RFC 6455, 1.3 */

#define GOOD                                                                                        \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n" \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

static int answer(const char *text, struct tc_ws_answer *a)
{
    size_t n = 0;
    return tc_ws_answer(text, strlen(text), key, a, &n);
}

static void the_answer_must_prove_that_it_read_our_key(void **state)
{
    struct tc_ws_answer a;
    size_t n = 0;
    (void)state;
    assert_int_equal(tc_ws_answer(GOOD "\r\nrest", sizeof(GOOD "\r\nrest") - 1, key, &a, &n), TC_OK);
    assert_int_equal(n, sizeof(GOOD "\r\n") - 1);
    assert_false(a.deflate);
    assert_int_equal(answer(GOOD, &a), TC_AGAIN);
    assert_int_equal(answer("HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOp=\r\n\r\n",
                            &a),
                     TC_EINPUT);
    assert_int_equal(answer(GOOD "Sec-WebSocket-Extensions: x-other\r\n\r\n", &a), TC_EINPUT);
    assert_int_equal(
        answer(GOOD "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n\r\n", &a),
        TC_OK);
    assert_true(a.deflate && a.no_context);
    assert_int_equal(answer("HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\n\r\n", &a), TC_EPEER);
    assert_int_equal(a.status, 429);
    assert_int_equal(a.retry_after_s, 7);
    assert_int_equal(answer("SSH-2.0-OpenSSH_9.2\r\n\r\n", &a), TC_EINPUT);
}

static struct tc_ws_reader *reader(size_t max, bool deflate)
{
    struct tc_ws_answer a = {.deflate = deflate};
    struct tc_ws_reader *r = NULL;
    assert_int_equal(tc_ws_reader_open(&r, max, &a), TC_OK);
    return r;
}

static void feed(struct tc_ws_reader *r, const void *bytes, size_t n)
{
    char *room;
    size_t size;
    tc_ws_reader_room(r, &room, &size);
    assert_true(size >= n);
    memcpy(room, bytes, n);
    tc_ws_reader_got(r, n);
}

static void frames_may_come_byte_by_byte_and_in_pieces(void **state)
{
    static const char bytes[] = "\x01\x02he\x89\x01p\x80\x03llo\x81\x02ok";
    static const char *const wanted[] = {"p", "hello", "ok"};
    struct tc_ws_reader *r = reader(100, false);
    struct tc_ws_message m;
    int n = 0;
    (void)state;
    for (size_t i = 0; i < sizeof(bytes) - 1; i++) {
        feed(r, bytes + i, 1);
        int rc = tc_ws_reader_next(r, &m);
        if (rc == TC_OK) {
            assert_int_equal(m.n, strlen(wanted[n]));
            assert_memory_equal(m.data, wanted[n], m.n);
            n++;
        } else {
            assert_int_equal(rc, TC_AGAIN);
        }
    }
    assert_int_equal(n, 3);
    tc_ws_reader_close(r);
}

static void a_broken_protocol_ends_it(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        int rc;
    } bad[] = {
        {"\x81\x80mask", 6, TC_EINPUT},       /* masked by the server */
        {"\x80\x01x", 3, TC_EINPUT},          /* a piece of nothing */
        {"\x01\x01x\x81\x01y", 6, TC_EINPUT}, /* a new message inside another */
        {"\x83\x01x", 3, TC_EINPUT},          /* unknown kind */
        {"\xc1\x01x", 3, TC_EINPUT},          /* packed, and nobody agreed to that */
        {"\x09\x01x", 3, TC_EINPUT},          /* a ping in pieces */
        {"\x89\x7e\x00\x80", 4, TC_EINPUT},   /* a ping that is too long */
        {"\x81\x7e\x01\x00", 4, TC_ELIMIT},   /* 256 bytes, 100 may come */
        {"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 10, TC_ELIMIT},
    };
    struct tc_ws_message m;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct tc_ws_reader *r = reader(100, false);
        feed(r, bad[i].bytes, bad[i].n);
        if (tc_ws_reader_next(r, &m) != bad[i].rc)
            fail_msg("case %zu", i);
        tc_ws_reader_close(r);
    }
}

static size_t pack(z_stream *z, const char *text, uint8_t *out, size_t size)
{
    z->next_in = (Bytef *)(uintptr_t)text;
    z->avail_in = (uInt)strlen(text);
    z->next_out = out;
    z->avail_out = (uInt)size;
    assert_int_equal(deflate(z, Z_SYNC_FLUSH), Z_OK);
    return size - z->avail_out - 4; /* the empty block at the end is left out */
}

static void packed_messages_share_their_window(void **state)
{
    struct tc_ws_reader *r = reader(1000, true);
    struct tc_ws_message m;
    z_stream z = {0};
    uint8_t frame[256] = {0xc1};
    (void)state;
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    for (int i = 0; i < 3; i++) {
        size_t n = pack(&z, "the same words again and again", frame + 2, sizeof(frame) - 2);
        frame[1] = (uint8_t)n;
        feed(r, frame, n + 2);
        assert_int_equal(tc_ws_reader_next(r, &m), TC_OK);
        assert_int_equal(m.n, 30);
        assert_memory_equal(m.data, "the same words again and again", 30);
        assert_int_equal(tc_ws_reader_next(r, &m), TC_AGAIN);
    }
    deflateEnd(&z);
    tc_ws_reader_close(r);
}

static void what_unpacks_beyond_the_bound_is_refused(void **state)
{
    struct tc_ws_reader *r = reader(1000, true);
    struct tc_ws_message m;
    z_stream z = {0};
    uint8_t frame[256] = {0xc1};
    char text[5001];
    (void)state;
    memset(text, 'a', 5000);
    text[5000] = '\0';
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t n = pack(&z, text, frame + 2, sizeof(frame) - 2);
    frame[1] = (uint8_t)n;
    feed(r, frame, n + 2);
    assert_int_equal(tc_ws_reader_next(r, &m), TC_ELIMIT);
    deflateEnd(&z);
    tc_ws_reader_close(r);
}

static void our_frames_are_masked(void **state)
{
    static const uint8_t mask[4] = {1, 2, 3, 4};
    struct tc_buf b;
    (void)state;
    tc_buf_init(&b, 100000);
    tc_ws_frame(&b, TC_WS_TEXT, "abcde", 5, mask);
    assert_int_equal(b.len, 2 + 4 + 5);
    assert_int_equal((uint8_t)b.data[1], 0x85);
    assert_int_equal(b.data[6], 'a' ^ 1);
    assert_int_equal(b.data[10], 'e' ^ 1);
    tc_buf_clear(&b);
    char big[70000] = {0};
    tc_ws_frame(&b, TC_WS_TEXT, big, sizeof(big), mask);
    assert_int_equal(b.len, 2 + 8 + 4 + sizeof(big));
    assert_int_equal((uint8_t)b.data[1], 0xff);
    tc_buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_must_prove_that_it_read_our_key),
        cmocka_unit_test(frames_may_come_byte_by_byte_and_in_pieces),
        cmocka_unit_test(a_broken_protocol_ends_it),
        cmocka_unit_test(packed_messages_share_their_window),
        cmocka_unit_test(what_unpacks_beyond_the_bound_is_refused),
        cmocka_unit_test(our_frames_are_masked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
