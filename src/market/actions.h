/* actions.h - splits and changes of symbol, from a CSV file that users keep (data/actions.csv):
 *
 *   symbol,day,action,value
 *   NVDA,2024-06-10,split,10       ten new shares for one old from the session of that day on; 1:8 = "1/8"
 *   META,2022-06-09,was,FB         before that day the symbol was FB
 *
 * What is stored stays as it came; whoever reads a history applies them: prices before a split are divided
 * by its ratio, sizes multiplied. Immutable after load, any thread may ask.
 */
#pragma once

#include "base/buf.h"
#include "market/market.h"

struct tc_actions;

/* Lines starting with # are comments. TC_ENOTFOUND: no file; TC_EINPUT names file and line. */
int tc_actions_load(const char *path, struct tc_actions **out);
void tc_actions_free(struct tc_actions *a); /* takes NULL */

/* What prices of `day` are divided by to compare with those of `as_of`: the product of the ratios of the
 * splits after day, up to as_of. 1 when there are none (also for NULL). */
double tc_actions_ratio(const struct tc_actions *a, const char *symbol, int32_t day, int32_t as_of);

/* The ratio of the splits after one day up to another, as the callback of engine and data set (`actions` is a
 * struct tc_actions). */
double tc_actions_since(void *actions, const char *symbol, int32_t after, int32_t day);

/* The split of just that day; 1 when there is none. */
double tc_actions_split(const struct tc_actions *a, const char *symbol, int32_t day);

/* The symbol that it was called before (the newest change before or at `day`), with the first day of the new
 * name; NULL when it had none. */
const char *tc_actions_before(const struct tc_actions *a, const char *symbol, int32_t day, int32_t *changed);

/* True when the symbol has any action: everything else needs no thought. */
bool tc_actions_any(const struct tc_actions *a, const char *symbol);

/* Those of the symbol with from_day <= day <= to_day as a JSON array of {"day","action","value"}. */
void tc_actions_to_json(const struct tc_actions *a, const char *symbol, int32_t from_day, int32_t to_day,
                        struct tc_buf *out);

/* Divides the prices by the ratio and multiplies the sizes. */
void tc_bar_adjust(struct tc_bar *b, double ratio);

/* The ratio an unexplained jump looks like: before / after within three percent of n or 1/n, 2 <= n <= 50, or
 * of 3/2; else 0. */
double tc_split_suspect(double before, double after);
