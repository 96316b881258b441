#include "models/transformer_impl.h"
#include "ops/activation.h"
#include "ops/embedding.h"

namespace assay::models {

using tensor::DType;
using tensor::MatrixView;

MatrixView Transformer::Impl::logits(MatrixView hidden, const ops::Indices& rows,
                                     ops::Context& context) {
  if (config.head != HeadKind::language_model) {
    fail(ErrorCode::usage, "{} has no language model head", config.architecture);
  }
  const std::int64_t count = std::ssize(rows.host);
  Arena& here = arena(hidden.device);
  const MatrixView x = here.get(here.gathered, activations, count, config.hidden);
  ops::gather_rows(hidden, rows, x, context);
  Arena& there = arena(head_output->device());
  const MatrixView y = there.get(there.head_result, DType::f32, count, config.vocabulary);
  linear(*head_output, x, y, context);
  if (config.logit_soft_cap > 0) {
    note_overflow(y, context);  // the cap would hide an infinity
    ops::soft_cap(y, config.logit_soft_cap, context);
  }
  return y;
}

MatrixView Transformer::Impl::classify(MatrixView hidden, ops::Context& context) {
  if (config.head != HeadKind::classifier) {
    fail(ErrorCode::usage, "{} has no classifier", config.architecture);
  }
  const BatchTables& tables = current->tables;
  const std::int64_t count = tables.sequence_count();
  Arena& here = arena(hidden.device);
  const MatrixView read = here.get(here.gathered, activations, count, config.hidden);
  if (config.mean_classifier) {
    ops::mean_rows(hidden, tables.sequences(hidden.device), false, read, context);
  } else {
    ops::gather_rows(hidden, tables.picked(hidden.device), read, context);
  }
  const MatrixView dense = here.get(here.head_hidden, activations, count, config.hidden);
  linear(*head_dense, read, dense, context);
  note_overflow(dense, context);  // tanh and relu would hide an infinity
  ops::apply(config.head_activation, dense, context);
  if (!head_norm.weight.empty()) normalize(head_norm, dense, dense, context);
  const MatrixView y = here.get(here.head_result, DType::f32, count, std::ssize(config.labels));
  linear(*head_output, dense, y, context);
  note_overflow(y, context);
  return y;
}

MatrixView Transformer::Impl::embed(MatrixView hidden, bool normalize, ops::Context& context) {
  const BatchTables& tables = current->tables;
  Arena& here = arena(hidden.device);
  const MatrixView y = here.get(here.pooled, DType::f32, tables.sequence_count(), config.hidden);
  ops::mean_rows(hidden, tables.sequences(hidden.device), normalize, y, context);
  return y;
}

}  // namespace assay::models
