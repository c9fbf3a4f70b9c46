/* Models that start from zero state and read the last `window` steps.
 *
 * A window's steps follow each other, but the windows that are open at one time are independent: with room
 * for them (struct tc_model_row, flight) all are kept in flight. A bar is the last step of the oldest, which
 * gives the forecast, and one step of every other, which tc_model_advance does afterwards as one batch a
 * layer. A window that began before the flight did (start, restart) is computed afresh from the ring of the
 * state: kernels promise that a row's bits do not depend on the batch, so both ways give the same.
 *
 * Models whose step reads `block` rows step once in so many bars; forecasting on every bar means `block`
 * sets of windows, each one bar behind the other (phases). A bar concerns one phase only.
 */
#include "model/model_priv.h"

#include "base/err.h"

#include <math.h>
#include <string.h>

/* Start of a symbol's open windows; behind it layer 0's input of the newest step [inner], then h and c as
 * [phase][layer][2][window][wide]. */
struct flight {
    uint64_t rows; /* of the state when both were last stepped */
    uint64_t base; /* windows whose first step ended with this row (from 0) or a later one are here */
    uint64_t left; /* open windows that have not taken the newest step yet: the youngest ones */
    uint64_t unused[5];
};
_Static_assert(sizeof(struct flight) == 64, "a flight begins on its own cache line");

static size_t steps_of(const struct tc_model *m)
{
    return (size_t)m->spec.info.window;
}

static size_t block_of(const struct tc_model *m)
{
    return (size_t)m->spec.info.block;
}

size_t tc_model_flight_size(const struct tc_model *m)
{
    const struct tc_model_info *info = &m->spec.info;
    if (info->stateful || info->window < 2)
        return 0;
    size_t slots = block_of(m) * steps_of(m) * (size_t)info->layers * 2;
    return sizeof(struct flight) + (m->inner + slots * m->wide) * sizeof(float);
}

static float *first_of(void *flight)
{
    return (float *)((char *)flight + sizeof(struct flight));
}

/* h of layer l in the window that began `age` steps before the phase's newest step, which ended with row
 * `row`; c of the same lies `window` vectors behind. */
static float *slot_of(const struct tc_model *m, void *flight, uint64_t row, uint64_t age, size_t l)
{
    size_t steps = steps_of(m), layers = (size_t)m->spec.info.layers;
    size_t phase = (size_t)(row % block_of(m)), slot = (size_t)((row / block_of(m) - age) % steps);
    return first_of(flight) + m->inner + (((phase * layers + l) * 2) * steps + slot) * m->wide;
}

/* --- the last step ------------------------------------------------------------------------------------- */
static void push_row(struct tc_model *m, struct tc_model_row *row, size_t r)
{
    const struct tc_model_spec *s = &m->spec;
    struct head *head = row->state;
    size_t n = (size_t)s->info.n_features, block = block_of(m), total = steps_of(m) * block;
    float *z = m->z + r * m->fine;
    if (block > 1) {
        double *ring = (double *)(void *)tc_model_body(row->state);
        memcpy(ring + head->at * n, m->scaled + r * n, n * sizeof(double));
        tc_model_block(m, ring, total, (size_t)(head->at + 1 + total - block) % total, z);
    } else {
        for (size_t i = 0; i < n; i++)
            z[i] = (float)m->scaled[r * n + i];
        memcpy(tc_model_body(row->state) + head->at * m->fine, z, m->fine * sizeof(float));
    }
    head->at = (head->at + 1) % total;
    head->rows++;
    row->ready = head->rows >= total;
}

/* Notes the bar in the flight; true when the window that it completes is there. */
static bool note_row(struct tc_model *m, const struct tc_model_row *row, const float *in)
{
    struct flight *f = row->flight;
    uint64_t n = ((const struct head *)row->state)->rows - 1, block = block_of(m), steps = steps_of(m);
    if (f->rows != n) /* it did not follow this state: windows begin anew */
        *f = (struct flight){.base = n};
    f->rows = n + 1;
    uint64_t first = f->base > block - 1 ? f->base : block - 1; /* the first step needs a whole block */
    if (n < first)
        return false;
    memcpy(first_of(f), in, m->inner * sizeof(float));
    uint64_t oldest = (n - first) / block;
    f->left = (oldest < steps - 2 ? oldest : steps - 2) + 1;
    return oldest >= steps - 1;
}

static void last_step(struct tc_model *m, const float *in, struct tc_model_row *rows, const size_t *which,
                      size_t n)
{
    size_t steps = steps_of(m), layers = (size_t)m->spec.info.layers, stride = m->wide + m->fine;
    float *from = m->a, *to = m->b;
    for (size_t l = 0; l < layers; l++) {
        bool top = l + 1 == layers;
        for (size_t i = 0; i < n; i++) {
            const struct tc_model_row *row = &rows[which[i]];
            float *h = slot_of(m, row->flight, ((const struct flight *)row->flight)->rows - 1, steps - 1, l);
            m->lstm[i] =
                (struct tc_lstm_row){l ? from + i * m->wide : in + which[i] * m->inner, h,
                                     h + steps * m->wide, top ? m->join + i * stride : to + i * m->wide};
        }
        tc_team_lstm(m->team, m->kern, &m->layer[l], m->lstm, n);
        float *free_again = from;
        from = to;
        to = free_again;
    }
    tc_model_outputs(m, rows, which, n);
}

/* --- afresh -------------------------------------------------------------------------------------------- */
/* Layer 0's inputs of every step of the rows' windows, oldest first, into m->inputs. */
static void gather_windows(struct tc_model *m, const struct tc_model_row *rows, const size_t *which, size_t n)
{
    size_t steps = steps_of(m), block = block_of(m), width = m->inner;
    float *z = m->spec.info.input_size ? m->b : NULL; /* [n][fine], b is not in use yet */
    for (size_t t = 0; t < steps; t++) {
        float *in = m->inputs + t * n * width, *to = z ? z : in;
        for (size_t r = 0; r < n; r++) {
            void *state = rows[which[r]].state;
            size_t at = (size_t)((const struct head *)state)->at;
            float *body = tc_model_body(state);
            if (block > 1)
                tc_model_block(m, (const double *)(const void *)body, steps * block,
                               (at + t * block) % (steps * block), to + r * m->fine);
            else
                memcpy(to + r * m->fine, body + (at + t) % steps * m->fine, m->fine * sizeof(float));
        }
        if (z)
            tc_model_first(m, z, n, in);
    }
}

static void run_windows(struct tc_model *m, struct tc_model_row *rows, const size_t *which, size_t n)
{
    size_t stride = m->wide + m->fine;
    gather_windows(m, rows, which, n);
    tc_stack_run(m->stack, m->inputs, m->inner, steps_of(m), n, m->last);
    for (size_t r = 0; r < n; r++)
        memcpy(m->join + r * stride, m->last + r * m->wide, m->wide * sizeof(float));
    tc_model_outputs(m, rows, which, n);
}

void tc_window_step(struct tc_model *m, struct tc_model_row *rows, size_t n)
{
    size_t here[CHUNK], afresh[CHUNK], n_here = 0, n_afresh = 0;
    for (size_t r = 0; r < n; r++)
        push_row(m, &rows[r], r);
    const float *in = tc_model_first(m, m->z, n, m->u);
    for (size_t r = 0; r < n; r++) {
        bool there = rows[r].flight && note_row(m, &rows[r], in + r * m->inner);
        if (rows[r].ready && there)
            here[n_here++] = r;
        else if (rows[r].ready)
            afresh[n_afresh++] = r;
    }
    if (n_here)
        last_step(m, in, rows, here, n_here);
    for (size_t done = 0; done < n_afresh; done += m->fresh)
        run_windows(m, rows, afresh + done, n_afresh - done < m->fresh ? n_afresh - done : m->fresh);
}

/* --- what is left -------------------------------------------------------------------------------------- */
/* An open window that is to take its flight's newest step. */
struct open {
    void *flight;
    uint64_t age;
};

static void begin_window(const struct tc_model *m, const struct open *w)
{
    size_t bytes = m->wide * sizeof(float);
    for (size_t l = 0; l < (size_t)m->spec.info.layers; l++) {
        float *h = slot_of(m, w->flight, ((const struct flight *)w->flight)->rows - 1, 0, l);
        memset(h, 0, bytes);
        memset(h + steps_of(m) * m->wide, 0, bytes);
    }
}

static void advance_windows(struct tc_model *m, const struct open *open, size_t n)
{
    size_t steps = steps_of(m);
    float *from = m->a, *to = m->b, *kept[PIECE];
    for (size_t i = 0; i < n; i++)
        if (open[i].age == 0)
            begin_window(m, &open[i]);
    for (size_t l = 0; l < (size_t)m->spec.info.layers; l++) {
        for (size_t i = 0; i < n; i++) {
            float *h =
                slot_of(m, open[i].flight, ((const struct flight *)open[i].flight)->rows - 1, open[i].age, l);
            kept[i] = h;
            m->lstm[i] = (struct tc_lstm_row){l ? from + i * m->wide : first_of(open[i].flight), h,
                                              h + steps * m->wide, to + i * m->wide};
        }
        tc_team_lstm(m->team, m->kern, &m->layer[l], m->lstm, n);
        for (size_t i = 0; i < n; i++)
            memcpy(kept[i], to + i * m->wide, m->wide * sizeof(float));
        float *free_again = from;
        from = to;
        to = free_again;
    }
}

/* A flight whose state was reset, or stepped without it, has nothing that could be gone on with. */
static bool follows(const struct tc_model_row *row)
{
    return ((const struct flight *)row->flight)->rows == ((const struct head *)row->state)->rows;
}

size_t tc_model_left(const struct tc_model_row *rows, size_t n)
{
    size_t left = 0;
    for (size_t r = 0; r < n; r++)
        if (rows[r].flight && follows(&rows[r]))
            left += (size_t)((const struct flight *)rows[r].flight)->left;
    return left;
}

size_t tc_model_advance(struct tc_model *m, const struct tc_model_row *rows, size_t n, size_t *at)
{
    struct open open[PIECE];
    size_t taken = 0;
    while (*at < n && taken < PIECE) {
        struct flight *f = rows[*at].flight;
        if (!f || !f->left || !follows(&rows[*at])) {
            (*at)++;
            continue;
        }
        open[taken++] = (struct open){f, --f->left};
    }
    if (!taken)
        return 0;
    unsigned mode = tc_kern_enter();
    advance_windows(m, open, taken);
    tc_kern_leave(mode);
    return taken;
}
