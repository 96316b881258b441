#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "kernels/cpu/linear.h"
#include "kernels/cuda/linear.h"
#include "ops/memory.h"
#include "precision/plan.h"

namespace assay::ops {

using kernels::cpu::LinearProblem;

/// A linear kernel, of the CPU or of CUDA devices.
class LinearKernel {
 public:
  LinearKernel() = default;
  LinearKernel(const kernels::cpu::LinearKernel& kernel) : cpu_(&kernel) {}
  LinearKernel(const kernels::cuda::LinearKernel& kernel) : cuda_(&kernel) {}
  [[nodiscard]] explicit operator bool() const { return cpu_ != nullptr || cuda_ != nullptr; }
  [[nodiscard]] const kernels::cpu::LinearKernel* cpu() const { return cpu_; }
  [[nodiscard]] const kernels::cuda::LinearKernel* cuda() const { return cuda_; }
  [[nodiscard]] const precision::KernelIdentity& identity() const {
    return cpu_ != nullptr ? cpu_->identity : cuda_->identity;
  }
  [[nodiscard]] const precision::KernelIdentity& lookup_identity() const {
    return cpu_ != nullptr ? cpu_->lookup_identity : cuda_->lookup_identity;
  }
  /// Whether both read one packed form.
  [[nodiscard]] bool shares_packing(const LinearKernel& other) const;
  friend bool operator==(const LinearKernel&, const LinearKernel&) = default;

 private:
  const kernels::cpu::LinearKernel* cpu_ = nullptr;
  const kernels::cuda::LinearKernel* cuda_ = nullptr;
};

/// First kernel that supports the problem, or the reasons of those that come nearest.
struct LinearChoice {
  LinearKernel kernel;
  std::string reason;
};
/// On this CPU; on a CUDA device of that description, which need not be there.
[[nodiscard]] LinearChoice choose_linear(const LinearProblem& problem);
[[nodiscard]] LinearChoice choose_linear(const LinearProblem& problem,
                                         const kernels::cuda::DeviceInfo& device);
/// The CPU's kernel of that name, or nullptr.
[[nodiscard]] const kernels::cpu::LinearKernel* find_linear_kernel(std::string_view name);

/// A loaded linear layer or embedding table: packed weight, bias, kernel, all on one device.
/// Several layers may share one weight (a tied head): copies of `weight` are cheap.
class Linear {
 public:
  /// Packs `weight` (encoded as the precision says) for `kernel` on `device`. bias: rows values or
  /// empty.
  Linear(std::string name, const precision::EncodedTensor& weight, std::vector<float> bias,
         const precision::Precision& precision, LinearKernel kernel, Context& context,
         tensor::Device device = {});
  /// A weight that was packed for the kernel on its device already.
  Linear(std::string name, kernels::cuda::PackedWeight weight, std::vector<float> bias,
         const precision::Precision& precision, const kernels::cuda::LinearKernel& kernel,
         Context& context);
  /// A second layer on the packed weight of `other` (tied).
  Linear(std::string name, const Linear& other, Context& context);
  /// The same with a kernel of its own, which must read the packed form of `other`.
  Linear(std::string name, const Linear& other, const precision::Precision& precision,
         LinearKernel kernel, Context& context);

  /// int8 with a fixed set of outlier columns, ascending; internal error for one that is not there.
  void fix_outliers(std::vector<std::int32_t> columns, Context& context);

  /// int8-static: the magnitude of activations that becomes code 127; internal error unless it is
  /// above 0.
  void fix_range(float range);

  /// y = x w^T + bias; checks shapes and devices; writes the ledger.
  void run(tensor::MatrixView x, tensor::MatrixView y, Context& context) const;
  /// y[i] = x w[i]^T + bias[i] for layers that read the same x (query, key and value; gate and up):
  /// one parallel region where all have one kernel. The bits of one run() after another, and an
  /// entry of the ledger for each.
  static void run_all(std::span<const Linear* const> layers, tensor::MatrixView x,
                      std::span<const tensor::MatrixView> y, Context& context);
  /// Rows of the table; writes the ledger. Ids outside the table are bad_data.
  void lookup(const Indices& ids, tensor::MatrixView y, Context& context) const;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] tensor::Device device() const { return device_; }
  [[nodiscard]] std::int64_t rows() const { return rows_; }
  [[nodiscard]] std::int64_t cols() const { return cols_; }
  [[nodiscard]] std::int64_t bytes() const;
  [[nodiscard]] const void* storage() const;  ///< equal when tied
  [[nodiscard]] precision::Encoding encoding() const { return kernel_.identity().encoding; }

  /// For the test that a swapped kernel is seen: another kernel of the same packed layout.
  void swap_kernel_for_test(LinearKernel kernel) { kernel_ = kernel; }

 private:
  void check_operands(tensor::MatrixView x, tensor::MatrixView y) const;
  [[nodiscard]] kernels::cpu::LinearCall cpu_call(tensor::MatrixView x, tensor::MatrixView y,
                                                  Context& context) const;
  [[nodiscard]] kernels::cuda::LinearCall cuda_call(tensor::MatrixView x, tensor::MatrixView y,
                                                    CudaQueue& queue, const Context& context) const;
  [[nodiscard]] bool shares_call(const Linear& other) const;
  Linear(std::string name, const precision::Precision& precision, LinearKernel kernel,
         tensor::Device device, Context& context);
  void set_bias(std::vector<float> bias, Context& context);

  std::string name_;
  std::int64_t rows_ = 0;
  std::int64_t cols_ = 0;
  tensor::Device device_;
  LinearKernel kernel_;
  std::shared_ptr<const kernels::cpu::PackedWeight> cpu_weight_;    ///< with a kernel of the CPU
  std::shared_ptr<const kernels::cuda::PackedWeight> cuda_weight_;  ///< with one of CUDA
  Vector bias_;
  float threshold_ = 0.0F;
  float range_ = 0.0F;
  std::optional<std::vector<std::int32_t>> outliers_;
  tensor::Buffer cuda_outliers_;  ///< the same columns in the device's memory
  int ledger_id_ = -1;
};

}  // namespace assay::ops
