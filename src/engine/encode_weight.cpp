#include "engine/encode_weight.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "precision/constants.h"

namespace assay::engine {

using precision::EncodedTensor;

EncodedTensor encode_weight(const EncodedTensor& stored, precision::Encoding wanted,
                            base::ThreadPool& pool) {
  if (stored.encoding == wanted) return stored;
  constexpr std::int64_t kPieceElements = 1 << 16;
  const precision::EncodingInfo& to = precision::info(wanted);
  const precision::EncodingInfo& from = precision::info(stored.encoding);
  const std::int64_t cols = stored.cols;
  // A piece is whole rows and whole blocks.
  const std::int64_t block = std::max(to.block, 1);
  const std::int64_t unit = to.row_aligned ? 1 : block / std::gcd(cols, block);
  const std::int64_t piece =
      std::max<std::int64_t>(kPieceElements / std::max<std::int64_t>(cols, 1) / unit, 1) * unit;
  const std::int64_t pieces = (stored.rows + piece - 1) / piece;

  tensor::Buffer codes(static_cast<std::size_t>(to.code_bytes(stored.rows, cols)));
  std::vector<float> scales(static_cast<std::size_t>(to.scale_count(stored.rows, cols)));
  pool.parallel_for(pieces, [&](int, std::int64_t begin, std::int64_t end) {
    std::vector<float> values(static_cast<std::size_t>(piece * cols));
    for (std::int64_t p = begin; p < end; ++p) {
      const std::int64_t first = p * piece;
      const std::int64_t rows = std::min(piece, stored.rows - first);
      for (std::int64_t r = 0; r < rows; ++r) {
        from.decode_row(stored, first + r, std::span(values).subspan(r * cols, cols));
      }
      to.encode_range(std::span(values).first(rows * cols), first * cols, cols,
                      {codes.data(), codes.size()}, scales);
    }
  });
  return {wanted, stored.rows, cols, precision::share(std::move(codes)), std::move(scales),
          nullptr};
}

EncodedTensor undo_interleaving(const EncodedTensor& stored, std::int64_t head_dim) {
  const std::size_t bytes = stored.codes.bytes.size();
  const std::size_t row_bytes = bytes / static_cast<std::size_t>(stored.rows);
  tensor::Buffer codes(bytes);
  const std::int64_t half = head_dim / 2;
  for (std::int64_t r = 0; r < stored.rows; ++r) {
    const std::int64_t head = r / head_dim * head_dim;
    const std::int64_t from = head + (r - head) % half * 2 + (r - head) / half;
    std::memcpy(codes.data() + r * row_bytes, stored.codes.bytes.data() + from * row_bytes,
                row_bytes);
  }
  EncodedTensor result = stored;
  result.codes = precision::share(std::move(codes));
  return result;
}

namespace {

template <typename T>
std::vector<T> part_of(const std::vector<T>& values, std::int64_t first, std::int64_t count) {
  const auto begin = values.begin() + first;
  return {begin, begin + count};
}

/// What nf4 and fp4 have beside their codes, for blocks [first, first + count).
void slice_block_scales(const EncodedTensor& stored, std::int64_t first, std::int64_t count,
                        EncodedTensor& result) {
  if (stored.nested == nullptr) {
    result.scales = part_of(stored.scales, first, count);
    return;
  }
  constexpr std::int64_t kGroup = precision::kNestedBlock;
  auto nested = std::make_shared<precision::DoubleQuant>();
  nested->codes = part_of(stored.nested->codes, first, count);
  nested->absmax = part_of(stored.nested->absmax, first / kGroup, (count + kGroup - 1) / kGroup);
  nested->offset = stored.nested->offset;
  result.nested = std::move(nested);
}

/// Rows first, first + step, ... in bytes of their own; only for what has no scales beside its
/// codes.
EncodedTensor strided_rows(const EncodedTensor& stored, std::int64_t first, std::int64_t count,
                           std::int64_t step) {
  const precision::EncodingInfo& info = precision::info(stored.encoding);
  if (!info.row_aligned || !stored.scales.empty() || first < 0 || count < 1 ||
      first + (count - 1) * step >= stored.rows) {
    fail(ErrorCode::internal, "{} rows from {} by {} of {} rows of {}", count, first, step,
         stored.rows, info.name);
  }
  const std::size_t row_bytes = stored.codes.bytes.size() / static_cast<std::size_t>(stored.rows);
  const std::byte* from = stored.codes.bytes.data() + static_cast<std::size_t>(first) * row_bytes;
  tensor::Buffer codes(static_cast<std::size_t>(count) * row_bytes);
  for (std::int64_t r = 0; r < count; ++r) {
    std::memcpy(codes.data() + static_cast<std::size_t>(r) * row_bytes,
                from + static_cast<std::size_t>(r * step) * row_bytes, row_bytes);
  }
  EncodedTensor result = stored;
  result.rows = count;
  result.codes = precision::share(std::move(codes));
  return result;
}

}  // namespace

EncodedTensor slice_rows(const EncodedTensor& stored, std::int64_t first, std::int64_t count,
                         std::int64_t step) {
  if (step != 1) return strided_rows(stored, first, count, step);
  const precision::EncodingInfo& info = precision::info(stored.encoding);
  if (first < 0 || count < 1 || first + count > stored.rows) {
    fail(ErrorCode::internal, "rows {} + {} of {} rows of {}", first, count, stored.rows,
         info.name);
  }
  const std::int64_t begin = first * stored.cols;
  const std::int64_t border =
      stored.nested == nullptr ? info.block : info.block * precision::kNestedBlock;
  if (!info.row_aligned && (begin % border != 0 || count * stored.cols % info.block != 0)) {
    fail(ErrorCode::unsupported,
         "a fused weight of {}: its rows from {} on begin inside of a block, which is not read",
         info.name, first);
  }
  const auto from = static_cast<std::size_t>(info.code_bytes(first, stored.cols));
  EncodedTensor result = stored;
  result.rows = count;
  result.codes.bytes = stored.codes.bytes.subspan(
      from, static_cast<std::size_t>(info.code_bytes(count, stored.cols)));
  if (!info.row_aligned) {
    slice_block_scales(stored, begin / info.block, count * stored.cols / info.block, result);
    return result;
  }
  const std::int64_t each = std::ssize(stored.scales) / stored.rows;
  result.scales = part_of(stored.scales, first * each, count * each);
  if (stored.groups != nullptr) {
    auto groups = std::make_shared<precision::Grouping>(*stored.groups);
    groups->zeros = part_of(stored.groups->zeros, first * each, count * each);
    result.groups = std::move(groups);
  }
  return result;
}

EncodedTensor transposed(const EncodedTensor& stored) {
  if (precision::info(stored.encoding).quantized) {
    fail(ErrorCode::internal, "a weight of {} cannot be transposed",
         precision::name_of(stored.encoding));
  }
  const std::size_t bytes = stored.codes.bytes.size();
  const std::size_t size = bytes / static_cast<std::size_t>(stored.elements());
  tensor::Buffer codes(bytes);
  const std::byte* from = stored.codes.bytes.data();
  for (std::int64_t r = 0; r < stored.rows; ++r) {
    for (std::int64_t c = 0; c < stored.cols; ++c, from += size) {
      std::memcpy(codes.data() + static_cast<std::size_t>(c * stored.rows + r) * size, from, size);
    }
  }
  EncodedTensor result = stored;
  std::swap(result.rows, result.cols);
  result.codes = precision::share(std::move(codes));
  return result;
}

}  // namespace assay::engine
