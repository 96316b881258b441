#include "base/error.h"
#include "kernels/cuda/elementwise.h"
#include "kernels/cuda/instructions.h"
#include "kernels/cuda/linear.h"
#include "kernels/cuda/witness.h"

namespace assay::kernels::cuda {
namespace {

[[noreturn]] void refuse() { fail(ErrorCode::unsupported, "{}", unavailable()); }

}  // namespace

using tensor::MatrixView;

void rms_norm(MatrixView, const float*, float, MatrixView, Stream&) { refuse(); }
void layer_norm(MatrixView, const float*, const float*, float, MatrixView, Stream&) { refuse(); }
void scale(MatrixView, float, Stream&) { refuse(); }
void soft_cap(MatrixView, float, Stream&) { refuse(); }
void add_in_place(MatrixView, MatrixView, Stream&) { refuse(); }
void apply(UnaryFunction, MatrixView, Stream&) { refuse(); }
void gated_product(UnaryFunction, MatrixView, MatrixView, Stream&) { refuse(); }
void clamped_swiglu(float, float, MatrixView, MatrixView, Stream&) { refuse(); }
void add_scaled_rows(MatrixView, const std::int32_t*, const float*, MatrixView, Stream&) {
  refuse();
}
void convert(MatrixView, MatrixView, Stream&) { refuse(); }
void gather_rows(MatrixView, const std::int32_t*, MatrixView, Stream&) { refuse(); }
void rope(MatrixView, const std::int32_t*, const float*, int, std::int64_t, float, Stream&) {
  refuse();
}
void append_to_cache(MatrixView, MatrixView, const DeviceSequence*, const std::int32_t*,
                     const CacheView&, Stream&) {
  refuse();
}
bool attention_supports(const AttentionCall&, const DeviceInfo&, std::string* why) {
  if (why != nullptr) *why = unavailable();
  return false;
}
void attention(const AttentionCall&, Stream&, Workspace&) { refuse(); }
void note_non_finite(MatrixView, std::int32_t*, Stream&) { refuse(); }
void row_statistics(MatrixView, std::int32_t*, double*, Stream&) { refuse(); }
void draw_tokens(MatrixView, const Draw*, std::int32_t*, Stream&) { refuse(); }
void gather_elements(MatrixView, const std::int32_t*, const std::int32_t*, std::int64_t, float*,
                     Stream&) {
  refuse();
}
void mean_rows(MatrixView, const DeviceSequence*, int, bool, MatrixView, Stream&) { refuse(); }

std::span<const TensorCoreUse> tensor_core_uses() { return {}; }
const std::string& Witness::unavailable() { return cuda::unavailable(); }
Witness::Witness() { refuse(); }
Witness::~Witness() = default;
std::vector<WitnessedKernel> Witness::seen() { refuse(); }
std::span<const LinearKernel> linear_kernels() { return {}; }
bool can_encode_on_device(precision::Encoding, bool) { return false; }
PackedWeight encode_on_device(MatrixView, precision::Encoding, bool, const LinearKernel&, Stream&) {
  refuse();
}
PackedWeight synthesize_on_device(const precision::SyntheticTensor&, precision::Encoding, bool,
                                  const LinearKernel&, Stream&) {
  refuse();
}

}  // namespace assay::kernels::cuda
