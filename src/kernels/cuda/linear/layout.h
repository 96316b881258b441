#pragma once

#include "kernels/cuda/linear.h"
#include "kernels/cuda/linear/arguments.h"

namespace assay::kernels::cuda::linear {

/// Bytes of a packed row of codes: whole chunks of 16.
[[nodiscard]] std::int64_t packed_row_bytes(precision::Encoding encoding, std::int64_t k);
/// Bits of a code in memory; 0 for an encoding without kernels here.
[[nodiscard]] int code_bits(precision::Encoding encoding);

[[nodiscard]] constexpr std::int64_t round_up(std::int64_t value, std::int64_t unit) {
  return (value + unit - 1) / unit * unit;
}

/// The packed weight as device code sees it.
[[nodiscard]] Weight device_weight(const PackedWeight& weight, precision::Encoding encoding);

/// pack() of every kernel: layouts are those of encodings.
[[nodiscard]] PackedWeight pack(const precision::EncodedTensor& weight, Stream& stream);

/// An index that device code lowers to where something was wrong.
class FirstBad {
 public:
  explicit FirstBad(Stream& stream);
  [[nodiscard]] unsigned long long* index() { return buffer_.as<unsigned long long>(); }
  /// Waits for the stream; -1 where nothing was wrong.
  [[nodiscard]] std::int64_t read();

 private:
  Stream& stream_;
  tensor::Buffer buffer_;
};

/// Copies host memory through pinned memory; returns when `from` was read, not when it has arrived.
void upload(Stream& stream, void* to, const void* from, std::size_t bytes);

}  // namespace assay::kernels::cuda::linear
