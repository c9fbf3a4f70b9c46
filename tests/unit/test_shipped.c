/* The model that ships must run with this program's features; after a change of a feature it has to be
 * trained anew. */
#include "base/err.h"
#include "forecast/features.h"
#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void the_shipped_model_fits_the_features_of_this_program(void **state)
{
    (void)state;
    struct tc_model *m;
    if (tc_model_load(TEST_MODELS "/default.safetensors", &m))
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
    tc_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shipped_model_fits_the_features_of_this_program),
    };
    return cmocka_run_group_tests_name("shipped", tests, NULL, NULL);
}
