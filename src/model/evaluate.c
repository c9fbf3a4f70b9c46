/* Predictions by the live code, and the figures that compare them. */
#include "model/train.h"

#include "base/err.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

size_t tc_train_rows(const struct tc_train_data *data)
{
    size_t rows = 0;
    for (size_t i = 0; i < data->n; i++)
        rows += data->series[i].rows;
    return rows;
}

/* All series step side by side, so that a step is one batch. */
struct walk {
    struct tc_model *model;
    struct tc_model_row *rows;
    char *states;
    double **at; /* where each series' first prediction goes */
    size_t state_size;
};

static int walk_open(struct walk *w, const struct tc_model_spec *spec, const struct tc_train_data *data,
                     double *out)
{
    *w = (struct walk){0};
    int rc = tc_model_open(spec, &w->model);
    if (rc)
        return rc;
    w->state_size = tc_model_state_size(w->model);
    w->rows = calloc(data->n + 1, sizeof(*w->rows));
    w->at = calloc(data->n + 1, sizeof(*w->at));
    w->states = aligned_alloc(64, (data->n + 1) * w->state_size);
    if (!w->rows || !w->at || !w->states)
        return tc_fail(TC_ENOMEM, "no memory to evaluate a model on %zu series", data->n);
    for (size_t i = 0; i < data->n; i++) {
        tc_model_state_reset(w->model, w->states + i * w->state_size);
        w->at[i] = out;
        out += data->series[i].rows * (size_t)spec->info.n_targets;
    }
    return TC_OK;
}

static void walk_close(struct walk *w)
{
    tc_model_free(w->model);
    free(w->rows);
    free(w->at);
    free(w->states);
}

int tc_train_predict(const struct tc_model_spec *spec, const struct tc_train_data *data, double *out)
{
    struct walk w;
    size_t targets = (size_t)spec->info.n_targets, features = (size_t)spec->info.n_features, longest = 0;
    for (size_t i = 0; i < data->n; i++)
        longest = data->series[i].rows > longest ? data->series[i].rows : longest;
    int rc = walk_open(&w, spec, data, out);
    for (size_t t = 0; t < longest && !rc; t++) {
        size_t n = 0;
        for (size_t i = 0; i < data->n; i++)
            if (t < data->series[i].rows)
                w.rows[n++] = (struct tc_model_row){.state = w.states + i * w.state_size,
                                                    .x = data->series[i].x + t * features,
                                                    .y = w.at[i] + t * targets};
        rc = tc_model_step(w.model, w.rows, n);
        for (size_t r = 0; r < n && !rc; r++)
            for (size_t j = 0; j < targets && !w.rows[r].ready; j++)
                w.rows[r].y[j] = NAN;
    }
    walk_close(&w);
    return rc;
}

/* Loss differences of one target, series after series, for a mean and its Newey-West variance. */
struct differences {
    double *d;
    size_t *end; /* of each series in d */
    size_t n, series;
};

static double mean_t(const struct differences *x, size_t lags)
{
    double mean = 0, variance = 0;
    for (size_t i = 0; i < x->n; i++)
        mean += x->d[i];
    mean /= (double)x->n;
    for (size_t lag = 0; lag <= lags; lag++) {
        double sum = 0;
        for (size_t s = 0, from = 0; s < x->series; from = x->end[s++])
            for (size_t i = from + lag; i < x->end[s]; i++)
                sum += (x->d[i] - mean) * (x->d[i - lag] - mean);
        variance += (lag ? 2 * (1 - (double)lag / (double)(lags + 1)) : 1) * sum / (double)x->n;
    }
    return variance > 0 ? mean / sqrt(variance / (double)x->n) : NAN;
}

static size_t lags_of(const struct tc_model_target *t)
{
    return t->horizon_ms <= 1000 ? 10 : t->horizon_ms <= 10000 ? 20 : 120;
}

enum pair { NETWORK_PERSISTENCE, RIDGE_PERSISTENCE, NETWORK_RIDGE };

static double squared(double e)
{
    return e * e;
}

/* Fills x with (first model's squared error taken from the second's) and adds up both sums. */
static void collect(const struct tc_train_data *data, size_t targets, size_t j, int32_t group,
                    const double *network, const double *ridge, enum pair pair, struct differences *x,
                    double *first, double *base)
{
    x->n = x->series = 0;
    *first = *base = 0;
    for (size_t s = 0, at = 0; s < data->n; at += data->series[s++].rows) {
        const struct tc_series *v = &data->series[s];
        if (group >= 0 && v->group != group)
            continue;
        for (size_t i = 0; i < v->rows; i++) {
            size_t cell = i * targets + j, row = (at + i) * targets + j;
            if (!v->mask[cell] || !isfinite(network[row]) || !isfinite(ridge[row]))
                continue;
            double weight = v->weight ? v->weight[i] : 1;
            double a = weight * squared(v->y[cell] - (pair == RIDGE_PERSISTENCE ? ridge[row] : network[row]));
            double b = weight * squared(pair == NETWORK_RIDGE ? v->y[cell] - ridge[row] : v->y[cell]);
            x->d[x->n++] = b - a;
            *first += a;
            *base += b;
        }
        x->end[x->series++] = x->n;
    }
}

void tc_train_compare(const struct tc_train_data *data, const struct tc_model_info *info, int32_t j,
                      int32_t group, const double *network, const double *ridge, struct tc_train_figures *out)
{
    *out = (struct tc_train_figures){0, NAN, NAN, NAN, NAN, NAN};
    struct differences x = {.d = malloc((tc_train_rows(data) + 1) * sizeof(double)),
                            .end = malloc((data->n + 1) * sizeof(size_t))};
    double *ratio[] = {&out->ratio, &out->ridge_ratio, NULL};
    double *t[] = {&out->dm_t, &out->ridge_dm_t, &out->over_ridge_t};
    for (int pair = 0; pair < 3 && x.d && x.end; pair++) {
        double first, base;
        collect(data, (size_t)info->n_targets, (size_t)j, group, network, ridge, (enum pair)pair, &x, &first,
                &base);
        out->n = (int64_t)x.n;
        if (x.n < 30 || !(base > 0))
            break;
        if (ratio[pair])
            *ratio[pair] = sqrt(first / base);
        *t[pair] = mean_t(&x, lags_of(&info->targets[j]));
    }
    free(x.d);
    free(x.end);
}
