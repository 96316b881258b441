#include "engine/encode_weight.h"

#include <algorithm>
#include <cstring>
#include <numeric>

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

EncodedTensor slice_rows(const EncodedTensor& stored, std::int64_t first, std::int64_t count) {
  const precision::EncodingInfo& info = precision::info(stored.encoding);
  if (!info.row_aligned || !stored.scales.empty() || first < 0 || count < 1 ||
      first + count > stored.rows) {
    fail(ErrorCode::internal, "rows {} + {} of {} rows of {}", first, count, stored.rows,
         info.name);
  }
  const std::size_t row_bytes = stored.codes.bytes.size() / static_cast<std::size_t>(stored.rows);
  EncodedTensor result = stored;
  result.rows = count;
  result.codes.bytes = stored.codes.bytes.subspan(static_cast<std::size_t>(first) * row_bytes,
                                                  static_cast<std::size_t>(count) * row_bytes);
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
