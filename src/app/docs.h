/* docs.h - the option table as files: the commented configuration that `tickcast init` writes. */
#pragma once

#include "base/buf.h"

/* A YAML file in which every key stands as a comment with its default. */
void tc_docs_yaml(struct tc_buf *out);
