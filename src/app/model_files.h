/* model_files.h - the configured model files of a run: loaded at the start, watched while it runs. A file
 * that has changed (train, import and cp into place do that) is read, checked, warmed up beside the old model
 * and put in its place; what cannot be used changes nothing and is said once. One thread, the program's main
 * one. */
#pragma once

#include "app/config.h"
#include "model/model.h"
#include "role/role.h"
#include "serve/models.h"

struct tc_model_files;

int tc_model_files_open(const struct tc_config *c, struct tc_model_files **out);
/* After the roles that use them; takes NULL. */
void tc_model_files_close(struct tc_model_files *f);

size_t tc_model_files_count(const struct tc_model_files *f);
struct tc_model *tc_model_files_at(const struct tc_model_files *f, size_t place);
struct tc_models *tc_model_files_cards(struct tc_model_files *f); /* for the serve role */

/* Looks at the files every two seconds and at an exchange under way; to be called often. */
void tc_model_files_watch(struct tc_model_files *f, struct tc_role *forecast);
