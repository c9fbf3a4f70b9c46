#include "social/reddit_json.h"
#include "base/clock.h"
#include "base/err.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LIFETIME_MIN_S = 30, LIFETIME_MAX_S = 7 * 86400 };

bool tc_reddit_name_valid(const char *name)
{
    size_t n = strlen(name);
    return n > 3 && n < TC_REDDIT_NAME && name[0] == 't' && (name[1] == '1' || name[1] == '3') &&
           name[2] == '_' && strspn(name + 3, "abcdefghijklmnopqrstuvwxyz0123456789") == n - 3;
}

static const char *text_of(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_string(v) ? json_string_value(v) : "";
}

static bool is_gone(const char *text)
{
    return !strcmp(text, "[deleted]") || !strcmp(text, "[removed]");
}

/* What Reddit leaves of a removed item: a name in brackets for the author or the text. */
static bool item_gone(const json_t *data)
{
    const json_t *why = json_object_get(data, "removed_by_category");
    return is_gone(text_of(data, "author")) || is_gone(text_of(data, "selftext")) ||
           is_gone(text_of(data, "body")) || json_is_string(why);
}

static bool take_child(const json_t *child, struct tc_raw_post *out, char name[static TC_REDDIT_NAME],
                       bool *gone)
{
    const json_t *data = json_object_get(child, "data");
    const char *kind = text_of(child, "kind"), *full = text_of(data, "name"),
               *permalink = text_of(data, "permalink");
    const json_t *created = json_object_get(data, "created_utc"); /* `created` is another clock */
    bool post = !strcmp(kind, "t3");
    if ((!post && strcmp(kind, "t1")) || !tc_reddit_name_valid(full) || strncmp(full, kind, 2) ||
        !json_is_number(created))
        return false;
    double seconds = json_number_value(created);
    if (!(seconds > 0 && seconds < 4e9))
        return false;
    memset(out, 0, sizeof(*out));
    memcpy(name, full, strlen(full) + 1);
    snprintf(out->id, sizeof(out->id), "reddit:%s", full);
    snprintf(out->place, sizeof(out->place), "r/%.25s", text_of(data, "subreddit"));
    snprintf(out->author, sizeof(out->author), "%s", text_of(data, "author"));
    if (!strncmp(permalink, "/r/", 3) && strlen(permalink) + 23 < sizeof(out->url))
        snprintf(out->url, sizeof(out->url), "https://www.reddit.com%s", permalink);
    out->created = (int64_t)(seconds * 1e3) * TC_NS_PER_MS;
    *gone = item_gone(data);
    out->kind = *gone ? TC_RAW_REMOVED : TC_RAW_POST;
    out->title = post ? text_of(data, "title") : NULL;
    out->title_n = post ? strlen(out->title) : 0;
    out->text = text_of(data, post ? "selftext" : "body");
    out->text_n = strlen(out->text);
    return true;
}

int tc_reddit_page_parse(const char *text, size_t n, struct tc_reddit_page *out)
{
    json_error_t error;
    memset(out, 0, sizeof(*out));
    out->root = json_loadb(text, n, 0, &error); /* jansson bounds the depth of nesting itself */
    if (!out->root)
        return tc_fail(TC_EINPUT, "the answer is no JSON: %s at byte %d", error.text, error.position);
    const json_t *data = json_object_get(out->root, "data");
    const json_t *children = json_object_get(data, "children");
    if (strcmp(text_of(out->root, "kind"), "Listing") || !json_is_array(children)) {
        tc_reddit_page_free(out);
        return tc_fail(TC_EINPUT, "the answer is no listing");
    }
    for (size_t i = 0; i < json_array_size(children); i++) {
        bool room = out->n < TC_REDDIT_PAGE;
        if (room && take_child(json_array_get(children, i), &out->items[out->n], out->names[out->n],
                               &out->gone[out->n]))
            out->n++;
        else
            out->bad++;
    }
    const char *after = text_of(data, "after");
    if (tc_reddit_name_valid(after))
        memcpy(out->after, after, strlen(after) + 1);
    return TC_OK;
}

void tc_reddit_page_free(struct tc_reddit_page *p)
{
    json_decref(p->root);
    p->root = NULL;
    p->n = 0;
}

int tc_reddit_token_parse(const char *text, size_t n, char *token, size_t size, int64_t *lifetime_s)
{
    json_error_t error;
    json_t *root = json_loadb(text, n, 0, &error);
    if (!root)
        return tc_fail(TC_EINPUT, "the token's answer is no JSON: %s", error.text);
    const char *wrong = text_of(root, "error"), *got = text_of(root, "access_token");
    const json_t *lifetime = json_object_get(root, "expires_in");
    size_t length = strlen(got);
    int rc = TC_OK;
    if (wrong[0])
        rc = tc_fail(TC_EPEER, "%.60s", wrong);
    else if (length == 0 || length >= size || strcspn(got, "\r\n\t \"") != length)
        rc = tc_fail(TC_EINPUT, "the token's answer holds no token");
    else
        memcpy(token, got, length + 1);
    double s = json_is_number(lifetime) ? json_number_value(lifetime) : 3600;
    s = isfinite(s) && s > LIFETIME_MIN_S ? s : LIFETIME_MIN_S;
    *lifetime_s = s < LIFETIME_MAX_S ? (int64_t)s : LIFETIME_MAX_S;
    json_decref(root);
    return rc;
}
