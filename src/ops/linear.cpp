#include "ops/linear.h"

#include <algorithm>
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
  using precision::Activation;
  const std::string_view activations = problem.activation == Activation::int8_dynamic  ? "int8"
                                       : problem.activation == Activation::fp8_dynamic ? "fp8"
                                                                                       : "plain";
  return fmt::format("{}{} weights [{}, {}] with {} activations in {}",
                     precision::name_of(problem.encoding),
                     problem.double_quant ? " (double-quantized)" : "", problem.n, problem.k,
                     activations, tensor::name_of(problem.compute));
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
  if (problem.compute == tensor::DType::tf32) {
    reasons = {"tf32 is an arithmetic of CUDA devices of capability 8.0 and later"};
  } else if (problem.activation == precision::Activation::fp8_dynamic) {
    reasons = {"fp8 is an arithmetic of CUDA devices of capability 8.9 and later"};
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

void Linear::run(tensor::MatrixView x, tensor::MatrixView y, Context& context) const {
  if (x.cols != cols() || y.cols != rows() || x.rows != y.rows) {
    fail(ErrorCode::internal, "{}: weight [{}, {}] does not map [{}, {}] to [{}, {}]", name_,
         rows(), cols(), x.rows, x.cols, y.rows, y.cols);
  }
  if (x.rows == 0) return;
  kernels::cpu::LinearCall call{.weight = *weight_,
                                .x = x,
                                .y = y,
                                .bias = bias_,
                                .threshold = threshold_,
                                .pool = context.pool,
                                .workspace = context.workspace};
  const precision::KernelIdentity ran = kernel_->run(call);
  context.ledger.record(ledger_id_, ran, x.rows, call.outlier_columns);
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
