/* retrain.h - the nightly job that trains the first network anew on what was recorded and puts it in place of
 * the old one only if it forecasts the newest session better, a session that neither has seen.
 *
 * Training and comparison are `tickcast train` and `tickcast backtest` in processes of their own, at low
 * priority, with files in DATA/models. A new file is renamed over the old one; a running program takes it
 * over by itself (app/model_files.h).
 */
#pragma once

#include "app/config.h"
#include "role/schedule.h"

struct tc_retrain;

/* With schedule.retrain and no model named: makes DATA/models/own.safetensors from the shipped model, if it
 * is not there, and uses it, so that what is shipped is never written over. */
int tc_retrain_own_model(struct tc_config *c);

/* `data_dir` and `models` are borrowed; the first of the models is the one that is replaced. */
struct tc_retrain_conf {
    const char *data_dir, *calendar;
    const struct tc_opt_list *models;
    const struct tc_opt_list *flags; /* further flags of `tickcast train` */
};

int tc_retrain_open(const struct tc_retrain_conf *conf, struct tc_retrain **out);
void tc_retrain_close(struct tc_retrain *r); /* takes NULL; after the schedule role */
struct tc_job tc_retrain_job(struct tc_retrain *r);

/* The comparison of a back-test's JSON (`text`): the mean over symbols and targets with at least 200
 * forecasts of the logarithm of error over that of "no change", as a ratio, of each model on the targets that
 * both have. TC_ENOTFOUND: there is none such. */
int tc_retrain_compare(const char *text, const char *old_model, const char *new_model, double *old_ratio,
                       double *new_ratio);
