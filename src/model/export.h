/* export.h - a model as an ONNX graph, for whoever runs it elsewhere (docs/model.md, "Models for others").
 *
 * Inputs: `rows` [batch, rows, features], double: feature values as a model file names them, scaled inside
 * in double precision as the engine does; or with `scaled` instead `inputs` [batch, steps, inputs], float:
 * the network's own inputs. Stateful models also take `h` and `c` [layers, batch, hidden], zeros at first.
 * Outputs after the last row: `raw` [batch, targets], float, and `value`, double, in the target's unit;
 * stateful models also give `h_next` and `c_next`. batch and the number of rows are free (of block models a
 * whole number of blocks). The file's metadata are those of the model file.
 */
#pragma once

#include "model/file.h"

int tc_model_export_onnx(const struct tc_model_spec *spec, bool scaled, struct tc_buf *out);
