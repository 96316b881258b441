#include "ops/linear.h"

#include <algorithm>
#include <functional>
#include <optional>

namespace assay::ops {
namespace {

using kernels::cpu::Isa;
using kernels::cpu::LinearKernel;
using kernels::cpu::LinearProblem;

std::optional<Isa> isa_of(std::string_view path) {
  for (const Isa isa : {Isa::portable, Isa::avx2, Isa::avx512, Isa::avx512_vnni_bf16, Isa::amx}) {
    if (kernels::cpu::name_of(isa) == path) return isa;
  }
  return std::nullopt;
}

bool path_is_active(const LinearKernel& kernel) {
  const auto isa = isa_of(kernel.identity.path);
  return isa && *isa <= kernels::cpu::active_isa();
}

std::string describe(const LinearProblem& problem) {
  const bool int8 = problem.activation == precision::Activation::int8_dynamic;
  return fmt::format("{}{} weights [{}, {}] with {} activations in {}",
                     precision::name_of(problem.encoding),
                     problem.double_quant ? " (double-quantized)" : "", problem.n, problem.k,
                     int8 ? "int8" : "plain", tensor::name_of(problem.compute));
}

/// Kernels of the same encoding and activation come nearest; equal reasons are told once.
void add_reason(const LinearKernel& kernel, const LinearProblem& problem, const std::string& why,
                std::vector<std::string>& reasons) {
  if (kernel.identity.encoding != problem.encoding) return;
  if (kernel.identity.activation != problem.activation) return;
  if (std::ranges::find(reasons, why) == reasons.end()) reasons.push_back(why);
}

[[noreturn]] void rethrow_with_layer(const std::string& layer, const Error& error) {
  fail(error.code(), "{}: {}", layer, error.what());
}

}  // namespace

LinearChoice choose_linear(const LinearProblem& problem) {
  const auto& cpu = kernels::cpu::cpu_features();
  std::vector<std::string> reasons;
  for (const LinearKernel& kernel : kernels::cpu::linear_kernels()) {
    std::string why;
    if (!kernel.supports(problem, cpu, &why)) {
      add_reason(kernel, problem, why, reasons);
    } else if (!path_is_active(kernel)) {
      add_reason(
          kernel, problem,
          fmt::format("{} needs {}, but the active instruction set is {}", kernel.identity.kernel,
                      kernel.identity.path, kernels::cpu::name_of(kernels::cpu::active_isa())),
          reasons);
    } else {
      return {&kernel, ""};
    }
  }
  std::string reason = fmt::format("no CPU kernel for {}", describe(problem));
  for (std::size_t i = 0; i < reasons.size(); ++i) reason += (i == 0 ? ": " : "; ") + reasons[i];
  return {nullptr, reason};
}

const LinearKernel* find_linear_kernel(std::string_view name) {
  for (const LinearKernel& kernel : kernels::cpu::linear_kernels()) {
    if (kernel.identity.kernel == name) return &kernel;
  }
  return nullptr;
}

Linear::Linear(std::string name, const precision::EncodedTensor& weight, std::vector<float> bias,
               const precision::Precision& precision, const LinearKernel& kernel, Context& context)
    : name_(std::move(name)), bias_(std::move(bias)), kernel_(&kernel) {
  if (!bias_.empty() && static_cast<std::int64_t>(bias_.size()) != weight.rows) {
    fail(ErrorCode::bad_data, "{}: the bias has {} values, the weight {} rows", name_, bias_.size(),
         weight.rows);
  }
  if (weight.encoding != kernel.identity.encoding) {
    fail(ErrorCode::internal, "{}: the weight is {}, kernel {} reads {}", name_,
         precision::name_of(weight.encoding), kernel.identity.kernel,
         precision::name_of(kernel.identity.encoding));
  }
  if (precision.activation == precision::Activation::int8_dynamic) {
    threshold_ = precision.threshold;
  }
  try {
    weight_ = std::make_shared<const kernels::cpu::PackedWeight>(kernel.pack(weight, context.pool));
  } catch (const Error& error) {
    rethrow_with_layer(name_, error);
  }
  ledger_id_ = context.ledger.add_layer(name_);
}

Linear::Linear(std::string name, const Linear& other, Context& context)
    : name_(std::move(name)),
      weight_(other.weight_),
      threshold_(other.threshold_),
      kernel_(other.kernel_),
      ledger_id_(context.ledger.add_layer(name_)) {}

Linear::Linear(std::string name, const Linear& other, const precision::Precision& precision,
               const LinearKernel& kernel, Context& context)
    : Linear(std::move(name), other, context) {
  if (kernel.identity.encoding != other.encoding() || kernel.pack != other.kernel_->pack) {
    fail(ErrorCode::internal, "{}: kernel {} does not read the packed weight of {}", name_,
         kernel.identity.kernel, other.name());
  }
  const bool int8 = precision.activation == precision::Activation::int8_dynamic;
  threshold_ = int8 ? precision.threshold : 0.0F;
  kernel_ = &kernel;
}

void Linear::fix_outliers(std::vector<std::int32_t> columns) {
  const bool ascending = std::ranges::adjacent_find(columns, std::greater_equal()) == columns.end();
  if (!ascending || (!columns.empty() && (columns.front() < 0 || columns.back() >= cols()))) {
    fail(ErrorCode::internal, "{}: its {} outlier columns are not columns of [{}, {}]", name_,
         columns.size(), rows(), cols());
  }
  outliers_ = std::move(columns);
}

void Linear::check_shapes(tensor::MatrixView x, tensor::MatrixView y) const {
  if (x.cols != cols() || y.cols != rows() || x.rows != y.rows) {
    fail(ErrorCode::internal, "{}: weight [{}, {}] does not map [{}, {}] to [{}, {}]", name_,
         rows(), cols(), x.rows, x.cols, y.rows, y.cols);
  }
}

void Linear::run(tensor::MatrixView x, tensor::MatrixView y, Context& context) const {
  check_shapes(x, y);
  if (x.rows == 0) return;
  if (context.observer) context.observer(name_, x);
  kernels::cpu::LinearCall call{.weight = *weight_,
                                .x = x,
                                .y = y,
                                .bias = bias_,
                                .threshold = threshold_,
                                .fixed_outliers = outliers_ ? &*outliers_ : nullptr,
                                .pool = context.pool,
                                .workspace = context.workspace};
  const precision::KernelIdentity ran = kernel_->run(call);
  context.ledger.record(ledger_id_, ran, x.rows, call.outlier_columns);
}

/// A group with an order of its own columns reads x in that order.
bool Linear::shares_call(const Linear& other) const {
  return kernel_ == other.kernel_ && threshold_ == other.threshold_ &&
         outliers_ == other.outliers_ && weight_->rest.groups == nullptr &&
         other.weight_->rest.groups == nullptr;
}

void Linear::run_all(std::span<const Linear* const> layers, tensor::MatrixView x,
                     std::span<const tensor::MatrixView> y, Context& context) {
  const Linear& first = *layers[0];
  std::vector<kernels::cpu::LinearProduct> others;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    layers[i]->check_shapes(x, y[i]);
    if (!first.shares_call(*layers[i])) {
      for (std::size_t j = 0; j < layers.size(); ++j) layers[j]->run(x, y[j], context);
      return;
    }
    if (i > 0) others.push_back({*layers[i]->weight_, y[i], layers[i]->bias_});
  }
  if (x.rows == 0) return;
  for (const Linear* layer : layers) {
    if (context.observer) context.observer(layer->name_, x);
  }
  kernels::cpu::LinearCall call{.weight = *first.weight_,
                                .x = x,
                                .y = y[0],
                                .bias = first.bias_,
                                .threshold = first.threshold_,
                                .fixed_outliers = first.outliers_ ? &*first.outliers_ : nullptr,
                                .pool = context.pool,
                                .workspace = context.workspace,
                                .others = others};
  const precision::KernelIdentity ran = first.kernel_->run(call);
  for (const Linear* layer : layers) {
    context.ledger.record(layer->ledger_id_, ran, x.rows, call.outlier_columns);
  }
}

void Linear::lookup(std::span<const std::int32_t> ids, tensor::MatrixView y,
                    Context& context) const {
  if (y.cols != cols() || y.rows != static_cast<std::int64_t>(ids.size())) {
    fail(ErrorCode::internal, "{}: {} rows of {} values do not fit [{}, {}]", name_, ids.size(),
         cols(), y.rows, y.cols);
  }
  for (const std::int32_t id : ids) {
    if (id < 0 || id >= rows()) {
      fail(ErrorCode::bad_data, "{}: row {} was asked of a table of {} rows", name_, id, rows());
    }
  }
  if (ids.empty()) return;
  const precision::KernelIdentity ran = kernel_->lookup(*weight_, ids, y);
  context.ledger.record(ledger_id_, ran, y.rows);
}

}  // namespace assay::ops
