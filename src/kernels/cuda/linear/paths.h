#pragma once

#include "kernels/cuda/compiled_paths.h"
#include "kernels/cuda/linear/entries.h"
#include "kernels/cuda/runtime.h"

ASSAY_CUDA_EACH_PATH(ASSAY_CUDA_LINEAR_PATH)

namespace assay::kernels::cuda::linear {

/// What one path's device code offers; the same functions for every path.
struct PathCode {
  Path path;
  Entries (*products[6])();
  LookupEntries (*lookups)();
  void (*convert)(const Conversion& call);
  void (*quantize_int8)(const Quantization& call);
  void (*quantize_fp8)(const Quantization& call);
  void (*repack_rows)(const Repacking& call, int row_bytes);
  void (*repack_four_bit)(const Repacking& call);
  void (*repack_q4)(const Repacking& call, int numbers);
  void (*repack_q8_0)(const Repacking& call);
  void (*find_not_finite)(const Search& call);
  void (*encode_int8)(const Encoding8& call);
  void (*encode_fp8)(const Encoding8& call);
  void (*encode_four_bit)(const Encoding4& call);
  void (*nest)(const Nesting& call);
  void (*synthesize)(const Synthesis& call);
  void (*patch)(const Patching& call);
};

/// nullptr where the build has not the path.
[[nodiscard]] const PathCode* code_of(Path path);
/// Of the stream's device; internal error if the build has it not.
[[nodiscard]] const PathCode& code_of(const Stream& stream);

}  // namespace assay::kernels::cuda::linear
