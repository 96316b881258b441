#include <atomic>

#include "kernels/cpu/elementwise.h"
#include "models/transformer.h"

namespace assay::models {
namespace {

std::uint64_t next_id() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

}  // namespace

KvCache::KvCache(const ModelConfig& config, tensor::DType type, int slots, std::int64_t capacity,
                 std::span<const tensor::Device> devices)
    : lengths_(static_cast<std::size_t>(slots), 0),
      capacity_(capacity),
      slots_(slots),
      id_(next_id()) {
  for (std::int64_t block = 0; block < config.blocks; ++block) {
    const tensor::Device device =
        devices.empty() ? tensor::Device{} : devices[static_cast<std::size_t>(block)];
    blocks_.emplace_back(type, std::int64_t{slots} * 2 * capacity, kv_row_elements(config, type),
                         device);
  }
}

std::int64_t kv_row_elements(const ModelConfig& config, tensor::DType type) {
  return config.kv_heads * kernels::cpu::kv_head_elements(type, config.head_dim);
}

std::int64_t kv_position_bytes(const ModelConfig& config, tensor::DType type) {
  return 2 * kv_row_elements(config, type) * static_cast<std::int64_t>(tensor::size_of(type));
}

void KvCache::truncate(int slot, std::int64_t length) {
  if (length < 0 || length > lengths_.at(slot)) {
    fail(ErrorCode::internal, "cannot keep {} of {} cached positions", length, lengths_.at(slot));
  }
  lengths_[slot] = length;
}

tensor::MatrixView KvCache::keys(std::int64_t block, int slot) const {
  return blocks_[static_cast<std::size_t>(block)].view().slice(std::int64_t{slot} * 2 * capacity_,
                                                               capacity_);
}

tensor::MatrixView KvCache::values(std::int64_t block, int slot) const {
  return blocks_[static_cast<std::size_t>(block)].view().slice((slot * 2 + 1) * capacity_,
                                                               capacity_);
}

ops::CacheView KvCache::view(std::int64_t block) const {
  const tensor::MatrixView all = blocks_[static_cast<std::size_t>(block)].view();
  return {.keys = all.data,
          .values = all.row_bytes(capacity_),
          .type = all.type,
          .slot_stride = 2 * capacity_ * all.stride,
          .row_stride = all.stride};
}

std::int64_t KvCache::bytes() const {
  std::int64_t total = 0;
  for (const tensor::Matrix& block : blocks_) total += static_cast<std::int64_t>(block.bytes());
  return total;
}

}  // namespace assay::models
