/* The text that a stranger can send to the server, as a name (first line) and a value (the rest): parameters,
 * times, positions, host names, tokens. What is accepted holds its promise; an error names what is wrong as
 * valid JSON text. */
#include "serve/auth.h"
#include "serve/hub.h"
#include "serve/reply.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void check_position(const char *value)
{
    struct tc_vector v, again;
    if (!tc_vector_parse(value, &v))
        return;
    char text[64];
    struct tc_buf b;
    tc_buf_init_fixed(&b, text, sizeof(text));
    tc_vector_to_id(&v, &b);
    require(!b.overflow && tc_vector_parse(text, &again) && !memcmp(&v, &again, sizeof(v)));
}

/* Either all is well and the reply untouched, or the reply is an error. */
static void check_reply(struct tc_reply *r, bool ok)
{
    require(ok == (r->status == 200) && ok == (r->body.len == 0));
    if (!ok)
        require(!strncmp(r->body.data, "{\"error\":{\"code\":\"bad_request\"", 30) &&
                !strcmp(r->body.data + r->body.len - 3, "}}\n"));
    for (size_t i = 0; i + 1 < r->body.len; i++)
        require((unsigned char)r->body.data[i] >= 0x20);
    tc_reply_release(r);
}

static void check_params(const struct tc_params *p)
{
    struct tc_reply r;
    int64_t n = 5, t = 0;
    int choice = 1;
    const char *symbol = NULL;
    tc_reply_init(&r);
    check_reply(&r, tc_params_check(p, "symbol from limit", &r));
    tc_reply_init(&r);
    check_reply(&r, tc_param_int(p, "limit", 1, 100, &n, &r));
    require(n >= 1 && n <= 100);
    tc_reply_init(&r);
    check_reply(&r, tc_param_time(p, "from", &t, &r));
    tc_reply_init(&r);
    check_reply(&r, tc_param_choice(p, "format", "json csv", &choice, &r));
    require(choice == 0 || choice == 1);
    tc_reply_init(&r);
    check_reply(&r, tc_param_symbol(p, false, &symbol, &r));
    require(!symbol || strlen(symbol) <= 32);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 8192)
        return 0;
    char *text = malloc(size + 1);
    require(text != NULL);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    char *value = strchr(text, '\n');
    if (value)
        *value++ = '\0';
    else
        value = text + strlen(text);
    check_params(&(struct tc_params){.n = 2, .at = {{text, value}, {"token", "x"}}});
    check_position(value);
    if (tc_host_allowed(value, "127.0.0.1", text))
        require(value[0] != '\0');
    static const char token[] = "0123456789abcdef";
    require(!tc_token_in_request(token, value, value, value) || strstr(value, token));
    free(text);
    return 0;
}
