#pragma once

#include "kernels/cuda/linear/arguments.h"

// What each path's files offer. Every .cu file of this folder is compiled once for each path, in a
// namespace of its name.
#define ASSAY_CUDA_LINEAR_PATH(path)                      \
  namespace assay::kernels::cuda::linear::path {          \
  Entries float_entries();                                \
  Entries int8_entries();                                 \
  Entries four_bit_entries();                             \
  Entries gguf_entries();                                 \
  Entries fp8_entries();                                  \
  Entries group_entries();                                \
  LookupEntries lookup_entries();                         \
  void convert(const Conversion& call);                   \
  void quantize_int8(const Quantization& call);           \
  void quantize_fp8(const Quantization& call);            \
  void repack_rows(const Repacking& call, int row_bytes); \
  void repack_four_bit(const Repacking& call);            \
  void repack_q4(const Repacking& call, int numbers);     \
  void repack_q8_0(const Repacking& call);                \
  void find_not_finite(const Search& call);               \
  void encode_int8(const Encoding8& call);                \
  void encode_fp8(const Encoding8& call);                 \
  void encode_four_bit(const Encoding4& call);            \
  void nest(const Nesting& call);                         \
  void synthesize(const Synthesis& call);                 \
  void patch(const Patching& call);                       \
  }
