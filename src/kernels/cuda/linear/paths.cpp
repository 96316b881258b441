#include "kernels/cuda/linear/paths.h"

#include <array>

#include "base/error.h"

namespace assay::kernels::cuda::linear {
namespace {

#define ASSAY_PATH_CODE(path)                                                                    \
  PathCode{Path::path,                                                                           \
           {path::float_entries, path::int8_entries, path::four_bit_entries, path::gguf_entries, \
            path::fp8_entries, path::group_entries},                                             \
           path::lookup_entries,                                                                 \
           path::convert,                                                                        \
           path::quantize_int8,                                                                  \
           path::quantize_fp8,                                                                   \
           path::repack_rows,                                                                    \
           path::repack_four_bit,                                                                \
           path::repack_q4,                                                                      \
           path::repack_q8_0,                                                                    \
           path::find_not_finite,                                                                \
           path::encode_int8,                                                                    \
           path::encode_fp8,                                                                     \
           path::encode_four_bit,                                                                \
           path::nest,                                                                           \
           path::synthesize,                                                                     \
           path::patch},

constexpr PathCode kPaths[] = {ASSAY_CUDA_EACH_PATH(ASSAY_PATH_CODE)};

}  // namespace

const PathCode* code_of(Path path) {
  for (const PathCode& code : kPaths) {
    if (code.path == path) return &code;
  }
  return nullptr;
}

const PathCode& code_of(const Stream& stream) {
  const PathCode* code = code_of(stream.device().path);
  if (code != nullptr) return *code;
  fail(ErrorCode::internal, "the build has no code of path {}", name_of(stream.device().path));
}

}  // namespace assay::kernels::cuda::linear
