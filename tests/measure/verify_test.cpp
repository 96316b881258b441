#include "measure/verify.h"

#include <gtest/gtest.h>

#include "measure/kernel_name.h"

// The ledger against a second witness: lists of plain data, no device.
namespace assay::measure {
namespace {

using kernels::cuda::TensorCoreUse;
using kernels::cuda::WitnessedKernel;
using precision::Activation;
using precision::Encoding;
using precision::KernelIdentity;
using tensor::DType;

// Names as nvcc 13 mangles them.
constexpr const char* kBf16Few =
    "_ZN5assay7kernels4cuda6linear4sm908few_rowsINS3_7MmaBf16ENS3_11DirectCodesILNS3_4Cod"
    "eE2ELi8EEELi1EEEvNS2_4CallEi";
constexpr const char* kBf16Many =
    "_ZN5assay7kernels4cuda6linear4sm909many_rowsINS3_7MmaBf16ENS3_11DirectCodesILNS3_4Co"
    "deE2ELi8EEENS3_9TileShapeILi128ELi128ELi2ELi4EEEEEvNS2_4CallE";
constexpr const char* kF16Many =
    "_ZN5assay7kernels4cuda6linear4sm909many_rowsINS3_6MmaF16ENS3_11DirectCodesILNS3_4Cod"
    "eE1ELi8EEENS3_9TileShapeILi128ELi128ELi2ELi4EEEEEvNS2_4CallE";
constexpr const char* kInt8Many =
    "_ZN5assay7kernels4cuda6linear4sm909many_rowsINS3_7MmaInt8ENS3_11DirectCodesILNS3_4Co"
    "deE3ELi16EEENS3_9TileShapeILi128ELi128ELi2ELi4EEEEEvNS2_4CallE";
constexpr const char* kF32Many =
    "_ZN5assay7kernels4cuda6linear4sm9013many_rows_f32INS3_8F32CodesEEEvNS2_4CallE";
constexpr const char* kNf4Few =
    "_ZN5assay7kernels4cuda6linear4sm808few_rowsINS3_7MmaBf16ENS3_12FourBitCodesILNS3_4Co"
    "deE4EEELi1EEEvNS2_4CallEi";
constexpr const char* kLookup =
    "_ZN5assay7kernels4cuda6linear4sm9041_GLOBAL__N__d1c0e23d_9_lookup_cu_2d43368f4rowsIN"
    "S3_9Bf16CodesEEEvNS2_6LookupE";
constexpr const char* kQuantize =
    "_ZN5assay7kernels4cuda6linear4sm9047_GLOBAL__N__737c35fb_14_activations_cu_bf3b6a761"
    "3quantize_rowsILNS4_5ApartE1EEEvNS2_12QuantizationE";
constexpr const char* kNorm =
    "_ZN5assay7kernels4cuda4sm9040_GLOBAL__N__b19fd705_8_norms_cu_483a897d13rms_norm_rows"
    "I13__nv_bfloat16S5_Li0EEEvNS1_12DeviceMatrixEPKffS6_b";

constexpr TensorCoreUse kUses[] = {
    {kBf16Few, 90, "HMMA.16816.F32.BF16", 16}, {kBf16Many, 90, "HMMA.16816.F32.BF16", 64},
    {kF16Many, 90, "HMMA.16816.F32", 64},      {kInt8Many, 90, "IMMA.16832.S8.S8", 64},
    {kInt8Many, 90, "HMMA.16816.F32", 8},      {kF32Many, 90, "", 0},
};

KernelIdentity identity(std::string_view name, Encoding encoding, DType compute,
                        Activation activation = Activation::native) {
  return {.kernel = name,
          .encoding = encoding,
          .activation = activation,
          .compute = compute,
          .path = "sm90",
          .device = tensor::DeviceKind::cuda};
}
const KernelIdentity kBf16 = identity("linear_bf16_sm90", Encoding::bf16, DType::bf16);
const KernelIdentity kBf16Lookup = identity("lookup_bf16_sm90", Encoding::bf16, DType::bf16);
const KernelIdentity kInt8 =
    identity("linear_int8_dynamic_sm90", Encoding::int8, DType::i8, Activation::int8_dynamic);
const KernelIdentity kF32 = identity("linear_f32_sm90", Encoding::f32, DType::f32);

class Ledgered : public ::testing::Test {
 protected:
  void ran(const KernelIdentity& kernel, int times) {
    const int layer = ledger.add_layer(std::string(kernel.kernel));
    for (int i = 0; i < times; ++i) ledger.record(layer, kernel, 1);
  }
  /// All differences, as one text.
  [[nodiscard]] std::string differences(const std::vector<WitnessedKernel>& seen) {
    found = compare_with_witness(ledger, seen, kUses, 90);
    std::string text;
    for (const WitnessLine& line : found.lines) {
      if (!line.problem.empty()) text += line.work + ": " + line.problem + "\n";
    }
    EXPECT_EQ(found.contradicted(), !text.empty());
    return text;
  }
  precision::Ledger ledger;
  Verification found;
};

using Witnessed = Ledgered;

TEST(KernelNames, SayWhatTheyMultiply) {
  using Work = KernelName::Work;
  const KernelName few = read_kernel_name(kBf16Few);
  EXPECT_EQ(few.work, Work::product);
  EXPECT_EQ(few.text, "few_rows<MmaBf16, DirectCodes<(Code)2, 8>, 1>");
  EXPECT_EQ(few.path, "sm90");
  EXPECT_EQ(few.encoding, Encoding::bf16);
  EXPECT_EQ(few.compute, DType::bf16);
  const KernelName nf4 = read_kernel_name(kNf4Few);
  EXPECT_EQ(nf4.path, "sm80");
  EXPECT_EQ(nf4.encoding, Encoding::nf4);
  EXPECT_EQ(nf4.compute, DType::bf16);
  EXPECT_EQ(read_kernel_name(kF32Many).work, Work::product);
  EXPECT_EQ(read_kernel_name(kF32Many).compute, DType::f32);
  EXPECT_EQ(read_kernel_name(kLookup).work, Work::lookup);
  EXPECT_EQ(read_kernel_name(kLookup).encoding, Encoding::bf16);
  EXPECT_EQ(read_kernel_name(kQuantize).work, Work::quantize_int8);
  EXPECT_EQ(read_kernel_name(kNorm).work, Work::other);
  EXPECT_EQ(read_kernel_name("sm90_xmma_gemm_bf16").work, Work::foreign);
  EXPECT_EQ(read_kernel_name("").work, Work::foreign);
}

/// What this build's kernels are called is read without remainder, where the build knows it.
TEST(KernelNames, OfThisBuildAreAllRead) {
  if (kernels::cuda::tensor_core_uses().empty()) GTEST_SKIP() << "no record of instructions";
  int products = 0;
  for (const TensorCoreUse& use : kernels::cuda::tensor_core_uses()) {
    const KernelName name = read_kernel_name(std::string(use.kernel));
    EXPECT_NE(name.work, KernelName::Work::foreign) << use.kernel;
    EXPECT_NE(name.path, "") << use.kernel;
    const bool multiplies = name.text.starts_with("few_rows") || name.text.starts_with("many_rows");
    EXPECT_EQ(name.work == KernelName::Work::product, multiplies) << name.text;
    products += multiplies ? 1 : 0;
  }
  EXPECT_GT(products, 20);
}

TEST_F(Witnessed, AgreesWithWhatRan) {
  ran(kBf16, 12);
  ran(kBf16Lookup, 3);
  ran(kInt8, 5);
  EXPECT_EQ(differences({{kBf16Few, 10},
                         {kBf16Many, 2},
                         {kLookup, 3},
                         {kInt8Many, 5},
                         {kQuantize, 5},
                         {kNorm, 77}}),
            "");
  EXPECT_EQ(found.other_launches, 77);
  EXPECT_TRUE(found.recorded());
  ASSERT_EQ(found.lines.size(), 4U);
  EXPECT_EQ(found.lines[0].instructions, "HMMA.16816.F32.BF16");
  EXPECT_EQ(found.lines[0].kernels.size(), 2U);
}

TEST_F(Witnessed, SeesAKernelInAnothersPlace) {
  ran(kBf16, 4);
  const std::string text = differences({{kF16Many, 4}});
  EXPECT_NE(text.find("linear_bf16_sm90: is in the ledger, and did not run"), std::string::npos);
  EXPECT_NE(text.find("MmaF16"), std::string::npos);
  EXPECT_NE(text.find("nothing in the ledger says so"), std::string::npos);
}

TEST_F(Witnessed, CountsLaunches) {
  ran(kBf16, 4);
  EXPECT_EQ(differences({{kBf16Many, 3}}), "linear_bf16_sm90: 4 launches in the ledger, 3 ran\n");
  EXPECT_EQ(differences({{kBf16Many, 5}}), "linear_bf16_sm90: 4 launches in the ledger, 5 ran\n");
  EXPECT_EQ(differences({{kBf16Many, 2}, {kBf16Few, 2}}), "");
}

TEST_F(Witnessed, MissesTheQuantizationOfActivations) {
  ran(kInt8, 2);
  EXPECT_EQ(differences({{kInt8Many, 2}}),
            "int8 activations of sm90: is in the ledger, and did not run\n");
}

TEST_F(Witnessed, LooksAtInstructions) {
  ran(kBf16, 1);
  const std::vector<WitnessedKernel> seen = {{kBf16Many, 1}};
  const auto problem = [&](const std::vector<TensorCoreUse>& uses) {
    return compare_with_witness(ledger, seen, uses, 90).lines.at(0).problem;
  };
  EXPECT_EQ(problem({{kBf16Many, 90, "HMMA.16816.F32.BF16", 1}}), "");
  EXPECT_EQ(problem({{kBf16Many, 90, "HMMA.16816.F32", 1}}), "HMMA.16816.F32 in a product in bf16");
  EXPECT_EQ(problem({{kBf16Many, 90, "", 0}}), "no tensor-core instruction for bf16");
  EXPECT_EQ(problem({{kBf16Many, 90, "HMMA.1688.F32.TF32", 1}}),
            "HMMA.1688.F32.TF32 in a product in bf16");
}

TEST_F(Witnessed, Int8MustMultiplyInt8AndFp32NothingOnTensorCores) {
  ran(kInt8, 1);
  const std::vector<WitnessedKernel> seen = {{kInt8Many, 1}, {kQuantize, 1}};
  const std::vector<TensorCoreUse> half = {{kInt8Many, 90, "HMMA.16816.F32", 1}};
  EXPECT_EQ(compare_with_witness(ledger, seen, half, 90).lines.at(0).problem,
            "no tensor-core instruction for int8");
  ledger.clear();
  ran(kF32, 1);
  EXPECT_EQ(differences({{kF32Many, 1}}), "");
  const std::vector<WitnessedKernel> one = {{kF32Many, 1}};
  const std::vector<TensorCoreUse> tf32 = {{kF32Many, 90, "HMMA.1688.F32.TF32", 1}};
  EXPECT_EQ(compare_with_witness(ledger, one, tf32, 90).lines.at(0).problem,
            "HMMA.1688.F32.TF32 in a product in fp32");
}

TEST_F(Witnessed, SaysWhereInstructionsAreNotRecorded) {
  ran(kBf16, 1);
  const std::vector<WitnessedKernel> seen = {{kBf16Many, 1}};
  const Verification other = compare_with_witness(ledger, seen, kUses, 100);
  EXPECT_FALSE(other.contradicted());
  EXPECT_FALSE(other.recorded());
  EXPECT_TRUE(other.to_json().at("lines").at(0).at("instructions").is_null());
}

TEST_F(Witnessed, NamesKernelsOfOthersAndLeavesTheCpuOut) {
  KernelIdentity cpu = kBf16;
  cpu.device = tensor::DeviceKind::cpu;
  ran(cpu, 6);
  const std::string text = differences({{"cutlass_gemm", 1}});
  EXPECT_EQ(text, "cutlass_gemm: ran, and is no kernel of this program\n");
  EXPECT_EQ(found.on_cpu, 6);
  EXPECT_EQ(found.lines.size(), 1U);
}

}  // namespace
}  // namespace assay::measure
