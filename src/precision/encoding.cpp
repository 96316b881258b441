#include "precision/encoding.h"

#include <limits>
#include <utility>

#include "precision/encodings/float.h"
#include "precision/encodings/fp4.h"
#include "precision/encodings/fp8_e4m3.h"
#include "precision/encodings/grouped.h"
#include "precision/encodings/int8.h"
#include "precision/encodings/iq4.h"
#include "precision/encodings/k_quants.h"
#include "precision/encodings/mxfp4.h"
#include "precision/encodings/nf4.h"
#include "precision/encodings/q4_0.h"
#include "precision/encodings/q4_1.h"
#include "precision/encodings/q5.h"
#include "precision/encodings/q8_0.h"

namespace assay::precision {
namespace {

constexpr std::array<EncodingInfo, kEncodingCount> kRegistry = {
    kF32Info,  kF16Info,  kBf16Info,  kInt8Info,    kNf4Info,   kFp4Info,  kQ4_0Info, kQ4_1Info,
    kQ8_0Info, kInt4Info, kUint8Info, kFp8E4m3Info, kQ5_0Info,  kQ5_1Info, kQ2_KInfo, kQ3_KInfo,
    kQ4_KInfo, kQ5_KInfo, kQ6_KInfo,  kIq4NlInfo,   kIq4XsInfo, kMxfp4Info};

constexpr bool in_order() {
  for (std::size_t i = 0; i < kRegistry.size(); ++i) {
    if (static_cast<std::size_t>(kRegistry[i].id) != i) return false;
  }
  return true;
}
static_assert(in_order(), "the registry has the order of Encoding");

void check_size(std::span<const float> values, std::int64_t rows, std::int64_t cols) {
  const std::int64_t elements = checked_elements(rows, cols);
  if (values.size() == static_cast<std::size_t>(elements)) return;
  fail(ErrorCode::internal, "{} values for a weight of {} x {}", values.size(), rows, cols);
}

}  // namespace

SharedBytes share(tensor::Buffer buffer) {
  auto owner = std::make_shared<const tensor::Buffer>(std::move(buffer));
  const std::span<const std::byte> bytes{owner->data(), owner->size()};
  return {std::move(owner), bytes};
}

std::int64_t EncodedTensor::bytes() const {
  std::size_t total = codes.bytes.size() + scales.size() * sizeof(float);
  if (nested != nullptr) {
    total += nested->codes.size() + nested->absmax.size() * sizeof(float) + sizeof(float);
  }
  if (groups != nullptr) {
    total += groups->zeros.size() + groups->order.size() * sizeof(std::int32_t);
  }
  return static_cast<std::int64_t>(total);
}

const EncodingInfo& info(Encoding encoding) noexcept {
  return kRegistry[static_cast<std::size_t>(encoding)];
}

std::span<const EncodingInfo> all_encodings() noexcept { return kRegistry; }

const EncodingInfo* find_encoding(std::string_view name) noexcept {
  for (const EncodingInfo& row : kRegistry) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

std::int64_t checked_elements(std::int64_t rows, std::int64_t cols) {
  // A factor of 64 is left for the bytes of an element.
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / 64;
  if (rows < 0 || cols < 0 || (cols != 0 && rows > kMost / cols)) {
    fail(ErrorCode::bad_data, "a weight cannot have the shape {} x {}", rows, cols);
  }
  return rows * cols;
}

std::int64_t block_code_bytes(std::int64_t rows, std::int64_t cols, std::int64_t block,
                              std::int64_t bytes) {
  const std::int64_t elements = checked_elements(rows, cols);
  if (cols % block != 0) {
    fail(ErrorCode::bad_data, "a row of {} weights is no whole number of blocks of {}", cols,
         block);
  }
  return elements / block * bytes;
}

EncodedTensor encode_whole(const EncodingInfo& info, std::span<const float> values,
                           std::int64_t rows, std::int64_t cols) {
  check_size(values, rows, cols);
  tensor::Buffer codes(static_cast<std::size_t>(info.code_bytes(rows, cols)));
  std::vector<float> scales(static_cast<std::size_t>(info.scale_count(rows, cols)));
  info.encode_range(values, 0, cols, {codes.data(), codes.size()}, scales);
  return {info.id, rows, cols, share(std::move(codes)), std::move(scales), nullptr};
}

}  // namespace assay::precision
