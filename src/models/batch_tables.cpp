#include "models/batch_tables.h"

#include <algorithm>

namespace assay::models {
namespace {

constexpr std::int64_t kNumbersOfSequence = sizeof(ops::SequenceRows) / sizeof(std::int32_t);

}  // namespace

std::int64_t BatchTables::sequences_at() const { return (4 * rows_ + sequences_ + 3) / 4 * 4; }

void BatchTables::reserve(std::int64_t numbers) {
  numbers_ = numbers;
  if (numbers <= capacity_) return;
  capacity_ = numbers;
  const auto bytes = static_cast<std::size_t>(numbers) * sizeof(std::int32_t);
  if (pinned_memory_) {
    pinned_ = kernels::cuda::PinnedBuffer(bytes);
    host_ = reinterpret_cast<std::int32_t*>(pinned_.data());
  } else {
    plain_.resize(static_cast<std::size_t>(numbers));
    host_ = plain_.data();
  }
}

void BatchTables::fill(Batch batch, const KvCache* cache, const ModelConfig& config, bool pick_last,
                       std::int32_t most_keys) {
  rows_ = 0;
  sequences_ = std::ssize(batch);
  for (const Sequence& s : batch) rows_ += std::ssize(s.tokens);
  reserve(sequences_at() + sequences_ * kNumbersOfSequence);
  std::int32_t* ids = host_;
  std::int32_t* positions = host_ + rows_;
  std::int32_t* row_sequence = host_ + 3 * rows_;
  std::int32_t* picked = host_ + 4 * rows_;
  auto* rows = reinterpret_cast<ops::SequenceRows*>(host_ + sequences_at());
  std::fill_n(host_ + 2 * rows_, rows_, 0);
  most_queries_ = 0;
  most_keys_ = most_keys;
  std::int32_t row = 0;
  for (std::int32_t i = 0; i < sequences_; ++i) {
    const Sequence& s = batch[static_cast<std::size_t>(i)];
    const auto count = static_cast<std::int32_t>(s.tokens.size());
    const auto start = static_cast<std::int32_t>(cache != nullptr ? cache->length(s.slot) : 0);
    const auto padding = static_cast<std::int32_t>(config.padding_id);
    std::int32_t next = start + padding + 1;
    rows[i] = {.query_begin = row,
               .query_count = count,
               .key_count = start + count,
               .slot = cache != nullptr ? s.slot : 0};
    picked[i] = pick_last ? row + count - 1 : row;
    most_queries_ = std::max(most_queries_, count);
    most_keys_ = std::max(most_keys_, start + count);
    for (const TokenId token : s.tokens) {
      ids[row] = token;
      positions[row] = padding >= 0 && token == padding ? token : next++;
      row_sequence[row] = i;
      ++row;
    }
  }
}

void BatchTables::upload(ops::CudaQueue& queue) {
  auto found = std::find_if(devices_.begin(), devices_.end(),
                            [&](const OnDevice& d) { return d.device == queue.device(); });
  if (found == devices_.end()) found = devices_.insert(found, {queue.device(), {}});
  const auto bytes = static_cast<std::size_t>(numbers_) * sizeof(std::int32_t);
  if (found->memory.size() < bytes) found->memory = tensor::Buffer(bytes, queue.device());
  queue.stream.copy_to_device(found->memory.data(), host_, bytes);
}

const std::int32_t* BatchTables::on_device(tensor::Device device) const {
  if (device.kind == tensor::DeviceKind::cpu) return nullptr;
  for (const OnDevice& d : devices_) {
    if (d.device == device) return d.memory.as<std::int32_t>();
  }
  fail(ErrorCode::internal, "the tables of the batch are not on {}", tensor::to_string(device));
}

ops::Indices BatchTables::part(tensor::Device device, std::int64_t at, std::int64_t count) const {
  const std::int32_t* there = on_device(device);
  return {{host_ + at, static_cast<std::size_t>(count)}, there == nullptr ? nullptr : there + at};
}

ops::Sequences BatchTables::sequences(tensor::Device device) const {
  const std::int32_t* there = on_device(device);
  ops::Sequences result{.host = {reinterpret_cast<const ops::SequenceRows*>(host_ + sequences_at()),
                                 static_cast<std::size_t>(sequences_)},
                        .most_queries = most_queries_,
                        .most_keys = most_keys_};
  if (there == nullptr) return result;
  result.device = reinterpret_cast<const ops::SequenceRows*>(there + sequences_at());
  result.row_sequence = there + 3 * rows_;
  return result;
}

}  // namespace assay::models
