/* The models that ship must run with this program's features; after a change of a feature they have to be
 * trained anew (script/train-models). */
#include "base/err.h"
#include "forecast/features.h"
#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void fits(const char *path, enum tc_feature_set level)
{
    struct tc_model *m;
    if (tc_model_load(path, &m))
        fail_msg("%s", tc_error());
    const struct tc_model_info *info = tc_model_info(m);
    enum tc_feature_set set;
    char hash[17];
    assert_int_equal(tc_set_parse(info->inputs, &set), 0);
    assert_string_equal(info->feature_hash, tc_set_hash(set, hash));
    assert_int_equal((size_t)info->n_features, tc_set_size(set));
    for (size_t i = 0; i < tc_set_size(set); i++)
        assert_string_equal(info->features[i], tc_set_info(set, i)->name);
    assert_string_equal(info->target_unit, "move_scale");
    assert_int_equal(info->interval_ms, 1000);
    assert_int_equal(tc_set_level(set), level);
    const char *card = tc_model_card(m);
    assert_non_null(card);
    assert_non_null(strstr(card, "\"validation\":[{\"symbol\":"));
    if (level != TC_SET_T14) /* and what it is worth on a symbol that it has never seen */
        assert_non_null(strstr(card, "\"left_out\":[{\"symbol\":"));
    tc_model_free(m);
}

static void the_shipped_models_fit_the_features_of_this_program(void **state)
{
    (void)state;
    fits(TEST_MODELS "/default-bars.safetensors", TC_SET_T14);
    fits(TEST_MODELS "/default-tape.safetensors", TC_SET_K11);
    fits(TEST_MODELS "/default.safetensors", TC_SET_Q18);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shipped_models_fit_the_features_of_this_program),
    };
    return cmocka_run_group_tests_name("shipped", tests, NULL, NULL);
}
