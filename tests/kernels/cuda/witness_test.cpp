#include "kernels/cuda/witness.h"

#include "base/error.h"
#include "device_testing.h"
#include "kernels/cuda/elementwise.h"
#include "kernels/cuda/instructions.h"

namespace assay::kernels::cuda {
namespace {

class CudaWitness : public OnDevice {
 protected:
  void SetUp() override {
    OnDevice::SetUp();
    if (IsSkipped()) return;
    if (!Witness::unavailable().empty()) GTEST_SKIP() << Witness::unavailable();
  }
};

/// Launches of kernels whose name contains `part`.
std::int64_t launches(const std::vector<WitnessedKernel>& kernels, std::string_view part) {
  std::int64_t count = 0;
  for (const WitnessedKernel& k : kernels)
    if (k.name.find(part) != std::string::npos) count += k.launches;
  return count;
}

TEST_F(CudaWitness, SeesEveryLaunchAndThoseOfGraphs) {
  Witness witness;
  EXPECT_THROW(Witness second, Error);
  TestMatrix x = TestMatrix::random(tensor::DType::bf16, 4, 64, 0, stream(), 1);
  scale(x.view(), 1.0F, stream());
  stream().begin_capture();
  scale(x.view(), 1.0F, stream());
  scale(x.view(), 1.0F, stream());
  const Graph graph = stream().end_capture();
  for (int i = 0; i < 5; ++i) stream().launch(graph);
  stream().synchronize();
  const auto kernels = witness.seen();
  EXPECT_EQ(launches(kernels, "map_rows"), 11);
  EXPECT_EQ(launches(kernels, std::string(name_of(stream().device().path))), 11);
  // By their names the build's record of instructions knows them.
  for (const WitnessedKernel& k : kernels) {
    if (tensor_core_uses().empty()) break;
    bool known = false;
    for (const TensorCoreUse& use : tensor_core_uses()) known = known || use.kernel == k.name;
    EXPECT_TRUE(known) << k.name;
  }
}

TEST_F(CudaWitness, BeginsAnewEachTime) {
  TestMatrix x = TestMatrix::random(tensor::DType::f32, 4, 64, 0, stream(), 1);
  for (int i = 1; i <= 2; ++i) {
    Witness witness;
    scale(x.view(), 1.0F, stream());
    stream().synchronize();
    EXPECT_EQ(launches(witness.seen(), "map_rows"), 1);
  }
}

}  // namespace
}  // namespace assay::kernels::cuda
