#include "study/row.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace assay::study {
namespace {

engine::Model load(const std::string& recipe) {
  auto source = engine::ModelSource::open(std::string(ASSAY_GOLDEN_DIR) + "/models/llama_tied");
  auto plan = engine::make_plan(*source, precision::parse_recipe(recipe, recipe, "test"), {});
  return {std::move(source), std::move(plan), {}};
}

void run_once(engine::Model& model) {
  auto cache = model.make_cache(1, 4);
  const std::vector<engine::TokenId> tokens{1, 2, 3};
  const engine::Sequence sequence{tokens, 0};
  static_cast<void>(model.decode({&sequence, 1}, cache));
}

TEST(Row, IsProvedWhenWhatRanIsWhatWasPlanned) {
  engine::Model model = load("fp32");
  run_once(model);
  const Json row = make_row(model, "pp3", Json::object(), {}, "", nullptr);
  EXPECT_EQ(row["status"], "ok");
  EXPECT_EQ(row["proved"], true);
}

TEST(Row, OfASwappedKernelIsInvalid) {
  engine::Model model = load("fp32");
  const std::string planned = model.plan().entries.front().kernel.kernel.data();
  const kernels::cpu::LinearKernel* other = nullptr;
  for (const auto& kernel : kernels::cpu::linear_kernels()) {
    if (kernel.identity.encoding == precision::Encoding::f32 && kernel.identity.kernel != planned &&
        kernels::cpu::has(kernels::cpu::Isa::portable, kernels::cpu::cpu_features()) &&
        kernel.identity.path == "portable") {
      other = &kernel;
    }
  }
  if (other == nullptr) GTEST_SKIP() << "this machine runs the portable kernel only";
  for (auto& [name, matrix] : model.weights_for_test().matrices)
    matrix.swap_kernel_for_test(*other);
  run_once(model);
  const Json row = make_row(model, "pp3", Json::object(), {}, "", nullptr);
  EXPECT_EQ(row["status"], "invalid");
  EXPECT_EQ(row["proved"], false);
  EXPECT_FALSE(row["reason"].get<std::string>().empty());
}

TEST(Row, WithoutAnythingRunIsNeitherProvedNorDisproved) {
  engine::Model model = load("fp32");
  model.ledger().clear();
  EXPECT_TRUE(make_row(model, "fidelity", Json::object(), {}, "", nullptr)["proved"].is_null());
}

}  // namespace
}  // namespace assay::study
