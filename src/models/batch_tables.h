#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "models/transformer.h"
#include "ops/attention.h"

namespace assay::models {

/// The plain numbers of one batch - token ids, positions, which rows belong to which sequence - in
/// one piece of memory, so that a device gets them by one copy. Memory is kept and grows; inside of
/// a graph its address does not change.
class BatchTables {
 public:
  /// With `cuda` the piece is page-locked.
  explicit BatchTables(bool cuda) : pinned_memory_(cuda) {}

  /// Fills the host's tables. `picked`: the rows that the head reads, the last or the first ones of
  /// the sequences. `most_keys`: bound for the grids of attention, at least what the batch has; 0:
  /// just that.
  void fill(Batch batch, const KvCache* cache, const ModelConfig& config, bool pick_last,
            std::int32_t most_keys = 0);
  /// Queues the copy to a device, whose tables are then those of at().
  void upload(ops::CudaQueue& queue);

  [[nodiscard]] std::int64_t rows() const { return rows_; }
  [[nodiscard]] std::int64_t sequence_count() const { return sequences_; }
  [[nodiscard]] ops::Indices ids(tensor::Device device) const { return part(device, 0, rows_); }
  [[nodiscard]] ops::Indices positions(tensor::Device device) const {
    return part(device, rows_, rows_);
  }
  [[nodiscard]] ops::Indices zeros(tensor::Device device) const {
    return part(device, 2 * rows_, rows_);
  }
  [[nodiscard]] ops::Indices picked(tensor::Device device) const {
    return part(device, 4 * rows_, sequences_);
  }
  [[nodiscard]] ops::Sequences sequences(tensor::Device device) const;

 private:
  struct OnDevice {
    tensor::Device device;
    tensor::Buffer memory;
  };
  void reserve(std::int64_t numbers);
  [[nodiscard]] std::int64_t sequences_at() const;  ///< aligned to 16 bytes
  [[nodiscard]] const std::int32_t* on_device(tensor::Device device) const;
  [[nodiscard]] ops::Indices part(tensor::Device device, std::int64_t at, std::int64_t count) const;

  bool pinned_memory_ = false;
  std::vector<std::int32_t> plain_;
  kernels::cuda::PinnedBuffer pinned_;
  std::int32_t* host_ = nullptr;
  std::int64_t capacity_ = 0;
  std::int64_t rows_ = 0;
  std::int64_t sequences_ = 0;
  std::int64_t numbers_ = 0;  ///< of the tables of this batch
  std::int32_t most_queries_ = 0;
  std::int32_t most_keys_ = 0;
  std::vector<OnDevice> devices_;
};

}  // namespace assay::models
