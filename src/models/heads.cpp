#include <algorithm>
#include <cmath>

#include "models/transformer_impl.h"
#include "ops/activation.h"
#include "ops/embedding.h"

namespace assay::models {

using tensor::DType;
using tensor::MatrixView;

MatrixView Transformer::logits(MatrixView hidden, std::span<const std::int32_t> rows,
                               ops::Context& context) {
  Impl& impl = *impl_;
  if (impl.config.head != HeadKind::language_model) {
    fail(ErrorCode::usage, "{} has no language model head", impl.config.architecture);
  }
  const std::int64_t count = std::ssize(rows);
  const MatrixView x = impl.gathered.get(impl.activations, count, impl.config.hidden);
  ops::gather_rows(hidden, rows, x);
  const MatrixView y = impl.head_result.get(DType::f32, count, impl.config.vocabulary);
  impl.linear(*impl.head_output, x, y, context);
  if (impl.config.logit_soft_cap > 0) {
    impl.demand_finite(y, impl.head_output->name());  // the cap would hide an infinity
    ops::soft_cap(y, impl.config.logit_soft_cap, context.pool);
  }
  return y;
}

MatrixView Transformer::classify(MatrixView hidden, Batch batch, ops::Context& context) {
  Impl& impl = *impl_;
  if (impl.config.head != HeadKind::classifier) {
    fail(ErrorCode::usage, "{} has no classifier", impl.config.architecture);
  }
  const std::int64_t count = std::ssize(batch);
  const MatrixView read = impl.gathered.get(impl.activations, count, impl.config.hidden);
  if (impl.config.mean_classifier) {
    const MatrixView means = embed(hidden, batch, false);
    for (std::int64_t i = 0; i < count; ++i) {
      tensor::store_row(read, i, {means.row<float>(i), static_cast<std::size_t>(means.cols)});
    }
  } else {
    impl.first_rows.clear();
    std::int64_t begin = 0;
    for (const Sequence& s : batch) {
      impl.first_rows.push_back(static_cast<std::int32_t>(begin));
      begin += std::ssize(s.tokens);
    }
    ops::gather_rows(hidden, impl.first_rows, read);
  }
  const MatrixView dense = impl.head_hidden.get(impl.activations, count, impl.config.hidden);
  impl.linear(*impl.head_dense, read, dense, context);
  impl.demand_finite(dense, impl.head_dense->name());  // tanh and relu would hide an infinity
  ops::apply(impl.config.head_activation, dense, context.pool);
  if (!impl.head_norm.weight.empty()) impl.normalize(impl.head_norm, dense, dense, context);
  const MatrixView y = impl.head_result.get(DType::f32, count, std::ssize(impl.config.labels));
  impl.linear(*impl.head_output, dense, y, context);
  impl.demand_finite(y, impl.head_output->name());
  return y;
}

MatrixView Transformer::embed(MatrixView hidden, Batch batch, bool normalize) {
  Impl& impl = *impl_;
  const MatrixView result = impl.pooled.get(DType::f32, std::ssize(batch), impl.config.hidden);
  std::int64_t begin = 0;
  for (std::int64_t i = 0; i < result.rows; ++i) {
    const std::int64_t count = std::ssize(batch[i].tokens);
    std::fill(impl.sums.begin(), impl.sums.end(), 0.0);
    for (std::int64_t r = begin; r < begin + count; ++r) {
      tensor::load_row(hidden, r, std::span(impl.row).first(impl.sums.size()));
      for (std::size_t j = 0; j < impl.sums.size(); ++j) impl.sums[j] += impl.row[j];
    }
    double norm = 0.0;
    for (double& sum : impl.sums) {
      sum /= static_cast<double>(count);
      norm += sum * sum;
    }
    const double scale = normalize ? 1.0 / std::max(std::sqrt(norm), 1e-12) : 1.0;
    for (std::size_t j = 0; j < impl.sums.size(); ++j) {
      result.row<float>(i)[j] = static_cast<float>(impl.sums[j] * scale);
    }
    begin += count;
  }
  return result;
}

}  // namespace assay::models
