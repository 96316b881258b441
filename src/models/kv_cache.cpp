#include "models/transformer.h"

namespace assay::models {

KvCache::KvCache(const ModelConfig& config, tensor::DType type, int slots, std::int64_t capacity)
    : storage_(type, config.blocks * slots * 2 * capacity, config.kv_heads * config.head_dim),
      lengths_(static_cast<std::size_t>(slots), 0),
      capacity_(capacity),
      slots_(slots) {}

void KvCache::truncate(int slot, std::int64_t length) {
  if (length < 0 || length > lengths_.at(slot)) {
    fail(ErrorCode::internal, "cannot keep {} of {} cached positions", length, lengths_.at(slot));
  }
  lengths_[slot] = length;
}

tensor::MatrixView KvCache::keys(std::int64_t block, int slot) const {
  return storage_.view().slice((block * slots_ + slot) * 2 * capacity_, capacity_);
}

tensor::MatrixView KvCache::values(std::int64_t block, int slot) const {
  return storage_.view().slice(((block * slots_ + slot) * 2 + 1) * capacity_, capacity_);
}

}  // namespace assay::models
