#include "ops/scores.h"

#include "kernels/cpu/elementwise.h"
#include "kernels/cuda/elementwise.h"
#include "ops/check.h"

namespace assay::ops {
namespace {

void on_cpu(tensor::MatrixView logits, std::span<const std::int32_t> rows,
            std::span<const std::int32_t> columns, Scores& scores, Context& context) {
  context.pool.parallel_for(logits.rows, [&](int, std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const std::span row(logits.row<float>(r), static_cast<std::size_t>(logits.cols));
      scores.log_sum_exp[static_cast<std::size_t>(r)] = kernels::cpu::log_sum_exp(row);
      scores.argmax[static_cast<std::size_t>(r)] =
          static_cast<std::int32_t>(kernels::cpu::argmax(row));
    }
  });
  for (std::size_t i = 0; i < rows.size(); ++i) {
    scores.values[i] = logits.row<float>(rows[i])[columns[i]];
  }
}

void on_device(tensor::MatrixView logits, std::span<const std::int32_t> rows,
               std::span<const std::int32_t> columns, Scores& scores, CudaQueue& queue) {
  const std::size_t sums = scores.log_sum_exp.size() * sizeof(double);
  const std::size_t best = scores.argmax.size() * sizeof(std::int32_t);
  const std::size_t asked = rows.size_bytes();
  std::byte* memory =
      queue.workspace.get(kernels::cuda::Workspace::kOther, sums + best + 3 * asked);
  auto* log_sums = reinterpret_cast<double*>(memory);
  auto* indices = reinterpret_cast<std::int32_t*>(memory + sums);
  auto* row_there = reinterpret_cast<std::int32_t*>(memory + sums + best);
  auto* column_there = row_there + rows.size();
  auto* values = reinterpret_cast<float*>(column_there + rows.size());
  queue.stream.copy_to_device(row_there, rows.data(), asked);
  queue.stream.copy_to_device(column_there, columns.data(), asked);
  kernels::cuda::row_statistics(logits, indices, log_sums, queue.stream);
  kernels::cuda::gather_elements(logits, row_there, column_there, std::ssize(rows), values,
                                 queue.stream);
  queue.stream.copy_to_host(scores.log_sum_exp.data(), log_sums, sums);
  queue.stream.copy_to_host(scores.argmax.data(), indices, best);
  queue.stream.copy_to_host(scores.values.data(), values, asked);
  queue.stream.synchronize();
}

}  // namespace

void score(tensor::MatrixView logits, std::span<const std::int32_t> rows,
           std::span<const std::int32_t> columns, Scores& scores, Context& context) {
  check_size("score", "columns", columns.size(), std::ssize(rows));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] >= 0 && rows[i] < logits.rows && columns[i] >= 0 && columns[i] < logits.cols)
      continue;
    fail(ErrorCode::internal, "score: element ({}, {}) of [{}, {}]", rows[i], columns[i],
         logits.rows, logits.cols);
  }
  scores.log_sum_exp.resize(static_cast<std::size_t>(logits.rows));
  scores.argmax.resize(static_cast<std::size_t>(logits.rows));
  scores.values.resize(rows.size());
  dispatch(
      logits, context, [&] { on_cpu(logits, rows, columns, scores, context); },
      [&](CudaQueue& queue) { on_device(logits, rows, columns, scores, queue); });
}

}  // namespace assay::ops
