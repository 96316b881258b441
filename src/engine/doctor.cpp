#include "engine/doctor.h"

#include <algorithm>
#include <cmath>

#include "base/hash.h"
#include "ops/linear.h"
#include "precision/sample_weight.h"

namespace assay::engine {
namespace {

constexpr std::int64_t kRows = 96;
constexpr std::int64_t kCols = 256;  // whole blocks of every encoding
constexpr std::int64_t kTokens = 5;

std::vector<float> random_values(std::int64_t count, double scale, std::uint64_t seed) {
  base::Random random(seed);
  std::vector<float> values(static_cast<std::size_t>(count));
  std::ranges::generate(values, [&] { return static_cast<float>(scale * random.normal()); });
  return values;
}

/// Relative error that the types allow: half a step of the output type, and for int8 activations
/// half a code step of each of k products, which adds like a random walk.
double allowed_error(const precision::Precision& precision, tensor::DType type) {
  const double output = type == tensor::DType::f32 ? 1e-5 : 1e-2;
  return precision.activation == precision::Activation::int8_dynamic ? output + 2e-2 : output;
}

/// max|y - reference| / max|reference|, the reference in double from the decoded weights.
double error_of(const precision::EncodedTensor& weight, tensor::MatrixView x,
                tensor::MatrixView y) {
  std::vector<float> w(kCols);
  std::vector<float> activations(kCols);
  std::vector<float> outputs(kRows);
  double worst = 0.0;
  double largest = 0.0;
  for (std::int64_t n = 0; n < kRows; ++n) {
    precision::info(weight.encoding).decode_row(weight, n, w);
    for (std::int64_t m = 0; m < kTokens; ++m) {
      tensor::load_row(x, m, activations);
      tensor::load_row(y, m, outputs);
      double sum = 0.0;
      for (std::size_t k = 0; k < w.size(); ++k) sum += double{w[k]} * activations[k];
      const double difference = std::abs(sum - double{outputs[static_cast<std::size_t>(n)]});
      worst = std::isfinite(difference) ? std::max(worst, difference) : INFINITY;
      largest = std::max(largest, std::abs(sum));
    }
  }
  return worst / largest;
}

void try_precision(const precision::Precision& precision, base::ThreadPool& pool, Diagnosis& row) {
  const auto type = precision.compute.value_or(tensor::DType::bf16);
  const auto& info = precision::info(*precision.weight);
  const auto choice = ops::choose_linear({.encoding = info.id,
                                          .activation = precision.activation,
                                          .compute = type,
                                          .double_quant = precision.double_quant,
                                          .n = kRows,
                                          .k = kCols});
  if (choice.kernel == nullptr) {
    row.reason = choice.reason;
    return;
  }
  auto weight = precision::sample_weight(info.id, kRows, kCols, 1);
  if (precision.double_quant) precision::quantize_scales(weight);
  tensor::Matrix x(tensor::held_as(type), kTokens, kCols);
  tensor::Matrix y(tensor::held_as(type), kTokens, kRows);
  const auto values = random_values(kTokens * kCols, 1.0, 2);
  for (std::int64_t m = 0; m < kTokens; ++m) {
    tensor::store_row(x.view(), m, std::span(values).subspan(m * kCols, kCols));
  }
  kernels::cpu::Workspace workspace;
  precision::Ledger ledger;
  ops::Context context{pool, workspace, ledger};
  const ops::Linear layer("doctor", weight, {}, precision, *choice.kernel, context);
  layer.run(x.view(), y.view(), context);
  row.kernel = std::string(ledger.entries().front().kernel.kernel);
  row.error = error_of(weight, x.view(), y.view());
  row.tolerance = allowed_error(precision, type);
  row.works = row.error <= row.tolerance;
  if (!row.works) {
    row.reason = fmt::format("error {:.2g} is above {:.2g}", row.error, row.tolerance);
  }
}

std::vector<precision::Precision> known_precisions() {
  std::vector<precision::Precision> all;
  for (const auto& name : precision::precision_names()) {
    auto precision = precision::parse_precision(name, "doctor");
    if (!precision.weight) continue;  // "stored" is whatever the file holds
    all.push_back(precision);
    if (name != "nf4") continue;
    all.push_back(
        precision::parse_precision({{"precision", "nf4"}, {"double_quant", true}}, "doctor"));
    all.back().name = "nf4 + double_quant";
  }
  return all;
}

}  // namespace

std::vector<Diagnosis> diagnose_cpu() {
  base::ThreadPool pool(base::available_threads());
  std::vector<Diagnosis> rows;
  for (const auto& precision : known_precisions()) {
    Diagnosis& row = rows.emplace_back(Diagnosis{.precision = precision.name, .device = "cpu"});
    try {
      try_precision(precision, pool, row);
    } catch (const Error& error) {
      row.reason = error.what();
    }
  }
  return rows;
}

std::vector<Diagnosis> diagnose_cuda() {
  std::vector<Diagnosis> rows;
  for (const auto& precision : known_precisions()) {
    rows.push_back({.precision = precision.name, .device = "cuda", .reason = "built without CUDA"});
  }
  return rows;
}

}  // namespace assay::engine
