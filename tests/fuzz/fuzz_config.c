/* Any bytes as a configuration file: taken, or refused with a message that begins with the file's name. What
 * was taken prints as text that is taken again and prints the same. */
#include "app/config.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void print_and_read_again(struct tc_opt_set *s, const struct tc_opt *o)
{
    struct tc_buf first, second;
    if (o->type == TC_OPT_SECRET || o->type == TC_OPT_PATH)
        return;
    tc_buf_init(&first, 4 << 20);
    tc_buf_init(&second, 4 << 20);
    tc_opt_value(s, o, &first);
    if (first.len) {
        if (tc_opt_set_text(s, o->key, first.data, "again"))
            abort();
        tc_opt_value(s, o, &second);
        if (first.len != second.len || memcmp(first.data, second.data, first.len))
            abort();
    }
    tc_buf_release(&first);
    tc_buf_release(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tc_config conf = {0};
    struct tc_opt_set s = {.n_groups = 1, .prefix = "TICKCAST"};
    s.groups[0] = (struct tc_opt_group){.opts = tc_config_opts, .n = tc_config_opts_n, .target = &conf};
    if (tc_opt_open(&s))
        abort();
    if (tc_opt_yaml_text(&s, "fuzz.yaml", (const char *)data, size)) {
        if (strncmp(tc_error(), "fuzz.yaml", 9) != 0)
            abort();
    } else {
        for (size_t i = 0; i < tc_config_opts_n; i++)
            print_and_read_again(&s, &tc_config_opts[i]);
    }
    tc_opt_release(&s);
    return 0;
}
