#include "ops/linear.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

namespace assay::ops {
namespace {

using kernels::cpu::Isa;
using CpuKernel = kernels::cpu::LinearKernel;
using CudaKernel = kernels::cuda::LinearKernel;

std::optional<Isa> isa_of(std::string_view path) {
  for (const Isa isa : {Isa::portable, Isa::avx2, Isa::avx512, Isa::avx512_vnni_bf16, Isa::amx}) {
    if (kernels::cpu::name_of(isa) == path) return isa;
  }
  return std::nullopt;
}

bool path_is_active(const CpuKernel& kernel) {
  const auto isa = isa_of(kernel.identity.path);
  return isa && *isa <= kernels::cpu::active_isa();
}

std::string describe(const LinearProblem& problem) {
  using precision::Activation;
  const std::string_view name = precision::name_of(problem.activation);
  const std::string_view activations =
      problem.activation == Activation::native
          ? "plain"
          : name.substr(0, name.find('_'));  // "int8" of "int8_dynamic"
  return fmt::format("{}{} weights [{}, {}] with {} activations in {}",
                     precision::name_of(problem.encoding),
                     problem.double_quant ? " (double-quantized)" : "", problem.n, problem.k,
                     activations, tensor::name_of(problem.compute));
}

/// Kernels of the same encoding and activation come nearest; equal reasons are told once.
void add_reason(const precision::KernelIdentity& identity, const LinearProblem& problem,
                const std::string& why, std::vector<std::string>& reasons) {
  if (identity.encoding != problem.encoding || identity.activation != problem.activation) return;
  if (std::ranges::find(reasons, why) == reasons.end()) reasons.push_back(why);
}

LinearChoice refused(const std::string& what, const std::vector<std::string>& reasons) {
  std::string reason = what;
  for (std::size_t i = 0; i < reasons.size(); ++i) reason += (i == 0 ? ": " : "; ") + reasons[i];
  return {{}, reason};
}

[[noreturn]] void rethrow_with_layer(const std::string& layer, const Error& error) {
  fail(error.code(), "{}: {}", layer, error.what());
}

}  // namespace

bool LinearKernel::shares_packing(const LinearKernel& other) const {
  if (cpu_ != nullptr) return other.cpu_ != nullptr && cpu_->pack == other.cpu_->pack;
  return cuda_ != nullptr && other.cuda_ != nullptr && cuda_->pack == other.cuda_->pack;
}

LinearChoice choose_linear(const LinearProblem& problem) {
  const auto& cpu = kernels::cpu::cpu_features();
  std::vector<std::string> reasons;
  for (const CpuKernel& kernel : kernels::cpu::linear_kernels()) {
    std::string why;
    if (!kernel.supports(problem, cpu, &why)) {
      add_reason(kernel.identity, problem, why, reasons);
    } else if (!path_is_active(kernel)) {
      add_reason(
          kernel.identity, problem,
          fmt::format("{} needs {}, but the active instruction set is {}", kernel.identity.kernel,
                      kernel.identity.path, kernels::cpu::name_of(kernels::cpu::active_isa())),
          reasons);
    } else {
      return {kernel, ""};
    }
  }
  if (problem.compute == tensor::DType::tf32) {
    reasons = {"tf32 is an arithmetic of CUDA devices of capability 8.0 and later"};
  } else if (problem.activation == precision::Activation::fp8_dynamic) {
    reasons = {"fp8 is an arithmetic of CUDA devices of capability 8.9 and later"};
  }
  return refused("no CPU kernel for " + describe(problem), reasons);
}

LinearChoice choose_linear(const LinearProblem& problem, const kernels::cuda::DeviceInfo& device) {
  std::vector<std::string> reasons;
  for (const CudaKernel& kernel : kernels::cuda::linear_kernels()) {
    // Other paths' kernels are no reasons: the device does not run them.
    if (kernel.identity.path != kernels::cuda::name_of(device.path)) continue;
    std::string why;
    if (kernel.supports(problem, device, &why)) return {kernel, ""};
    add_reason(kernel.identity, problem, why, reasons);
  }
  return refused(fmt::format("no CUDA kernel of {} for {}", kernels::cuda::name_of(device.path),
                             describe(problem)),
                 reasons);
}

const CpuKernel* find_linear_kernel(std::string_view name) {
  for (const CpuKernel& kernel : kernels::cpu::linear_kernels()) {
    if (kernel.identity.kernel == name) return &kernel;
  }
  return nullptr;
}

Linear::Linear(std::string name, const precision::Precision& precision, LinearKernel kernel,
               tensor::Device device, Context& context)
    : name_(std::move(name)),
      device_(device),
      kernel_(kernel),
      ledger_id_(context.ledger.add_layer(name_)) {
  if (kernel.identity().device != device.kind) {
    fail(ErrorCode::internal, "{}: kernel {} on {}", name_, kernel.identity().kernel,
         tensor::to_string(device));
  }
  const bool int8 = precision.activation == precision::Activation::int8_dynamic;
  threshold_ = int8 ? precision.threshold : 0.0F;
}

Linear::Linear(std::string name, const precision::EncodedTensor& weight, std::vector<float> bias,
               const precision::Precision& precision, LinearKernel kernel, Context& context,
               tensor::Device device)
    : Linear(std::move(name), precision, kernel, device, context) {
  rows_ = weight.rows;
  cols_ = weight.cols;
  if (weight.encoding != encoding()) {
    fail(ErrorCode::internal, "{}: the weight is {}, kernel {} reads {}", name_,
         precision::name_of(weight.encoding), kernel.identity().kernel,
         precision::name_of(encoding()));
  }
  set_bias(std::move(bias), context);
  try {
    if (kernel.cpu() != nullptr) {
      cpu_weight_ = std::make_shared<const kernels::cpu::PackedWeight>(
          kernel.cpu()->pack(weight, context.pool));
    } else {
      cuda_weight_ = std::make_shared<const kernels::cuda::PackedWeight>(
          kernel.cuda()->pack(weight, context.queue(device).stream));
    }
  } catch (const Error& error) {
    rethrow_with_layer(name_, error);
  }
}

Linear::Linear(std::string name, kernels::cuda::PackedWeight weight, std::vector<float> bias,
               const precision::Precision& precision, const CudaKernel& kernel, Context& context)
    : Linear(std::move(name), precision, kernel, weight.device, context) {
  rows_ = weight.n;
  cols_ = weight.k;
  set_bias(std::move(bias), context);
  cuda_weight_ = std::make_shared<const kernels::cuda::PackedWeight>(std::move(weight));
}

Linear::Linear(std::string name, const Linear& other, Context& context)
    : name_(std::move(name)),
      rows_(other.rows_),
      cols_(other.cols_),
      device_(other.device_),
      kernel_(other.kernel_),
      cpu_weight_(other.cpu_weight_),
      cuda_weight_(other.cuda_weight_),
      threshold_(other.threshold_),
      ledger_id_(context.ledger.add_layer(name_)) {}

Linear::Linear(std::string name, const Linear& other, const precision::Precision& precision,
               LinearKernel kernel, Context& context)
    : Linear(std::move(name), precision, kernel, other.device_, context) {
  if (kernel.identity().encoding != other.encoding() || !kernel.shares_packing(other.kernel_)) {
    fail(ErrorCode::internal, "{}: kernel {} does not read the packed weight of {}", name_,
         kernel.identity().kernel, other.name());
  }
  rows_ = other.rows_;
  cols_ = other.cols_;
  cpu_weight_ = other.cpu_weight_;
  cuda_weight_ = other.cuda_weight_;
}

void Linear::set_bias(std::vector<float> bias, Context& context) {
  if (bias.empty()) return;
  if (static_cast<std::int64_t>(bias.size()) != rows_) {
    fail(ErrorCode::bad_data, "{}: the bias has {} values, the weight {} rows", name_, bias.size(),
         rows_);
  }
  bias_ = Vector(std::move(bias), device_, context);
}

std::int64_t Linear::bytes() const {
  return cpu_weight_ != nullptr ? cpu_weight_->bytes() : cuda_weight_->bytes();
}

const void* Linear::storage() const {
  return cpu_weight_ != nullptr ? static_cast<const void*>(cpu_weight_.get()) : cuda_weight_.get();
}

void Linear::fix_outliers(std::vector<std::int32_t> columns, Context& context) {
  const bool ascending = std::ranges::adjacent_find(columns, std::greater_equal()) == columns.end();
  if (!ascending || (!columns.empty() && (columns.front() < 0 || columns.back() >= cols()))) {
    fail(ErrorCode::internal, "{}: its {} outlier columns are not columns of [{}, {}]", name_,
         columns.size(), rows(), cols());
  }
  if (device_.kind == tensor::DeviceKind::cuda) {
    const std::size_t bytes = columns.size() * sizeof(std::int32_t);
    kernels::cuda::Stream& stream = context.queue(device_).stream;
    cuda_outliers_ = tensor::Buffer(std::max(bytes, sizeof(std::int32_t)), device_);
    stream.copy_to_device(cuda_outliers_.data(), columns.data(), bytes);
    stream.synchronize();
  }
  outliers_ = std::move(columns);
}

void Linear::check_operands(tensor::MatrixView x, tensor::MatrixView y) const {
  if (x.cols != cols() || y.cols != rows() || x.rows != y.rows) {
    fail(ErrorCode::internal, "{}: weight [{}, {}] does not map [{}, {}] to [{}, {}]", name_,
         rows(), cols(), x.rows, x.cols, y.rows, y.cols);
  }
  if (x.device != device_ || y.device != device_) {
    fail(ErrorCode::internal, "{}: the weight is on {}, its input on {}, its output on {}", name_,
         tensor::to_string(device_), tensor::to_string(x.device), tensor::to_string(y.device));
  }
}

kernels::cpu::LinearCall Linear::cpu_call(tensor::MatrixView x, tensor::MatrixView y,
                                          Context& context) const {
  return {.weight = *cpu_weight_,
          .x = x,
          .y = y,
          .bias = bias_.view(),
          .threshold = threshold_,
          .fixed_outliers = outliers_ ? &*outliers_ : nullptr,
          .activation_range = range_,
          .pool = context.pool,
          .workspace = context.workspace};
}

kernels::cuda::LinearCall Linear::cuda_call(tensor::MatrixView x, tensor::MatrixView y,
                                            CudaQueue& queue, const Context& context) const {
  return {.weight = *cuda_weight_,
          .x = x,
          .y = y,
          .bias = bias_.empty() ? nullptr : bias_.view().data(),
          .threshold = threshold_,
          .fixed_tiles = context.fixed_tiles,
          .stream = queue.stream,
          .workspace = queue.workspace,
          .outlier_columns = queue.outliers(ledger_id_),
          .fixed_outliers =
              outliers_ ? reinterpret_cast<const std::int32_t*>(cuda_outliers_.data()) : nullptr,
          .fixed_outlier_count = outliers_ ? static_cast<std::int32_t>(outliers_->size()) : 0,
          .activation_range = range_};
}

void Linear::fix_range(float range) {
  if (!(range > 0.0F) || !std::isfinite(range)) {
    fail(ErrorCode::internal, "{}: {} is no range of activations", name_, range);
  }
  range_ = range;
}

void Linear::run(tensor::MatrixView x, tensor::MatrixView y, Context& context) const {
  check_operands(x, y);
  if (x.rows == 0) return;
  if (context.observer) context.observer(name_, x);
  const auto cpu = [&] {
    kernels::cpu::LinearCall call = cpu_call(x, y, context);
    const precision::KernelIdentity ran = kernel_.cpu()->run(call);
    context.ledger.record(ledger_id_, ran, x.rows, call.outlier_columns);
  };
  const auto cuda = [&](CudaQueue& queue) {
    kernels::cuda::LinearCall call = cuda_call(x, y, queue, context);
    const precision::KernelIdentity ran = kernel_.cuda()->run(call);
    context.ledger.record(ledger_id_, ran, x.rows);
  };
  try {
    dispatch(x, context, cpu, cuda);
  } catch (const Error& error) {
    rethrow_with_layer(name_, error);
  }
}

/// A group with an order of its own columns reads x in that order.
bool Linear::shares_call(const Linear& other) const {
  return cpu_weight_ != nullptr && kernel_ == other.kernel_ && threshold_ == other.threshold_ &&
         range_ == other.range_ && outliers_ == other.outliers_ &&
         cpu_weight_->rest.groups == nullptr && other.cpu_weight_->rest.groups == nullptr;
}

void Linear::run_all(std::span<const Linear* const> layers, tensor::MatrixView x,
                     std::span<const tensor::MatrixView> y, Context& context) {
  const Linear& first = *layers[0];
  std::vector<kernels::cpu::LinearProduct> others;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    layers[i]->check_operands(x, y[i]);
    if (!first.shares_call(*layers[i])) {
      for (std::size_t j = 0; j < layers.size(); ++j) layers[j]->run(x, y[j], context);
      return;
    }
    if (i > 0) others.push_back({*layers[i]->cpu_weight_, y[i], layers[i]->bias_.view()});
  }
  if (x.rows == 0) return;
  for (const Linear* layer : layers) {
    if (context.observer) context.observer(layer->name_, x);
  }
  kernels::cpu::LinearCall call = first.cpu_call(x, y[0], context);
  call.others = others;
  const precision::KernelIdentity ran = first.kernel_.cpu()->run(call);
  for (const Linear* layer : layers) {
    context.ledger.record(layer->ledger_id_, ran, x.rows, call.outlier_columns);
  }
}

void Linear::lookup(const Indices& ids, tensor::MatrixView y, Context& context) const {
  if (y.cols != cols() || y.rows != static_cast<std::int64_t>(ids.host.size()) ||
      y.device != device_) {
    fail(ErrorCode::internal, "{}: {} rows of {} values on {} do not fit [{}, {}] on {}", name_,
         ids.host.size(), cols(), tensor::to_string(device_), y.rows, y.cols,
         tensor::to_string(y.device));
  }
  for (const std::int32_t id : ids.host) {
    if (id < 0 || id >= rows()) {
      fail(ErrorCode::bad_data, "{}: row {} was asked of a table of {} rows", name_, id, rows());
    }
  }
  if (ids.host.empty()) return;
  precision::KernelIdentity ran;
  dispatch(
      y, context,
      [&] {
        // Values of a row lie in as many cache lines: one thread would wait for each.
        context.pool.parallel_for(y.rows, [&](int, std::int64_t begin, std::int64_t end) {
          const auto count = static_cast<std::size_t>(end - begin);
          const precision::KernelIdentity part =
              kernel_.cpu()->lookup(*cpu_weight_, ids.host.subspan(std::size_t(begin), count),
                                    y.slice(begin, end - begin));
          if (begin == 0) ran = part;
        });
      },
      [&](CudaQueue& queue) {
        ran = kernel_.cuda()->lookup(*cuda_weight_, ids.device, y, queue.stream);
      });
  context.ledger.record(ledger_id_, ran, y.rows);
}

}  // namespace assay::ops
