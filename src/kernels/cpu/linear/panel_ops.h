#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/linear.h"
#include "kernels/cpu/linear/layout.h"

// The few coarse steps of a linear layer that are written per instruction set. The drivers
// (native.cpp, int8_dynamic.cpp) put them together and are compiled once.
namespace assay::kernels::cpu {

/// What is read after a block's panel, so that it may be brought near meanwhile.
struct Ahead {
  const std::byte* from = nullptr;
  std::int64_t bytes = 0;
};

/// The share that `count` of `rows` rows from `row` on bring near.
[[nodiscard]] inline Ahead part_of(const Ahead& all, std::int64_t row, std::int64_t count,
                                   std::int64_t rows) {
  if (all.bytes == 0) return {};
  const std::int64_t begin = all.bytes * row / rows;
  return {all.from + begin, all.bytes * (row + count) / rows - begin};
}

/// acc[r][c] += sum over i < k, ascending, of x[r][i] * panel[i][c], for kPanel columns.
struct Block {
  const void* x;          ///< operand type of the kernel
  std::int64_t x_stride;  ///< elements between rows
  const void* panel;
  std::int64_t k;  ///< whole units
  std::int64_t rows;
  float* acc;
  Ahead ahead = {};
  bool first = false;  ///< acc is written, not added to; only where NativeOps::starts says so
  // Only where NativeOps::stores says so:
  std::int64_t acc_stride = kPanel;  ///< floats between rows
  const float* bias = nullptr;       ///< kPanel, added to the finished sums
};

/// acc[r][c] = the same in int32, but for what rows have in excess; x are int8 codes, or what
/// `split` makes of them.
struct IntegerBlock {
  const void* x;
  std::int64_t x_stride;  ///< bytes
  const std::byte* panel;
  std::int64_t k;
  std::int64_t rows;
  std::int32_t* acc;
  Ahead ahead = {};
};

/// One panel's weights in their encoding.
struct PanelSource {
  const std::byte* codes = nullptr;
  const float* scales = nullptr;       ///< kPanel for each block; nullptr: none
  const float* minima = nullptr;       ///< likewise
  std::int64_t scale_stride = kPanel;  ///< from block to block
  const float* table = nullptr;        ///< values of the 16 codes of 4 bits
  std::int64_t block = 0;              ///< depth that shares a scale, whole units
};

/// y[r][c] = acc[r][c] * column_scale[c] * factor + bias[c], rounded once, for c < columns.
struct Finish {
  const float* acc;
  std::int64_t rows;
  std::int64_t columns;   ///< of this panel: kPanel or fewer in the last
  std::byte* y;           ///< first row, first column of the panel
  std::int64_t y_stride;  ///< elements
  tensor::DType y_type;
  const float* bias;           ///< of this panel, or nullptr
  const float* column_scales;  ///< of this panel, kPanel readable, or nullptr
  float factor;
};

/// A row of activations and where it goes: k values of `type`, rounded to `compute`, then zeros up
/// to k_padded.
struct LoadRow {
  const void* x;
  tensor::DType type;
  tensor::DType compute;
  std::int64_t k;
  std::int64_t k_padded;
  void* out;  ///< operand type of the kernel
};

struct NativeOps {
  tensor::DType compute;
  tensor::DType operand;  ///< f32 or bf16: what x and decoded panels are made of
  std::int64_t unit;
  void (*load_row)(const LoadRow& row);
  void (*multiply)(const Block& block);
  bool starts = false;  ///< multiply heeds Block::first; else acc is zeroed before
  bool stores = false;  ///< multiply heeds Block::acc_stride and bias: acc may be an f32 output
  void (*finish)(const Finish& finish);
  void (*half_to_float)(const std::uint16_t* in, std::int64_t count, float* out);
  /// out[c] = bytes[c] * factor[c] for a panel's columns.
  void (*scale_bytes)(const std::int8_t* bytes, const float* factor, float* out);
  /// Points into the weight; scales that need it are decoded into `scratch` (4 k + 2 kPanel
  /// floats).
  PanelSource (*source)(const PackedWeight& weight, std::int64_t panel, const NativeOps& ops,
                        float* scratch);
  /// Depths [begin, end), whole units, to the operand type; nullptr: packed as operands already.
  void (*decode)(const PanelSource& source, std::int64_t begin, std::int64_t end, void* out);
  /// A call's only row against a whole panel without a decoded copy. acc is written. Operands of
  /// f32 have the bits of decode and multiply; others may be summed in another order. nullptr:
  /// there is none.
  void (*single)(const PanelSource& source, const void* x, std::int64_t k, float* acc);
  /// Brings the k operands of that row into the order in which `single` reads them,
  /// arranged_depth(k) operands; nullptr: it takes them as they are.
  void (*arrange)(const void* x, std::int64_t k, void* out) = nullptr;
  std::int64_t (*arranged_depth)(std::int64_t k) = nullptr;
  /// decode for 4-bit blocks that cross rows; f32 operands only.
  void (*decode_flat)(const PackedWeight& weight, std::int64_t panel, std::int64_t begin,
                      std::int64_t end, tensor::DType compute, float* out);
  float column_factor;  ///< of weight.scales, applied to sums; 0: there are no column scales
};

struct Int8Ops {
  void (*load_row)(const LoadRow& row);  ///< to f32
  /// out[c] = max(out[c], |x[r][c]|) over rows, for c in [begin, end); NaN may be ignored.
  void (*column_max)(const float* x, std::int64_t stride, std::int64_t rows, std::int64_t begin,
                     std::int64_t end, float* out);
  /// Largest magnitude; NaN or infinity if the row has one.
  float (*absmax)(const float* x, std::int64_t k);
  /// codes[i] = rint(x[i] * scale), zeros up to k_padded; returns the sum of the codes.
  std::int32_t (*quantize)(const float* x, std::int64_t k, std::int64_t k_padded, float scale,
                           std::int8_t* codes);
  /// Codes to the form that multiply takes, two bytes for each; returns what every sum of the row
  /// will have too much. nullptr: it takes codes, and sums have kByteOffset * their sum too much.
  std::int32_t (*split)(const std::int8_t* codes, std::int64_t k_padded, std::uint8_t* out);
  void (*multiply)(const IntegerBlock& block);
  /// out[i][c] = dequantized weight of input `columns[i]`, in f32.
  void (*outlier_weights)(const std::byte* panel, const float* column_scales,
                          const std::int32_t* columns, std::int64_t count, float* out);
  void (*multiply_outliers)(const Block& block);
  /// out[r][c] += (acc[r][c] - excess[r]) * row_scales[r] * column_scales[c] / 127^2.
  void (*rescale)(const std::int32_t* acc, std::int64_t rows, const std::int32_t* excess,
                  const float* row_scales, const float* column_scales, float* out);
  void (*finish)(const Finish& finish);
};

/// The drivers: the whole call, parallel over panels (and rows).
void run_native(LinearCall& call, const NativeOps& ops);
void run_int8_dynamic(LinearCall& call, const Int8Ops& ops);
void run_int8_static(LinearCall& call, const Int8Ops& ops);

/// The steps of one instruction set, for a driver of another that shares all but a few.
[[nodiscard]] const Int8Ops& int8_ops_avx512();
[[nodiscard]] const NativeOps& native_ops_avx512();

// PanelSource of each encoding; see NativeOps::source.
PanelSource source_codes(const PackedWeight&, std::int64_t, const NativeOps&, float*);
PanelSource source_nf4(const PackedWeight&, std::int64_t, const NativeOps&, float*);
PanelSource source_fp4(const PackedWeight&, std::int64_t, const NativeOps&, float*);
PanelSource source_q4_0(const PackedWeight&, std::int64_t, const NativeOps&, float*);
PanelSource source_q4_1(const PackedWeight&, std::int64_t, const NativeOps&, float*);
PanelSource source_q8_0(const PackedWeight&, std::int64_t, const NativeOps&, float*);
PanelSource source_int4(const PackedWeight&, std::int64_t, const NativeOps&, float*);
PanelSource source_uint8(const PackedWeight&, std::int64_t, const NativeOps&, float*);
PanelSource source_blocks(const PackedWeight&, std::int64_t, const NativeOps&, float*);
void decode_flat_nf4(const PackedWeight&, std::int64_t, std::int64_t, std::int64_t, tensor::DType,
                     float*);
void decode_flat_fp4(const PackedWeight&, std::int64_t, std::int64_t, std::int64_t, tensor::DType,
                     float*);

}  // namespace assay::kernels::cpu
