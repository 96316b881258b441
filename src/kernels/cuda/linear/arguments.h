#pragma once

#include <cstdint>

#include "kernels/cuda/device_types.h"

// What the C++ side hands to the linear kernels: plain data, read by nvcc as well.
namespace assay::kernels::cuda::linear {

/// A weight in device memory. Codes are row-major, each row padded with zeros to whole chunks of 16
/// bytes; an even depth of 4-bit codes is in the low nibble. Scales:
///   int8, fp8_e4m3   f32 of each row
///   nf4, fp4         f32 [row][block of 64]; or, with `nested`, bytes in that order
///   q4_0, q8_0       f16 d [row][block of 32]
///   q4_1             f16 d and m [row][block of 32][2]
///   int4, uint8      f32 [row][group], then a byte, the zero, [row][group]
struct Weight {
  const std::uint8_t* codes = nullptr;
  std::int64_t row_bytes = 0;
  std::int32_t n = 0;
  std::int32_t k = 0;
  std::int32_t depth = 0;  ///< codes of a row, padding included
  const void* scales = nullptr;
  /// Double quantization: 256 values of the map, then an f32 for every 256 scales.
  const float* nested = nullptr;
  float offset = 0.0F;
  float table[16] = {};  ///< values of 4-bit codes
  std::int32_t group = 0;
  std::int32_t groups = 0;  ///< of a row
  const std::uint8_t* zeros = nullptr;
  const std::int32_t* order = nullptr;  ///< column that each stored one is; nullptr: the same
};

/// Activations in the type of the product. Rows start at multiples of 16 bytes; `row_bytes` of
/// each, a multiple of 16, may be read and are zero beyond the depth.
struct Operand {
  const std::uint8_t* data = nullptr;
  std::int64_t stride = 0;  ///< bytes
  std::int32_t row_bytes = 0;
  std::int32_t m = 0;
};

/// Columns that are multiplied apart, with the activations as they came. `columns` and `count` are
/// written by the device; nullptr: there are none.
struct Outliers {
  const std::int32_t* columns = nullptr;
  const std::int32_t* count = nullptr;
  DeviceMatrix x;
};

struct Call {
  void* stream = nullptr;
  Weight weight;
  Operand x;
  const float* row_scales = nullptr;  ///< of x's rows, where they are quantized
  float row_factor = 1.0F;            ///< of row_scales
  float column_factor = 1.0F;         ///< of the weight's scales by row
  Outliers outliers;
  const float* bias = nullptr;
  DeviceMatrix y;
  bool fixed_tiles = false;
  std::int32_t multiprocessors = 1;
};

/// What a kernel is, as numbers of precision::Encoding, precision::Activation, tensor::DType and
/// Path: fixed where it is compiled.
struct Identity {
  std::uint8_t encoding;
  std::uint8_t activation;
  std::uint8_t compute;
  std::uint8_t path;
};

struct Entry {
  Identity identity;
  Identity (*run)(const Call& call);
};
struct Entries {
  const Entry* first;
  int count;
};

/// Rows `ids` of the weight into y.
struct Lookup {
  void* stream = nullptr;
  Weight weight;
  const std::int32_t* ids = nullptr;
  DeviceMatrix y;
};
struct LookupEntry {
  Identity identity;
  Identity (*run)(const Lookup& call);
};
struct LookupEntries {
  const LookupEntry* first;
  int count;
};

/// Rounds x to `type` into rows of `to` with a stride of `padded` elements, zero beyond x's
/// columns; column j is order[j] of x, if there is an order.
struct Conversion {
  void* stream = nullptr;
  DeviceMatrix x;
  Element type = Element::f32;
  void* to = nullptr;
  std::int64_t padded = 0;
  const std::int32_t* order = nullptr;
};

/// Codes of 8 bits for activations, rows of `padded` bytes, zero beyond x's columns.
struct Quantization {
  void* stream = nullptr;
  DeviceMatrix x;
  std::uint8_t* codes = nullptr;
  std::int64_t padded = 0;
  float* row_scales = nullptr;
  float static_range = 0.0F;  ///< magnitude of code 127 in every row; 0: a row's own largest
  // LLM.int8(): columns in which any value reaches the threshold get code 0.
  float threshold = 0.0F;
  std::uint32_t* bitmap = nullptr;  ///< a bit for each column, for many rows
  std::int32_t* columns = nullptr;  ///< out: ascending
  std::int32_t* count = nullptr;    ///< out
  std::int32_t* found = nullptr;    ///< the count is added to it; may be nullptr
  const std::int32_t* fixed_columns = nullptr;
  std::int32_t fixed_count = 0;
};

/// Brings stored codes into the layout above.
struct Repacking {
  void* stream = nullptr;
  const std::uint8_t* stored = nullptr;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::uint8_t* codes = nullptr;
  std::int64_t row_bytes = 0;  ///< of a packed row
  void* scales = nullptr;
};

/// The lowest index of a value that is NaN or infinite goes to *first, if it is lower.
struct Search {
  enum What : std::uint8_t { f32, f16, bf16, fp8 };
  void* stream = nullptr;
  What what = f32;
  const std::uint8_t* values = nullptr;
  std::int64_t count = 0;
  unsigned long long* first = nullptr;
};

/// Encodes a floating matrix of the device; a weight that cannot be encoded sets *bad to the lowest
/// such row.
struct Encoding8 {
  void* stream = nullptr;
  DeviceMatrix weight;
  std::uint8_t* codes = nullptr;
  std::int64_t row_bytes = 0;
  float* scales = nullptr;
  unsigned long long* bad = nullptr;
};
struct Encoding4 {
  void* stream = nullptr;
  DeviceMatrix weight;
  std::uint8_t* codes = nullptr;
  std::int64_t row_bytes = 0;
  float* scales = nullptr;
  float bounds[15] = {};
  std::uint8_t order[16] = {};
  unsigned long long* bad = nullptr;
};
/// Random elements of a synthetic tensor in bf16, `count` of them from index 0 on: see
/// precision/synthetic_numbers.h.
struct Synthesis {
  void* stream = nullptr;
  std::uint32_t key = 0;
  std::uint32_t word = 0;  ///< SyntheticKey::stream
  float scale = 0.0F;
  std::uint16_t* elements = nullptr;
  std::int64_t count = 0;
};
/// Elements with values of their own: in rows[0 .. row_count) (nullptr: 0, 1, ...), column
/// columns[i] gets values[i].
struct Patching {
  void* stream = nullptr;
  std::uint16_t* elements = nullptr;
  std::int64_t cols = 0;
  const std::int64_t* rows = nullptr;
  std::int64_t row_count = 0;
  const std::int64_t* columns = nullptr;
  const std::uint16_t* values = nullptr;
  std::int64_t column_count = 0;
};
struct Nesting {
  void* stream = nullptr;
  const float* scales = nullptr;
  std::int64_t count = 0;
  float offset = 0.0F;
  float* nested = nullptr;  ///< in: the map; out: what follows it
  std::uint8_t* codes = nullptr;
  unsigned long long* bad = nullptr;
};

}  // namespace assay::kernels::cuda::linear
