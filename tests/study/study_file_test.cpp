#include <gtest/gtest.h>

#include <algorithm>

#include "base/io.h"
#include "base/scratch_folder.h"
#include "kernels/cuda/runtime.h"
#include "study/study.h"

namespace assay::study {
namespace {

using testing::expect_error;
using testing::ScratchFolder;

class StudyFile : public ::testing::Test {
 protected:
  [[nodiscard]] Study read(const std::string& text) const {
    return read_study(folder_.write("s.yaml", text));
  }
  void expect_bad(const std::string& text, std::initializer_list<std::string> parts) const {
    expect_error(ErrorCode::usage, parts, [&] { (void)read(text); });
  }
  ScratchFolder folder_;
};

TEST_F(StudyFile, MakesACellOfEveryModelDeviceAndRecipe) {
  ::setenv("ASSAY_TEST_MODEL", "models/a.gguf", 1);
  const Study study = read(R"(
name: demo
store: results/x.db
threads: 2
recipes:
  C-1: bf16
  E-B: {default: bf16, rules: [{match: attention, precision: int8}]}
models:
  - model: ${ASSAY_TEST_MODEL}
    recipes: [E-B, C-1, {name: N, precision: nf4, double_quant: true}]
    workload: {prompt: [128, 512], generate: 64, depth: 0, repetitions: 3, min_seconds: 0.5}
    tasks:
      - fidelity
      - {task: perplexity, file: wiki.txt, context: 256}
  - model: enc
    name: encoder
    recipes: fp32
    device: [cpu, cuda]
    threads: 1
    on_unsupported: fallback
    workload: {batch: 1, sequence: 128}
)");
  const auto root = folder_.path().lexically_normal();
  EXPECT_EQ(study.name, "demo");
  EXPECT_EQ(study.store, root / "results/x.db");
  ASSERT_EQ(study.cells.size(), 5U);
  const Cell& first = study.cells[0];
  EXPECT_EQ(first.id, "a/E-B");
  EXPECT_EQ(first.model, (root / "models/a.gguf").string());
  EXPECT_EQ(first.threads, 2);
  EXPECT_EQ(first.baseline, "C-1") << "the first 16-bit recipe";
  EXPECT_EQ(first.workload, Json::parse(R"({"prompt": [128, 512], "generate": [64], "depth": [0],
                                            "repetitions": 3, "min_seconds": 0.5})"));
  EXPECT_EQ(first.tasks[0], Json::parse(R"({"task": "fidelity",
                                            "baseline": {"name": "C-1", "spec": "bf16"}})"));
  EXPECT_EQ(first.tasks[1]["file"], (root / "wiki.txt").string());
  EXPECT_EQ(first.tasks[1]["context"], 256);
  EXPECT_EQ(study.cells[2].recipe_name, "N");
  EXPECT_EQ(study.cells[2].recipe, Json::parse(R"({"precision": "nf4", "double_quant": true})"));
  EXPECT_EQ(study.cells[3].id, "encoder/fp32@cpu");
  EXPECT_EQ(study.cells[4].device, "cuda");
  EXPECT_TRUE(study.cells[4].fallback);
  EXPECT_EQ(study.cells[4].threads, 1);
}

TEST_F(StudyFile, HasDefaults) {
  const Study study = read("models:\n  - {model: m.gguf, recipes: [int8, fp32, bf16]}\n");
  EXPECT_EQ(study.name, "s");
  EXPECT_EQ(study.store, "assay.db");
  EXPECT_EQ(study.cells[0].workload, Json::object()) << "timed by the default workload";
  EXPECT_EQ(study.cells[0].baseline, "fp32");
  const Study scored =
      read("models:\n  - {model: m, recipes: [bf16], tasks: [{task: sst2, file: x.tsv}]}\n");
  EXPECT_TRUE(scored.cells[0].workload.is_null()) << "tasks alone are not timed";
}

TEST_F(StudyFile, TheNoiseFloorIsTheBaselinesOwn) {
  const Study study =
      read("models:\n  - {model: m, recipes: [bf16, int8], workload: {noise_floor: true}}\n");
  EXPECT_EQ(study.cells[0].workload["noise_floor"], true);
  EXPECT_FALSE(study.cells[1].workload.contains("noise_floor"));
}

TEST_F(StudyFile, ASixteenBitTypeGoesIntoQuantizedRecipes) {
  const Study study = read(R"(
sixteen_bit: fp16
models:
  - model: m
    recipes: [bf16, int8, {name: own, default: int8, sixteen_bit: bf16}, {precision: nf4}]
)");
  EXPECT_EQ(study.cells[0].recipe, "bf16") << "bf16 is bf16";
  EXPECT_EQ(study.cells[1].recipe, Json::parse(R"({"default": "int8", "sixteen_bit": "fp16"})"));
  EXPECT_EQ(study.cells[2].recipe["sixteen_bit"], "bf16");
  EXPECT_EQ(study.cells[3].recipe["sixteen_bit"], "fp16");
}

TEST_F(StudyFile, ABaselineNeedNotBeMeasured) {
  const Study study = read(R"(
models:
  - {model: m, recipes: [int8], baseline: fp32, tasks: [fidelity]}
)");
  ASSERT_EQ(study.cells.size(), 1U);
  EXPECT_EQ(study.cells[0].tasks[0]["baseline"]["spec"], "fp32");
}

TEST_F(StudyFile, UnknownKeysAreNamedWithTheirLine) {
  expect_bad("name: x\nmodles: []\n", {"s.yaml:2: unknown key 'modles'", "did you mean models"});
  expect_bad("models:\n  - model: m\n    recipies: [bf16]\n",
             {"s.yaml:3: unknown key 'recipies'", "did you mean recipes"});
  expect_bad("models:\n  - model: m\n    recipes: bf16\n    workload:\n      promt: 5\n",
             {"s.yaml:5: unknown key 'promt'", "did you mean prompt"});
  expect_bad(
      "models:\n  - model: m\n    recipes: bf16\n    tasks:\n      - task: sst2\n"
      "        file: f\n        contxt: 5\n",
      {"s.yaml:7: unknown key 'contxt'", "the task sst2 has"});
  expect_bad("recipes:\n  A:\n    defalt: bf16\nmodels: []\n", {"s.yaml:2", "'A'", "defalt"});
}

TEST_F(StudyFile, TypesAndRangesAreChecked) {
  const auto model = [](const std::string& rest) {
    return "models:\n  - model: m\n    recipes: [bf16]\n    " + rest + "\n";
  };
  expect_bad(model("workload: {prompt: many}"), {"s.yaml:4", "whole number", "\"many\""});
  expect_bad(model("workload: {prompt: [1, 2.5]}"), {"s.yaml:4", "2.5"});
  expect_bad(model("workload: {repetitions: 0}"), {"s.yaml:4", "from 1"});
  expect_bad(model("workload: {min_seconds: -1}"), {"s.yaml:4", "from 0"});
  expect_bad(model("workload: {noise_floor: 1}"), {"s.yaml:4", "true or false"});
  expect_bad(model("workload: [1]"), {"s.yaml:4", "mapping"});
  expect_bad(model("workload: {prompt: 5, sequence: 5}"), {"s.yaml:4", "encoders", "'prompt'"});
  expect_bad(model("threads: 1.5"), {"s.yaml:4", "whole number"});
  expect_bad(model("device: toaster"), {"s.yaml:4", "toaster"});
  expect_bad(model("on_unsupported: pray"), {"s.yaml:4", "fail, fallback"});
  expect_bad(model("tasks: [dance]"), {"s.yaml:4", "unknown task 'dance'", "sst2"});
  expect_bad(model("tasks: [perplexity]"), {"s.yaml:4", "needs a file"});
  expect_bad(model("tasks: [{file: x}]"), {"s.yaml:4", "needs 'task'"});
  expect_bad(model("tasks: [fidelity, {task: fidelity}]"), {"s.yaml:4", "stands twice"});
  expect_bad(model("tasks: [5]"), {"s.yaml:4", "a name or a mapping"});
  expect_bad(model("name: 5"), {"s.yaml:4", "a text is expected"});
  expect_bad("- a\n- b\n", {"s.yaml:1", "a study must be a mapping"});
  expect_bad("name: x\n", {"s.yaml:1", "needs 'models'"});
  expect_bad("models: []\n", {"s.yaml:1", "empty"});
  expect_bad("models:\n  - {recipes: bf16}\n", {"s.yaml:2", "needs 'model'"});
  expect_bad("models:\n  - {model: m}\n", {"s.yaml:2", "needs 'recipes'"});
  expect_bad("models:\n  - {model: m, recipes: []}\n", {"s.yaml:2", "'recipes' is empty"});
}

TEST_F(StudyFile, RecipesAreCheckedWhereTheyStand) {
  expect_bad("models:\n  - model: m\n    recipes:\n      - bf16\n      - int9\n",
             {"s.yaml:5", "'int9'", "int8"});
  expect_bad("recipes:\n  Mine: int8\nmodels:\n  - {model: m, recipes: [Mime]}\n",
             {"s.yaml:4", "did you mean Mine"});
  expect_bad("models:\n  - {model: m, recipes: [bf16, bf16]}\n", {"s.yaml:2", "twice"});
  expect_bad("models:\n  - {model: m, recipes: [int8], tasks: [fidelity]}\n",
             {"s.yaml:2", "fidelity needs a baseline"});
}

TEST_F(StudyFile, UnsetVariablesAreNamed) {
  ::unsetenv("ASSAY_TEST_UNSET");
  expect_bad("name: x\nmodels:\n  - model: ${ASSAY_TEST_UNSET}\n    recipes: bf16\n",
             {"s.yaml:3", "ASSAY_TEST_UNSET is not set"});
  expect_bad("name: ${X\nmodels: []\n", {"s.yaml:1", "'${' without"});
}

TEST_F(StudyFile, TwoModelsOfOneNameMustBeNamed) {
  expect_bad(
      "models:\n  - {model: a/m.gguf, recipes: bf16}\n  - {model: b/m.gguf, recipes: bf16}\n",
      {"s.yaml:3", "'m/bf16'", "'name'"});
}

TEST_F(StudyFile, CheckListsAllProblemsAtOnce) {
  const Study study = read(R"(
store: nowhere/x.db
models:
  - {model: missing-one, recipes: [bf16, int8], tasks: [{task: sst2, file: missing.tsv}]}
  - {model: missing-two, recipes: [bf16], device: cuda}
)");
  const auto checked = check(study);
  const auto& problems = checked.problems;
  EXPECT_FALSE(checked.can_run);
  const auto count = [&](const std::string& part) {
    return std::ranges::count_if(problems, [&](const std::string& line) {
      return line.find(part) != std::string::npos && line.find('\n') == std::string::npos;
    });
  };
  EXPECT_EQ(count("missing-one"), 1) << "once a model, not once a cell";
  EXPECT_EQ(count("missing-two"), 1);
  EXPECT_EQ(count("missing.tsv"), 1);
  EXPECT_EQ(count("no folder"), 1);
  EXPECT_EQ(problems.size(), 4U);
}

TEST_F(StudyFile, CheckLooksAtPlansAndDevicesOfRealModels) {
  const std::string model = std::string(ASSAY_GOLDEN_DIR) + "/models/llama_tied";
  if (!std::filesystem::exists(model)) GTEST_SKIP() << "no golden model " << model;
  const std::string start = "models:\n  - model: " + model + "\n    ";
  const auto problems_of = [&](const std::string& rest) {
    return check(read(start + rest)).problems;
  };
  EXPECT_EQ(problems_of("recipes: [fp32, int8]\n    workload: {prompt: 8}\n"),
            std::vector<std::string>{});
  const std::string& missing = kernels::cuda::unavailable();
  const auto cuda = problems_of("recipes: [fp32]\n    device: cuda\n");
  ASSERT_EQ(cuda.size(), missing.empty() ? 0U : 1U);
  if (!missing.empty()) {
    EXPECT_NE(cuda[0].find(missing), std::string::npos);
  }
  EXPECT_EQ(problems_of("recipes: [fp32]\n    workload: {sequence: 8}\n").size(), 1U);
  EXPECT_TRUE(check(read(start + "recipes: [fp32]\n    device: [cpu, cuda]\n")).can_run)
      << "the cell on the CPU has no problem";
  const auto unmatched = problems_of(
      "recipes: [{name: x, default: fp32, rules: [{match: '*nope*', precision: int8}]}]\n");
  ASSERT_EQ(unmatched.size(), 1U);
  EXPECT_NE(unmatched[0].find("nope"), std::string::npos);
  const auto huge = problems_of("recipes: [fp32]\n    workload: {depth: 16000000, batch: 65536}\n");
  ASSERT_EQ(huge.size(), 1U);
  EXPECT_NE(huge[0].find("GB of memory"), std::string::npos);
}

/// Every ```yaml block of the guide must be a study that can be read.
TEST_F(StudyFile, ExamplesOfTheGuideAreReadable) {
  const std::string guide = base::read_text(std::string(ASSAY_SOURCE_DIR) + "/docs/study-files.md");
  ::setenv("MODELS", "/models", 1);
  const std::string open = "```yaml\n";
  int examples = 0;
  for (std::size_t at = guide.find(open); at != std::string::npos; at = guide.find(open, at)) {
    at += open.size();
    const std::string text = guide.substr(at, guide.find("```", at) - at);
    EXPECT_NO_THROW({
      const Study study = read(text);
      EXPECT_FALSE(study.cells.empty());
    }) << text;
    ++examples;
  }
  EXPECT_GE(examples, 4);
}

/// What only this build lacks is a cell that will say so; what no build has is a mistake.
TEST_F(StudyFile, APrecisionThatIsNotInThisBuildIsACell) {
  const Study study = read(
      "recipes: {S: {precision: fp8_e5m2}}\n"
      "models: [{model: m, recipes: [bf16, S]}]\n");
  ASSERT_EQ(study.cells.size(), 2U);
  EXPECT_EQ(study.cells[1].recipe, Json::parse(R"({"precision": "fp8_e5m2"})"));
  EXPECT_EQ(study.cells[1].baseline, "bf16");
}

TEST_F(StudyFile, CellsThatTakeTurnsSayInHowManyRounds) {
  const Study study = read(
      "interleave: 4\n"
      "models: [{model: m, recipes: [bf16, int8], workload: {prompt: 8}}]\n");
  for (const Cell& cell : study.cells) EXPECT_EQ(cell.workload.at("interleave"), 4);
  EXPECT_FALSE(
      read("models: [{model: m, recipes: [bf16]}]\n").cells[0].workload.contains("interleave"));
}

TEST_F(StudyFile, TheReadyStudiesAreReadable) {
  ::setenv("ASSAY_SMOLLM2", "/models/a.gguf", 0);
  ::setenv("ASSAY_MINILM", "/models/b", 0);
  ::setenv("ASSAY_SHARED", "/shared", 0);
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(ASSAY_SOURCE_DIR) + "/studies")) {
    if (entry.path().extension() != ".yaml") continue;
    EXPECT_NO_THROW((void)read_study(entry.path())) << entry.path();
  }
}

}  // namespace
}  // namespace assay::study
