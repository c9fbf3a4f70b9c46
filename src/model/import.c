#include "model/import.h"

#include "base/err.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double NO_CLIP = 1e6; /* what a model file takes for "as it comes" */

const char *tc_import_column(const char *name)
{
    static const char *const known[][2] = {
        {"price", "price"},
        {"curr_price", "price"},
        {"close", "price"},
        {"close_price", "price"},
        {"last", "price"},
        {"volume", "volume"},
        {"accumulated_volume", "volume"},
        {"transactions", "transactions"},
        {"n_transactions", "transactions"},
        {"trades", "transactions"},
        {"high", "high"},
        {"high_price", "high"},
        {"low", "low"},
        {"low_price", "low"},
        {"open", "open"},
        {"open_price", "open"},
        {"vwap", "vwap"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(name, known[i][0]) == 0)
            return known[i][1];
    return NULL;
}

static int column_of(const struct tc_model_info *info, const char *name)
{
    for (int32_t i = 0; i < info->n_features; i++)
        if (strcmp(info->features[i], name) == 0)
            return i;
    return -1;
}

/* --- columns -------------------------------------------------------------------------------------------- */
static int set_column(struct tc_model_info *info, int32_t i, const char *name, const char *from)
{
    const char *column = tc_import_column(name);
    if (!column)
        return tc_fail(
            TC_EINPUT,
            "%s names column %d \"%.63s\", which means nothing here: name the columns with --features "
            "(price, volume, transactions, high, low, open, vwap)",
            from, i + 1, name);
    for (int32_t j = 0; j < i; j++)
        if (strcmp(info->features[j], column) == 0)
            return tc_fail(TC_EINPUT, "%s names column \"%s\" twice", from, column);
    snprintf(info->features[i], TC_FEATURE_NAME_SIZE, "%s", column);
    return TC_OK;
}

/* The scaler's own names must not contradict an order that was asked for. */
static int check_names(const struct tc_scaler *scaler, const struct tc_model_info *info)
{
    for (int32_t i = 0; i < info->n_features; i++) {
        const char *column = tc_import_column(scaler->name[i]);
        if (column && strcmp(column, info->features[i]) != 0)
            return tc_fail(TC_EINPUT,
                           "--features says column %d is %s; the scaler was fitted with \"%s\" there", i + 1,
                           info->features[i], scaler->name[i]);
    }
    return TC_OK;
}

static int set_columns(const struct tc_scaler *scaler, const struct tc_import *how,
                       struct tc_model_info *info)
{
    bool own = !how->n_features && scaler && scaler->named;
    const char *const *names = how->n_features ? how->feature : how->fallback;
    info->n_features = own ? scaler->n : how->n_features ? how->n_features : how->n_fallback;
    if (!own && (!names || info->n_features < 1 || info->n_features > TC_MODEL_FEATURES_MAX))
        return tc_fail(TC_EINPUT, "which column is which? Name them with --features or a --preset");
    if (scaler && scaler->n != info->n_features)
        return tc_fail(TC_EINPUT, "the scaler has %d columns; %d are named", scaler->n, info->n_features);
    int rc = TC_OK;
    for (int32_t i = 0; i < info->n_features && !rc; i++)
        rc = own ? set_column(info, i, scaler->name[i], "the scaler")
                 : set_column(info, i, names[i], how->n_features ? "--features" : "the preset");
    if (!rc && !own && scaler && scaler->named)
        rc = check_names(scaler, info);
    if (!rc && column_of(info, "price") < 0)
        rc = tc_fail(TC_EINPUT, "no column is the price, which the output is a forecast of");
    return rc;
}

/* --- scaler --------------------------------------------------------------------------------------------- */
static double centre(const struct tc_scaler *s, int32_t i)
{
    return s->mean[i] + (s->kind == TC_SCALER_MINMAX ? s->sd[i] * (s->low + s->high) / 2 : 0);
}

/* A bar in the middle of what the price column was fitted on, all its prices the same, must lie near what the
 * other price columns were fitted on, and cannot have more transactions than volume. */
static int probe(const struct tc_scaler *s, const struct tc_model_info *info)
{
    int32_t p = column_of(info, "price"), volume = column_of(info, "volume");
    int32_t trades = column_of(info, "transactions");
    double price = centre(s, p);
    if (!(price > 0))
        return tc_fail(TC_EINPUT, "probe bar: the scaler's price column is centred on %g: is it the price?",
                       price);
    static const char *const prices[] = {"high", "low", "open", "vwap"};
    for (size_t k = 0; k < sizeof(prices) / sizeof(prices[0]); k++) {
        int32_t i = column_of(info, prices[k]);
        double reach = s->kind == TC_SCALER_MINMAX ? 1.5 * (s->high - s->low) : 6;
        if (i >= 0 && !(fabs(price - centre(s, i)) <= reach * s->sd[i]))
            return tc_fail(
                TC_EINPUT,
                "probe bar: at a price of %g column \"%s\" was fitted around %g: the scaler does not fit "
                "this order of columns; give the right one with --features",
                price, prices[k], centre(s, i));
    }
    if (volume >= 0 && trades >= 0 && centre(s, trades) > centre(s, volume))
        return tc_fail(
            TC_EINPUT,
            "probe bar: more transactions (%g) than volume (%g): the scaler does not fit this order "
            "of columns; give the right one with --features",
            centre(s, trades), centre(s, volume));
    return TC_OK;
}

static int set_scaler(const struct tc_scaler *scaler, struct tc_model_spec *s)
{
    s->low = scaler && scaler->clip ? scaler->low : -NO_CLIP;
    s->high = scaler && scaler->clip ? scaler->high : NO_CLIP;
    for (int32_t j = 0; j < s->info.n_targets; j++)
        s->scale[j] = 1;
    for (int32_t i = 0; i < s->info.n_features; i++)
        s->sd[i] = 1;
    if (!scaler)
        return TC_OK;
    int rc = probe(scaler, &s->info);
    for (int32_t i = 0; i < s->info.n_features && !rc; i++) {
        s->mean[i] = scaler->mean[i];
        s->sd[i] = scaler->sd[i];
    }
    int32_t p = column_of(&s->info, "price");
    if (!rc && !(s->sd[p] < 1e9 && fabs(s->mean[p]) < 1e9))
        rc = tc_fail(TC_EINPUT, "the scaler's price column lies beyond 1e9");
    if (!rc && !(fabs(s->low) <= NO_CLIP && fabs(s->high) <= NO_CLIP))
        rc = tc_fail(TC_EINPUT, "the scaler's feature_range lies beyond a million");
    for (int32_t j = 0; j < s->info.n_targets; j++) {
        s->scale[j] = s->sd[p];
        s->offset[j] = s->mean[p];
    }
    return rc;
}

/* --- tensors -------------------------------------------------------------------------------------------- */
static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);
    return n >= k && strcmp(s + n - k, end) == 0;
}

/* What stands before "weight_ih_l0": one such tensor only. */
static int find_prefix(const struct tc_torch *file, char prefix[static TC_TORCH_NAME_SIZE])
{
    const char *found = NULL;
    for (size_t i = 0; i < file->n; i++) {
        const char *name = file->tensors[i].name;
        if (!ends_with(name, "weight_ih_l0"))
            continue;
        if (found)
            return tc_fail(TC_EINPUT, "two LSTMs in the file: \"%.64s\" and \"%.64s\"", found, name);
        found = name;
    }
    if (!found)
        return tc_fail(TC_EINPUT,
                       "no LSTM in the file: no tensor ends in weight_ih_l0 (the first is \"%.64s\")",
                       file->tensors[0].name);
    snprintf(prefix, TC_TORCH_NAME_SIZE, "%.*s", (int)(strlen(found) - strlen("weight_ih_l0")), found);
    return TC_OK;
}

/* The linear layer: its weight is the one tensor outside the LSTM with two dimensions. */
static int find_linear(const struct tc_torch *file, const char *prefix, const struct tc_torch_tensor **weight,
                       const struct tc_torch_tensor **bias)
{
    *weight = *bias = NULL;
    for (size_t i = 0; i < file->n; i++) {
        const struct tc_torch_tensor *t = &file->tensors[i];
        const char *rest = strncmp(t->name, prefix, strlen(prefix)) == 0 ? t->name + strlen(prefix) : "";
        if (strstr(rest, "_reverse"))
            return tc_fail(TC_EINPUT,
                           "tensor \"%.64s\": the LSTM reads in both directions; it cannot run on "
                           "bars as they come",
                           t->name);
        if (strncmp(rest, "weight_hr", 9) == 0)
            return tc_fail(TC_EINPUT,
                           "tensor \"%.64s\": an LSTM with projections (proj_size) is not supported",
                           t->name);
        if (strncmp(rest, "weight_ih_l", 11) == 0 || strncmp(rest, "weight_hh_l", 11) == 0 ||
            strncmp(rest, "bias_ih_l", 9) == 0 || strncmp(rest, "bias_hh_l", 9) == 0)
            continue;
        const struct tc_torch_tensor **place = t->dims == 2 ? weight : bias;
        if (*place || !ends_with(t->name, t->dims == 2 ? "weight" : "bias"))
            return tc_fail(TC_EINPUT,
                           "tensor \"%.64s\": besides the LSTM one linear layer is supported, nothing "
                           "else",
                           t->name);
        *place = t;
    }
    return *weight ? TC_OK
                   : tc_fail(TC_EINPUT, "no linear layer after the LSTM: no other tensor has two dimensions");
}

/* `t` as a part of the net; NULL leaves zeros (bias=False). */
static int copy_part(const struct tc_torch_tensor *t, int32_t rows, int32_t cols, float *out)
{
    if (!t)
        return TC_OK;
    if (t->dims != (cols ? 2 : 1) || t->shape[0] != rows || (cols && t->shape[1] != cols))
        return tc_fail(TC_EINPUT, "tensor \"%.64s\": has another shape than the %d x %d that fits the others",
                       t->name, rows, cols ? cols : 1);
    size_t n = (size_t)rows * (size_t)(cols ? cols : 1);
    int rc = tc_torch_copy(t, out, n);
    for (size_t i = 0; i < n && !rc; i++)
        if (!(fabsf(out[i]) <= 1e6F))
            rc = tc_fail(TC_EINPUT, "tensor \"%.64s\": holds a value that is no number up to a million",
                         t->name);
    return rc;
}

static const struct tc_torch_tensor *part(const struct tc_torch *file, const char *prefix, const char *what,
                                          int32_t layer)
{
    char name[TC_TORCH_NAME_SIZE + 32];
    snprintf(name, sizeof(name), "%s%s_l%d", prefix, what, layer);
    return tc_torch_find(file, name);
}

static int copy_layers(const struct tc_torch *file, const char *prefix, struct tc_net *net)
{
    const struct tc_net_shape *s = &net->shape;
    int rc = TC_OK;
    for (int32_t l = 0; l < s->layers && !rc; l++) {
        const struct tc_torch_tensor *hh = part(file, prefix, "weight_hh", l);
        if (!hh)
            return tc_fail(TC_EINPUT, "layer %d of the LSTM has no weight_hh_l%d", l, l);
        rc = copy_part(part(file, prefix, "weight_ih", l), 4 * s->hidden, tc_net_layer_inputs(s, l),
                       net->layer[l].w_ih);
        if (!rc)
            rc = copy_part(hh, 4 * s->hidden, s->hidden, net->layer[l].w_hh);
        if (!rc)
            rc = copy_part(part(file, prefix, "bias_ih", l), 4 * s->hidden, 0, net->layer[l].b_ih);
        if (!rc)
            rc = copy_part(part(file, prefix, "bias_hh", l), 4 * s->hidden, 0, net->layer[l].b_hh);
    }
    return rc;
}

static int read_shape(const struct tc_torch *file, const char *prefix, const struct tc_torch_tensor *linear,
                      int32_t targets, struct tc_net_shape *s)
{
    const struct tc_torch_tensor *first = part(file, prefix, "weight_ih", 0);
    if (first->dims != 2 || first->shape[0] % 4 || first->shape[0] > 4 * TC_NET_HIDDEN_MAX ||
        first->shape[1] > TC_MODEL_FEATURES_MAX)
        return tc_fail(TC_EINPUT, "tensor \"%.64s\": no matrix of 4 x hidden rows, at most %d columns",
                       first->name, TC_MODEL_FEATURES_MAX);
    *s = (struct tc_net_shape){
        .features = (int32_t)first->shape[1], .hidden = (int32_t)first->shape[0] / 4, .targets = targets};
    while (s->layers <= TC_NET_LAYERS_MAX && part(file, prefix, "weight_ih", s->layers))
        s->layers++;
    if (linear->shape[0] != targets)
        return tc_fail(TC_EINPUT,
                       "tensor \"%.64s\": %lld outputs, %d targets; name one for each with --target (such as "
                       "next,last:1s,last:10s)",
                       linear->name, (long long)linear->shape[0], targets);
    return TC_OK;
}

/* Every tensor of the LSTM belongs to a layer that was found. */
static int check_count(const struct tc_torch *file, const char *prefix, const struct tc_net_shape *s,
                       bool linear_bias)
{
    size_t expected = 1 + linear_bias;
    static const char *const parts[] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};
    for (int32_t l = 0; l < s->layers; l++)
        for (size_t k = 0; k < 4; k++)
            expected += part(file, prefix, parts[k], l) != NULL;
    return file->n == expected
               ? TC_OK
               : tc_fail(TC_EINPUT,
                         "%zu tensors in the file, %zu of them make an LSTM of %d layers and a linear layer",
                         file->n, expected, s->layers);
}

static int read_net(const struct tc_torch *file, int32_t targets, struct tc_net *net)
{
    char prefix[TC_TORCH_NAME_SIZE];
    const struct tc_torch_tensor *weight, *bias;
    struct tc_net_shape shape;
    int rc = find_prefix(file, prefix);
    if (!rc)
        rc = find_linear(file, prefix, &weight, &bias);
    if (!rc)
        rc = read_shape(file, prefix, weight, targets, &shape);
    if (!rc)
        rc = check_count(file, prefix, &shape, bias != NULL);
    if (!rc)
        rc = tc_net_open(&shape, net);
    if (rc)
        return rc;
    rc = copy_layers(file, prefix, net);
    if (!rc)
        rc = copy_part(weight, targets, shape.hidden, net->w_out);
    if (!rc)
        rc = copy_part(bias, targets, 0, net->b_out);
    if (rc)
        tc_net_free(net);
    return rc;
}

static int set_card(const struct tc_import *how, struct tc_model_spec *s)
{
    struct tc_model_info *info = &s->info;
    snprintf(s->name, sizeof(s->name), "%s", how->name);
    snprintf(info->inputs, sizeof(info->inputs), "columns");
    snprintf(info->feature_hash, sizeof(info->feature_hash), "as-named");
    snprintf(info->target_unit, sizeof(info->target_unit), "price");
    snprintf(info->version, sizeof(info->version), "%s", how->version);
    info->window = how->window;
    info->block = how->block;
    info->interval_ms = how->interval_ms;
    info->n_targets = how->n_targets;
    for (int32_t j = 0; j < how->n_targets; j++)
        info->targets[j] = (struct tc_model_target){.kind = how->target[j].kind,
                                                    .horizon_ms = how->target[j].horizon_ms,
                                                    .shrink = 1,
                                                    .val_ratio = NAN,
                                                    .val_dm_t = NAN,
                                                    .val_dm_t_least = NAN};
    int32_t inputs = info->n_features * (info->block > 1 ? TC_MODEL_STATS : 1);
    if (inputs != s->net.shape.features)
        return tc_fail(TC_EINPUT, "the network has %d inputs; the columns give it %d%s",
                       s->net.shape.features, inputs, info->block > 1 ? " (mean, max, min, sd of each)" : "");
    return TC_OK;
}

int tc_import_model(const struct tc_torch *file, const struct tc_scaler *scaler, const struct tc_import *how,
                    struct tc_model_spec *out)
{
    memset(out, 0, sizeof(*out));
    int rc = read_net(file, how->n_targets, &out->net);
    if (rc)
        return rc;
    rc = set_columns(scaler, how, &out->info);
    if (!rc)
        rc = set_card(how, out);
    if (!rc)
        rc = set_scaler(scaler, out);
    if (rc)
        tc_model_spec_free(out);
    return rc;
}
