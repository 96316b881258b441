#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/cpu/workspace.h"
#include "kernels/cuda/runtime.h"
#include "kernels/cuda/workspace.h"
#include "precision/plan.h"

namespace assay::ops {

/// Order of work on one CUDA device, its scratch memory, and what a step notes there without being
/// asked: activations that are not finite, outlier columns of layers.
class CudaQueue {
 public:
  explicit CudaQueue(int device);

  kernels::cuda::Stream stream;
  kernels::cuda::Workspace workspace;

  [[nodiscard]] tensor::Device device() const { return device_; }
  /// Room for the counters of layers 0 to `layers` - 1 of the ledger. Not while work is queued.
  void reserve(std::int64_t layers);
  /// Counter in device memory to which note_non_finite() adds.
  [[nodiscard]] std::int32_t* non_finite() { return notes_.as<std::int32_t>(); }
  /// Counter of a layer's outlier columns, or nullptr beyond what was reserved.
  [[nodiscard]] std::int32_t* outliers(int layer);

  /// Queues that the notes are forgotten, and that they are copied to the host.
  void begin_notes();
  void copy_notes();
  /// After synchronize(): whether anything was not finite in the copied notes; adds the outlier
  /// columns to the ledger.
  [[nodiscard]] bool take_notes(precision::Ledger& ledger) const;

 private:
  tensor::Device device_;
  std::int64_t layers_ = 0;
  tensor::Buffer notes_;  ///< i32: one for what is not finite, one for each layer
  kernels::cuda::PinnedBuffer copied_;
};

/// The queues of one model, one for each device that it uses.
class CudaQueues {
 public:
  /// The queue of device `index`, made if there is none.
  CudaQueue& open(int index);
  /// Internal error if there is none.
  [[nodiscard]] CudaQueue& at(tensor::Device device) const;
  [[nodiscard]] const std::vector<std::unique_ptr<CudaQueue>>& all() const { return queues_; }

 private:
  std::vector<std::unique_ptr<CudaQueue>> queues_;
};

/// Sees what enters a linear layer, before its product: name and activations [rows, cols].
using LinearObserver = std::function<void(const std::string& layer, tensor::MatrixView x)>;

/// What every op of one model needs; owned by the model.
struct Context {
  base::ThreadPool& pool;
  kernels::cpu::Workspace& workspace;
  precision::Ledger& ledger;
  CudaQueues* cuda = nullptr;  ///< none where the model is on the CPU alone
  /// CUDA: one shape of tiles, no split of the depth, so that a row's result does not depend on how
  /// many there are. The CPU always works so.
  bool fixed_tiles = false;
  LinearObserver observer = {};  ///< none but while calibrating

  /// Queue of a device; internal error where it was not opened.
  [[nodiscard]] CudaQueue& queue(tensor::Device device) const;
};

[[nodiscard]] inline bool on_cuda(const tensor::MatrixView& x) {
  return x.device.kind == tensor::DeviceKind::cuda;
}

/// The one place where ops turn to a backend: `cpu()`, or `cuda(queue)` of the device that holds x.
template <typename OnCpu, typename OnCuda>
void dispatch(const tensor::MatrixView& x, Context& context, const OnCpu& cpu, const OnCuda& cuda) {
  if (on_cuda(x)) {
    cuda(context.queue(x.device));
  } else {
    cpu();
  }
}

}  // namespace assay::ops
