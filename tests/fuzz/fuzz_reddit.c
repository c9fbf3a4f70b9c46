/* Any bytes as Reddit's answer: what is taken from it is bounded and sane. First byte: a token's answer or a
 * listing. */
#include "base/clock.h"
#include "social/reddit_json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void check(const struct tc_reddit_page *p, size_t i)
{
    const struct tc_raw_post *item = &p->items[i];
    require(tc_reddit_name_valid(p->names[i]) && item->created > 0 &&
            item->created < INT64_C(4000000000) * TC_NS_PER_SEC);
    require(!strncmp(item->id, "reddit:", 7) && !strcmp(item->id + 7, p->names[i]));
    require(!item->url[0] || !strncmp(item->url, "https://www.reddit.com/r/", 25));
    require(!item->title || strlen(item->title) == item->title_n);
    require(item->text && strlen(item->text) == item->text_n);
    require(strnlen(item->author, TC_AUTHOR_SIZE) < TC_AUTHOR_SIZE &&
            strnlen(item->place, TC_POST_PLACE_SIZE) < TC_POST_PLACE_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tc_reddit_page page;
    char token[64];
    int64_t lifetime;
    if (size == 0)
        return 0;
    const char *text = (const char *)data + 1;
    if (data[0] == 't') {
        if (!tc_reddit_token_parse(text, size - 1, token, sizeof(token), &lifetime))
            require(token[0] && strlen(token) < sizeof(token) && lifetime > 0);
        return 0;
    }
    if (tc_reddit_page_parse(text, size - 1, &page))
        return 0;
    require(page.n <= TC_REDDIT_PAGE && (!page.after[0] || tc_reddit_name_valid(page.after)));
    for (size_t i = 0; i < page.n; i++)
        check(&page, i);
    tc_reddit_page_free(&page);
    return 0;
}
