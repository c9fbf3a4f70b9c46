/* reddit_json.h - Reddit's answers: what is of use in them, checked. Any bytes may come. */
#pragma once

#include "social/source.h"

#include <jansson.h>

enum { TC_REDDIT_PAGE = 100, TC_REDDIT_NAME = 20, TC_REDDIT_ANSWER_MAX = 8 << 20 };

struct tc_reddit_page {
    json_t *root; /* the texts of the items are its; tc_reddit_page_free */
    struct tc_raw_post items[TC_REDDIT_PAGE];
    bool gone[TC_REDDIT_PAGE];                  /* deleted or removed: only the name is left of it */
    char names[TC_REDDIT_PAGE][TC_REDDIT_NAME]; /* t3_..., t1_... */
    size_t n;
    size_t bad;                 /* children that are no posts or comments */
    char after[TC_REDDIT_NAME]; /* "" = the last page */
};

/* A listing of t3 and t1, the newest first as it stands. TC_EINPUT: no JSON, or no listing. */
int tc_reddit_page_parse(const char *text, size_t n, struct tc_reddit_page *out);
void tc_reddit_page_free(struct tc_reddit_page *p);

/* The token's answer. TC_EINPUT; TC_EPEER with Reddit's word for it when it holds an error (also with status
 * 200). */
int tc_reddit_token_parse(const char *text, size_t n, char *token, size_t size, int64_t *lifetime_s);

bool tc_reddit_name_valid(const char *name); /* t1_ or t3_ and base 36 */
