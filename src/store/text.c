#include "store/text.h"
#include "base/err.h"
#include "base/num.h"

#include <math.h>
#include <string.h>

/* --- writers
 * ----------------------------------------------------------------------------------------------*/

void tc_text_tape(const struct tc_tape *t, struct tc_buf *out)
{
    if (isnan(t->tm5) && isnan(t->tm20) && isnan(t->sg20) && isnan(t->up) && isnan(t->dn) && isnan(t->lit) &&
        isnan(t->sv))
        return;
    tc_tape_to_json(t, out);
}

void tc_text_outcome(const struct tc_outcome *o, struct tc_buf *out)
{
    tc_buf_char(out, '[');
    for (int32_t i = 0; i < o->n_values && i < TC_POINTS_MAX; i++) {
        const struct tc_outcome_value *v = &o->values[i];
        tc_buf_str(out, i ? ",{\"kind\":\"" : "{\"kind\":\"");
        tc_buf_str(out, tc_kind_name(v->kind));
        tc_buf_str(out, "\",\"horizon_ms\":");
        tc_buf_int(out, v->horizon_ms);
        tc_buf_str(out, ",\"time\":");
        tc_buf_int(out, v->time);
        tc_buf_str(out, ",\"value\":");
        tc_buf_double(out, v->value);
        tc_buf_char(out, '}');
    }
    tc_buf_char(out, ']');
}

/* --- readers
 * ----------------------------------------------------------------------------------------------*/

enum { NAME_SIZE = 16 };

struct cursor {
    const char *at, *end;
};

struct value {
    enum { V_NULL, V_NUMBER, V_TEXT, V_BOOL } type;
    double number;
    int64_t integer; /* of a number without fraction that fits, else 0 */
    bool truth;
    char text[NAME_SIZE];
};

/* Sets the named field of element `index`; false refuses the value. */
typedef bool (*set_fn)(void *into, int32_t index, const char *name, const struct value *v);

static bool take(struct cursor *c, char ch)
{
    if (c->at == c->end || *c->at != ch)
        return false;
    c->at++;
    return true;
}

static bool take_word(struct cursor *c, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(c->end - c->at) < n || memcmp(c->at, word, n) != 0)
        return false;
    c->at += n;
    return true;
}

static bool take_text(struct cursor *c, char out[static NAME_SIZE])
{
    if (!take(c, '"'))
        return false;
    const char *from = c->at;
    while (c->at < c->end && *c->at != '"' && *c->at != '\\')
        c->at++;
    size_t n = (size_t)(c->at - from);
    if (n >= NAME_SIZE || !take(c, '"'))
        return false;
    memcpy(out, from, n);
    out[n] = '\0';
    return true;
}

static bool take_value(struct cursor *c, struct value *v)
{
    if (c->at == c->end)
        return false;
    *v = (struct value){.type = V_NULL, .number = NAN};
    if (*c->at == '"') {
        v->type = V_TEXT;
        return take_text(c, v->text);
    }
    if (take_word(c, "null"))
        return true;
    if (take_word(c, "true") || take_word(c, "false")) {
        v->type = V_BOOL;
        v->truth = c->at[-2] == 'u';
        return true;
    }
    const char *from = c->at;
    while (c->at < c->end && ((*c->at >= '0' && *c->at <= '9') || (*c->at && strchr("+-.eE", *c->at))))
        c->at++;
    v->type = V_NUMBER;
    if (!tc_parse_int(from, (size_t)(c->at - from), &v->integer))
        v->integer = 0;
    return tc_parse_double(from, (size_t)(c->at - from), &v->number);
}

static bool take_object(struct cursor *c, void *into, int32_t index, set_fn set)
{
    if (!take(c, '{'))
        return false;
    if (take(c, '}'))
        return true;
    do {
        char name[NAME_SIZE];
        struct value v;
        if (!take_text(c, name) || !take(c, ':') || !take_value(c, &v) || !set(into, index, name, &v))
            return false;
    } while (take(c, ','));
    return take(c, '}');
}

/* Elements read, or -1. */
static int32_t take_array(const char *text, size_t n, void *into, set_fn set)
{
    struct cursor c = {text, text + n};
    int32_t count = 0;
    if (!take(&c, '['))
        return -1;
    if (!take(&c, ']')) {
        do {
            if (count == TC_POINTS_MAX || !take_object(&c, into, count, set))
                return -1;
            count++;
        } while (take(&c, ','));
        if (!take(&c, ']'))
            return -1;
    }
    return c.at == c.end ? count : -1;
}

int tc_kind_parse(const char *name, enum tc_kind *out)
{
    for (int k = 0; k < TC_KIND_COUNT; k++) {
        if (strcmp(name, tc_kind_name((enum tc_kind)k)) != 0)
            continue;
        *out = (enum tc_kind)k;
        return TC_OK;
    }
    return tc_fail(TC_EINPUT, "kind '%.16s' is none of next, last, mid", name);
}

static bool set_tape(void *into, int32_t index, const char *name, const struct value *v)
{
    (void)index;
    struct tc_tape *t = into;
    double *const fields[] = {&t->tm5, &t->tm20, &t->sg20, &t->up, &t->dn, &t->lit, &t->sv};
    static const char *const names[] = {"tm5", "tm20", "sg20", "up", "dn", "lit", "sv"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcmp(name, names[i]))
            *fields[i] = v->number;
    return v->type == V_NUMBER || v->type == V_NULL;
}

int tc_text_read_tape(const char *text, size_t n, struct tc_tape *out)
{
    *out = (struct tc_tape){NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    struct cursor c = {text, text + n};
    if (n == 0 || (take_object(&c, out, 0, set_tape) && c.at == c.end))
        return TC_OK;
    return tc_fail(TC_EINPUT, "tape is not the expected JSON: %.60s", text);
}

static bool set_horizon(int32_t *out, const struct value *v)
{
    *out = (int32_t)v->integer;
    return v->integer >= 0 && v->integer <= INT32_MAX;
}

static bool set_point(void *into, int32_t index, const char *name, const struct value *v)
{
    struct tc_point *p = &((struct tc_point *)into)[index];
    if (!strcmp(name, "kind"))
        return tc_kind_parse(v->text, &p->kind) == TC_OK;
    if (!strcmp(name, "horizon_ms"))
        return set_horizon(&p->horizon_ms, v);
    if (!strcmp(name, "target"))
        p->target = v->integer;
    else if (!strcmp(name, "value"))
        p->value = v->number;
    else if (!strcmp(name, "lo"))
        p->lo = v->number;
    else if (!strcmp(name, "hi"))
        p->hi = v->number;
    else if (!strcmp(name, "p_down"))
        p->p_down = v->number;
    else if (!strcmp(name, "p_none"))
        p->p_none = v->number;
    else if (!strcmp(name, "p_up"))
        p->p_up = v->number;
    else if (!strcmp(name, "gate_open"))
        p->gate_open = v->truth;
    return true;
}

int tc_text_read_points(const char *text, size_t n, struct tc_forecast *out)
{
    for (int i = 0; i < TC_POINTS_MAX; i++)
        out->points[i] =
            (struct tc_point){.value = NAN, .lo = NAN, .hi = NAN, .p_down = NAN, .p_none = NAN, .p_up = NAN};
    out->n_points = take_array(text, n, out->points, set_point);
    if (out->n_points >= 0)
        return TC_OK;
    out->n_points = 0;
    return tc_fail(TC_EINPUT, "points are not the expected JSON: %.60s", text);
}

static bool set_outcome(void *into, int32_t index, const char *name, const struct value *v)
{
    struct tc_outcome_value *o = &((struct tc_outcome_value *)into)[index];
    if (!strcmp(name, "kind"))
        return tc_kind_parse(v->text, &o->kind) == TC_OK;
    if (!strcmp(name, "horizon_ms"))
        return set_horizon(&o->horizon_ms, v);
    if (!strcmp(name, "time"))
        o->time = v->integer;
    else if (!strcmp(name, "value"))
        o->value = v->number;
    return true;
}

int tc_text_read_outcome(const char *text, size_t n, struct tc_outcome *out)
{
    memset(out->values, 0, sizeof(out->values));
    out->n_values = take_array(text, n, out->values, set_outcome);
    if (out->n_values >= 0)
        return TC_OK;
    out->n_values = 0;
    return tc_fail(TC_EINPUT, "values are not the expected JSON: %.60s", text);
}
