#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "kernels/cpu/linear.h"
#include "precision/plan.h"

namespace assay::ops {

/// Sees what enters a linear layer, before its product: name and activations [rows, cols].
using LinearObserver = std::function<void(const std::string& layer, tensor::MatrixView x)>;

/// What every op of one model needs; owned by the model.
struct Context {
  base::ThreadPool& pool;
  kernels::cpu::Workspace& workspace;
  precision::Ledger& ledger;
  LinearObserver observer = {};  ///< none but while calibrating
};

/// First kernel that supports the problem here, or the reasons of those that come nearest.
struct LinearChoice {
  const kernels::cpu::LinearKernel* kernel = nullptr;
  std::string reason;
};
[[nodiscard]] LinearChoice choose_linear(const kernels::cpu::LinearProblem& problem);
/// nullptr if there is no kernel of that name.
[[nodiscard]] const kernels::cpu::LinearKernel* find_linear_kernel(std::string_view name);

/// A loaded linear layer or embedding table: packed weight, bias, kernel. Several layers may share
/// one weight (a tied head): copies of `weight` are cheap.
class Linear {
 public:
  /// Packs `weight` (encoded as the precision says) for `kernel`. bias: rows values or empty.
  Linear(std::string name, const precision::EncodedTensor& weight, std::vector<float> bias,
         const precision::Precision& precision, const kernels::cpu::LinearKernel& kernel,
         Context& context);
  /// A second layer on the packed weight of `other` (tied).
  Linear(std::string name, const Linear& other, Context& context);
  /// The same with a kernel of its own, which must read the packed form of `other`.
  Linear(std::string name, const Linear& other, const precision::Precision& precision,
         const kernels::cpu::LinearKernel& kernel, Context& context);

  /// int8 with a fixed set of outlier columns, ascending; internal error for one that is not there.
  void fix_outliers(std::vector<std::int32_t> columns);

  /// y = x w^T + bias; checks shapes; writes the ledger. Numeric error naming the layer when the
  /// result is not finite and `check_finite` was asked of the model.
  void run(tensor::MatrixView x, tensor::MatrixView y, Context& context) const;
  /// y[i] = x w[i]^T + bias[i] for layers that read the same x (query, key and value; gate and up):
  /// one parallel region where all have one kernel. The bits of one run() after another, and an
  /// entry of the ledger for each.
  static void run_all(std::span<const Linear* const> layers, tensor::MatrixView x,
                      std::span<const tensor::MatrixView> y, Context& context);
  /// Rows of the table; writes the ledger. Ids outside the table are bad_data.
  void lookup(std::span<const std::int32_t> ids, tensor::MatrixView y, Context& context) const;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::int64_t rows() const { return weight_->n; }
  [[nodiscard]] std::int64_t cols() const { return weight_->k; }
  [[nodiscard]] std::int64_t bytes() const { return weight_->bytes(); }
  [[nodiscard]] const void* storage() const { return weight_.get(); }  ///< equal when tied
  [[nodiscard]] precision::Encoding encoding() const { return kernel_->identity.encoding; }

  /// For the test that a swapped kernel is seen: another kernel of the same packed layout.
  void swap_kernel_for_test(const kernels::cpu::LinearKernel& kernel) { kernel_ = &kernel; }

 private:
  void check_shapes(tensor::MatrixView x, tensor::MatrixView y) const;
  [[nodiscard]] bool shares_call(const Linear& other) const;

  std::string name_;
  std::shared_ptr<const kernels::cpu::PackedWeight> weight_;
  std::vector<float> bias_;
  float threshold_ = 0.0F;
  std::optional<std::vector<std::int32_t>> outliers_;
  const kernels::cpu::LinearKernel* kernel_ = nullptr;
  int ledger_id_ = -1;
};

}  // namespace assay::ops
