#include "kernels/cuda/instructions.h"

#include <gtest/gtest.h>

#include <string>

namespace assay::kernels::cuda {
namespace {

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

TEST(CudaInstructions, AttentionMultipliesInItsType) {
  if (tensor_core_uses().empty()) GTEST_SKIP() << "this build had no cuobjdump";
  int bf16 = 0;
  int f16 = 0;
  for (const TensorCoreUse& use : tensor_core_uses()) {
    SCOPED_TRACE(std::string(use.kernel) + " " + std::string(use.instruction));
    if (!has(use.kernel, "attend_tensor_cores")) continue;
    EXPECT_EQ(use.instruction.substr(0, 5), "HMMA.");
    EXPECT_TRUE(has(use.instruction, ".F32"));  // sums
    EXPECT_GT(use.count, 0);
    EXPECT_EQ(has(use.kernel, "bfloat16"), has(use.instruction, ".BF16"));
    (has(use.kernel, "bfloat16") ? bf16 : f16) += 1;
  }
  EXPECT_GT(f16, 0);
  EXPECT_GT(bf16, 0);
}

TEST(CudaInstructions, Fp32RunsOnNoTensorCore) {
  if (tensor_core_uses().empty()) GTEST_SKIP() << "this build had no cuobjdump";
  int seen = 0;
  for (const TensorCoreUse& use : tensor_core_uses()) {
    if (!has(use.kernel, "attend_fma") && !has(use.kernel, "rms_norm_rows")) continue;
    ++seen;
    EXPECT_EQ(use.instruction, "") << use.kernel;
    EXPECT_EQ(use.count, 0);
  }
  EXPECT_GT(seen, 0);
}

}  // namespace
}  // namespace assay::kernels::cuda
