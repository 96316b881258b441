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
  // tf32 multiplies values of 11 bits.
  const bool tf32 = type == tensor::DType::tf32;
  const double output = tf32 ? 2e-3 : type == tensor::DType::f32 ? 1e-5 : 1e-2;
  const bool int8 = precision.activation == precision::Activation::int8_dynamic ||
                    precision.activation == precision::Activation::int8_static;
  if (int8) return output + 2e-2;
  // Half a step of E4M3 is 2^-4 of a value, in each of k products.
  if (precision.activation == precision::Activation::fp8_dynamic) return output + 6e-2;
  return output;
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

/// Where precisions are tried.
struct Bench {
  base::ThreadPool& pool;
  const kernels::cuda::DeviceInfo* cuda = nullptr;  ///< none: the CPU
  ops::CudaQueues queues = {};
  [[nodiscard]] tensor::Device device() const {
    return cuda == nullptr ? tensor::Device{}
                           : tensor::Device{tensor::DeviceKind::cuda, cuda->index};
  }
  /// The 16-bit type beside quantized weights.
  [[nodiscard]] tensor::DType sixteen_bit() const {
    return cuda != nullptr && !cuda->has_bf16() ? tensor::DType::f16 : tensor::DType::bf16;
  }
};

void try_precision(const precision::Precision& precision, Bench& bench, Diagnosis& row) {
  const auto type = precision.compute.value_or(bench.sixteen_bit());
  const auto& info = precision::info(*precision.weight);
  const kernels::cpu::LinearProblem problem = {.encoding = info.id,
                                               .activation = precision.activation,
                                               .compute = type,
                                               .double_quant = precision.double_quant,
                                               .n = kRows,
                                               .k = kCols};
  const auto choice = bench.cuda == nullptr ? ops::choose_linear(problem)
                                            : ops::choose_linear(problem, *bench.cuda);
  if (!choice.kernel) {
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
  ops::Context context{
      .pool = bench.pool, .workspace = workspace, .ledger = ledger, .cuda = &bench.queues};
  ops::Linear layer("doctor", weight, {}, precision, choice.kernel, context, bench.device());
  if (precision.activation == precision::Activation::int8_static) {
    layer.fix_range(
        std::abs(*std::ranges::max_element(values, {}, [](float v) { return std::abs(v); })));
  }
  const tensor::Matrix x_there(x.type(), kTokens, kCols, bench.device());
  const tensor::Matrix y_there(x.type(), kTokens, kRows, bench.device());
  ops::copy(x.view(), x_there.view(), context);
  layer.run(x_there.view(), y_there.view(), context);
  ops::copy(y_there.view(), y.view(), context);
  row.kernel = std::string(ledger.entries().front().kernel.kernel);
  row.path = std::string(ledger.entries().front().kernel.path);
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

namespace {

std::vector<Diagnosis> diagnose(const std::string& device, Bench& bench) {
  std::vector<Diagnosis> rows;
  for (const auto& precision : known_precisions()) {
    Diagnosis& row = rows.emplace_back(Diagnosis{.precision = precision.name, .device = device});
    try {
      try_precision(precision, bench, row);
    } catch (const Error& error) {
      row.reason = error.what();
    }
  }
  return rows;
}

}  // namespace

std::vector<Diagnosis> diagnose_cpu() {
  base::ThreadPool pool(base::available_threads());
  Bench bench{.pool = pool};
  return diagnose("cpu", bench);
}

std::vector<Diagnosis> diagnose_cuda(int index) {
  const std::string name = tensor::to_string({tensor::DeviceKind::cuda, index});
  std::string reason;
  try {
    base::ThreadPool pool(1);
    Bench bench{.pool = pool, .cuda = &kernels::cuda::device(index)};
    bench.queues.open(index);
    return diagnose(name, bench);
  } catch (const Error& error) {
    reason = error.what();
  }
  std::vector<Diagnosis> rows;
  for (const auto& precision : known_precisions()) {
    rows.push_back({.precision = precision.name, .device = name, .reason = reason});
  }
  return rows;
}

}  // namespace assay::engine
