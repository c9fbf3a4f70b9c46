/* docs.h - the tables of options and commands as files. All are generated from the same rows as --help. */
#pragma once

#include "base/buf.h"

/* A YAML file in which every key stands as a comment with its default (`tickcast init`). */
void tc_docs_yaml(struct tc_buf *out);

void tc_docs_configuration(struct tc_buf *out); /* docs/configuration.md */
void tc_docs_man(struct tc_buf *out);           /* tickcast(1) */
void tc_docs_bash(struct tc_buf *out);
void tc_docs_zsh(struct tc_buf *out);
void tc_docs_fish(struct tc_buf *out);
