#include "kern/stack.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

enum {
    TOGETHER = 24,  /* rows of a thread that go through the layers together */
    AHEAD = 48,     /* rows of step times row whose inputs' part is computed at once */
    ROOM = 8 << 20, /* bytes of a layer's outputs, where fewer rows together keep within them */
    FEW = 16,       /* from so many rows on a step reads its weights seldom enough by itself */
};
/* Multiply-adds below which a hand-over between threads costs more than it saves (about 20 us of one thread
 * for a job, 1.5 us for a step). */
static const double JOB_WORTH = 1e6, STEP_WORTH = 7e4;

/* One thread's own room. */
struct lane {
    struct tc_turn step; /* steps done, of all layers */
    float *a, *b;        /* [steps][rows][wide] a layer's outputs and its inputs */
    float *c, *zero;     /* [rows][wide] */
    float *pre;          /* [AHEAD][4 wide] */
    struct tc_lstm_row row[TOGETHER];
    struct tc_dense_row dense[AHEAD];
};

struct tc_stack {
    const struct tc_kern *kern;
    struct tc_team *team;
    const struct tc_weights *layer;
    size_t layers, steps, wide;
    size_t rows; /* of a thread that go through the layers together */
    size_t lanes;
    struct lane *lane;
};

/* What one call works on. */
struct job {
    struct tc_stack *s;
    const float *in;
    size_t width, steps, rows;
    float *last;
};

/* Some rows of one layer: x of (t, r) at x + (t * x_step + r) * width, h goes to out [steps][rows][wide]. */
struct run {
    const struct tc_weights *w;
    const float *x;
    size_t x_step, width, steps, rows;
    float *out, *c;
    const float *zero;
    int32_t from, to; /* blocks */
};

/* A large block straight from the system: pages that are never touched cost nothing. */
static float *room(size_t floats)
{
    size_t bytes = (floats * sizeof(float) + TC_KERN_ALIGN - 1) / TC_KERN_ALIGN * TC_KERN_ALIGN;
    return aligned_alloc(TC_KERN_ALIGN, bytes);
}

static int open_lane(struct tc_stack *s, struct lane *l)
{
    size_t all = s->steps * s->rows * s->wide;
    l->a = room(all);
    l->b = room(all);
    l->c = room(s->rows * s->wide);
    l->zero = room(s->rows * s->wide);
    l->pre = room(AHEAD * 4 * s->wide);
    if (!l->a || !l->b || !l->c || !l->zero || !l->pre)
        return tc_fail(TC_ENOMEM, "no memory for sequences of %zu steps of %zu units", s->steps, s->wide);
    memset(l->zero, 0, s->rows * s->wide * sizeof(float));
    return TC_OK;
}

int tc_stack_open(const struct tc_kern *kern, struct tc_team *team, const struct tc_weights *layer,
                  size_t layers, size_t steps, struct tc_stack **out)
{
    struct tc_stack *s = calloc(1, sizeof(*s));
    if (!s)
        return tc_fail(TC_ENOMEM, "no memory for a stack of layers");
    *s = (struct tc_stack){.kern = kern, .team = team, .layer = layer, .layers = layers, .steps = steps};
    s->wide = (size_t)tc_kern_pad(layer[0].outputs);
    s->rows = ROOM / (steps * s->wide * sizeof(float));
    s->rows = s->rows < 1 ? 1 : s->rows > TOGETHER ? TOGETHER : s->rows;
    size_t lanes = (size_t)tc_team_size(team);
    s->lane = aligned_alloc(64, lanes * sizeof(*s->lane));
    int rc = s->lane ? TC_OK : tc_fail(TC_ENOMEM, "no memory for a stack of layers");
    for (; s->lanes < lanes && !rc; s->lanes++) {
        memset(&s->lane[s->lanes], 0, sizeof(*s->lane));
        rc = open_lane(s, &s->lane[s->lanes]);
    }
    if (rc)
        tc_stack_close(s);
    else
        *out = s;
    return rc;
}

void tc_stack_close(struct tc_stack *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->lanes; i++) {
        float *all[] = {s->lane[i].a, s->lane[i].b, s->lane[i].c, s->lane[i].zero, s->lane[i].pre};
        for (size_t j = 0; j < sizeof(all) / sizeof(all[0]); j++)
            free(all[j]);
    }
    free(s->lane);
    free(s);
}

/* Own units of steps t0..t1-1 from the inputs alone. */
static void project_steps(const struct tc_stack *s, struct lane *l, const struct run *r, size_t t0, size_t t1)
{
    size_t n = 0;
    for (size_t t = t0; t < t1; t++)
        for (size_t i = 0; i < r->rows; i++, n++)
            l->dense[n] =
                (struct tc_dense_row){r->x + (t * r->x_step + i) * r->width, l->pre + n * 4 * s->wide};
    s->kern->project(r->w, l->dense, n, r->from, r->to);
}

static void one_step(const struct tc_stack *s, struct lane *l, const struct run *r, size_t t,
                     const float *pre)
{
    for (size_t i = 0; i < r->rows; i++)
        l->row[i] =
            (struct tc_lstm_row){r->x + (t * r->x_step + i) * r->width,
                                 t ? r->out + ((t - 1) * r->rows + i) * s->wide : r->zero + i * s->wide,
                                 r->c + i * s->wide, r->out + (t * r->rows + i) * s->wide};
    s->kern->lstm_part(r->w, l->row, r->rows, pre, r->from, r->to);
}

/* --- many rows: every thread its own ------------------------------------------------------------------- */
static void run_layer(const struct tc_stack *s, struct lane *l, const struct run *r)
{
    size_t some = r->rows < FEW ? AHEAD / r->rows : 1;
    memset(l->c, 0, r->rows * s->wide * sizeof(float));
    for (size_t t = 0; t < r->steps; t++) {
        if (some > 1 && t % some == 0)
            project_steps(s, l, r, t, t + some < r->steps ? t + some : r->steps);
        one_step(s, l, r, t, some > 1 ? l->pre + t % some * r->rows * 4 * s->wide : NULL);
    }
}

static void run_rows(const struct job *j, struct lane *l, size_t from, size_t n)
{
    const struct tc_stack *s = j->s;
    float *out = l->a, *other = l->b;
    struct run r = {.x = j->in + from * j->width,
                    .x_step = j->rows,
                    .width = j->width,
                    .steps = j->steps,
                    .rows = n,
                    .c = l->c,
                    .zero = l->zero};
    for (size_t i = 0; i < s->layers; i++) {
        r.w = &s->layer[i];
        r.out = out;
        r.to = r.w->blocks;
        run_layer(s, l, &r);
        r.x = out;
        r.x_step = n;
        r.width = s->wide;
        out = other;
        other = r.out;
    }
    memcpy(j->last + from * s->wide, r.x + (j->steps - 1) * n * s->wide, n * s->wide * sizeof(float));
}

static void split_rows(void *ctx, int member, int members)
{
    const struct job *j = ctx;
    size_t from = j->rows * (size_t)member / (size_t)members,
           to = j->rows * ((size_t)member + 1) / (size_t)members;
    for (size_t some; from < to; from += some) { /* parts of equal size */
        size_t parts = (to - from + j->s->rows - 1) / j->s->rows;
        some = (to - from + parts - 1) / parts;
        run_rows(j, &j->s->lane[member], from, some);
    }
}

/* --- few rows: every thread its own units -------------------------------------------------------------- */
static void wait_for_others(struct tc_stack *s, int member, int members, uint32_t turn)
{
    for (int i = 0; i < members; i++)
        if (i != member)
            tc_turn_wait(&s->lane[i].step, turn);
}

/* `turn`: count of the layer's first step. */
static void share_layer(struct tc_stack *s, const struct run *r, int member, int members, uint32_t turn)
{
    struct lane *l = &s->lane[member];
    size_t some = AHEAD / r->rows, unit = (size_t)r->from * (size_t)r->w->block,
           end = r->to < r->w->blocks ? (size_t)r->to * (size_t)r->w->block : s->wide;
    for (size_t i = 0; i < r->rows; i++)
        memset(r->c + i * s->wide + unit, 0, (end - unit) * sizeof(float));
    for (size_t t = 0; t < r->steps; t++) {
        if (t % some == 0) /* the others' units of the layer below are there: all have ended it */
            project_steps(s, l, r, t, t + some < r->steps ? t + some : r->steps);
        wait_for_others(s, member, members, turn + (uint32_t)t);
        one_step(s, l, r, t, l->pre + t % some * r->rows * 4 * s->wide);
        tc_turn_set(&l->step, turn + (uint32_t)t + 1);
    }
}

/* a, b and c of the first lane are everybody's. */
static void split_units(void *ctx, int member, int members)
{
    const struct job *j = ctx;
    struct tc_stack *s = j->s;
    struct lane *first = &s->lane[0];
    float *out = first->a, *other = first->b;
    struct run r = {.x = j->in,
                    .x_step = j->rows,
                    .width = j->width,
                    .steps = j->steps,
                    .rows = j->rows,
                    .c = first->c,
                    .zero = first->zero};
    uint32_t turn = 0;
    for (size_t i = 0; i < s->layers; i++, turn += (uint32_t)j->steps) {
        r.w = &s->layer[i];
        r.out = out;
        r.from = r.w->blocks * member / members;
        r.to = r.w->blocks * (member + 1) / members;
        wait_for_others(s, member, members, turn);
        share_layer(s, &r, member, members, turn);
        r.x = out;
        r.width = s->wide;
        out = other;
        other = r.out;
    }
    if (member)
        return;
    wait_for_others(s, member, members, turn);
    memcpy(j->last, r.x + (j->steps - 1) * j->rows * s->wide, j->rows * s->wide * sizeof(float));
}

/* Multiply-adds of a row's step of one layer. */
static double work_of(const struct tc_weights *w)
{
    return 4.0 * w->outputs * (w->inputs + w->outputs);
}

void tc_stack_run(struct tc_stack *s, const float *in, size_t width, size_t steps, size_t rows, float *last)
{
    struct job j = {s, in, width, steps, rows, last};
    int members = (int)s->lanes;
    double step = work_of(&s->layer[s->layers - 1]) * (double)rows;
    if (members > 1 && rows < 3 * (size_t)members && rows <= s->rows && step > STEP_WORTH) {
        members = members < s->layer[0].blocks ? members : s->layer[0].blocks;
        for (size_t i = 0; i < s->lanes; i++) /* equal, also after jobs of fewer members */
            atomic_store_explicit(&s->lane[i].step.n, 0, memory_order_relaxed);
        tc_team_run(s->team, members, split_units, &j);
    } else {
        bool worth = step * (double)(steps * s->layers) > JOB_WORTH && rows > 1;
        members = !worth ? 1 : (size_t)members < rows ? members : (int)rows;
        tc_team_run(s->team, members, split_rows, &j);
    }
}

/* --- one step ------------------------------------------------------------------------------------------- */
struct step {
    const struct tc_kern *kern;
    const struct tc_weights *w;
    const struct tc_lstm_row *rows;
    size_t n;
};

static void step_rows(void *ctx, int member, int members)
{
    const struct step *s = ctx;
    size_t from = s->n * (size_t)member / (size_t)members, to = s->n * ((size_t)member + 1) / (size_t)members;
    s->kern->lstm(s->w, s->rows + from, to - from);
}

static void step_units(void *ctx, int member, int members)
{
    const struct step *s = ctx;
    s->kern->lstm_part(s->w, s->rows, s->n, NULL, s->w->blocks * member / members,
                       s->w->blocks * (member + 1) / members);
}

void tc_team_lstm(struct tc_team *team, const struct tc_kern *kern, const struct tc_weights *w,
                  const struct tc_lstm_row *rows, size_t n)
{
    struct step s = {kern, w, rows, n};
    int members = tc_team_size(team);
    bool units = n < 3 * (size_t)members;
    if (members > 1 && work_of(w) * (double)n > JOB_WORTH / 4 && (units ? w->blocks : (int32_t)n) >= members)
        tc_team_run(team, members, units ? step_units : step_rows, &s);
    else
        kern->lstm(w, rows, n);
}
