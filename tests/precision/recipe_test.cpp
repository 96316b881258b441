#include "precision/recipe.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/hash.h"
#include "base/yaml.h"

namespace assay::precision {
namespace {

using tensor::DType;

Recipe recipe(const std::string& yaml) {
  return parse_recipe("r", base::parse_yaml(yaml, "test").value, "test");
}
std::string canonical(const std::string& yaml) { return recipe(yaml).canonical().dump(); }

struct Failure {
  ErrorCode code = ErrorCode::internal;
  std::string text = "no error";
};
template <typename F>
Failure failure_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return {error.code(), error.what()};
  }
  return {};
}
Failure recipe_failure(const std::string& yaml) {
  return failure_of([&] { (void)recipe(yaml); });
}
#define EXPECT_USAGE(yaml, part)                                           \
  do {                                                                     \
    const Failure failure = recipe_failure(yaml);                          \
    EXPECT_EQ(failure.code, ErrorCode::usage) << failure.text;             \
    EXPECT_NE(failure.text.find(part), std::string::npos) << failure.text; \
  } while (false)

TEST(Precision, EveryNameParses) {
  const std::vector<std::string> expected = {
      "fp32",   "fp16",   "bf16",  "tf32", "int8", "int8-static", "int8-weight-only",
      "nf4",    "fp4",    "fp8",   "q4_0", "q4_1", "q8_0",        "q5_0",
      "q5_1",   "mxfp4",  "q2_k",  "q3_k", "q4_k", "q5_k",        "q6_k",
      "iq4_nl", "iq4_xs", "stored"};
  EXPECT_EQ(precision_names(), expected);
  for (const std::string& name : expected) {
    const Precision p = parse_precision(name, "test");
    EXPECT_EQ(p.name, name);
    EXPECT_EQ(p.quantized, name != "fp32" && name != "fp16" && name != "bf16" && name != "tf32")
        << name;
    EXPECT_EQ(p.compute.has_value(), !p.quantized) << name;
    EXPECT_EQ(p.weight.has_value(), name != "stored") << name;
    EXPECT_EQ(p.activation == Activation::int8_dynamic, name == "int8") << name;
  }
  EXPECT_EQ(parse_precision("tf32", "t").compute, tensor::DType::tf32);
  EXPECT_EQ(parse_precision("fp8_e4m3", "t").activation, Activation::fp8_dynamic);
  EXPECT_EQ(parse_precision("int8", "t").threshold, 6.0F);
  EXPECT_EQ(parse_precision("Q4_1", "t").name, "q4_1");
  EXPECT_EQ(parse_precision("bfloat16", "t").name, "bf16");
}

TEST(Precision, KnownButNotBuiltIsSaidSo) {
  for (const char* name : {"gptq", "awq", "q8_k"}) {
    const Failure f = recipe_failure(name);
    EXPECT_EQ(f.code, ErrorCode::unsupported) << name;
    EXPECT_NE(f.text.find("not in this build yet"), std::string::npos) << f.text;
    EXPECT_EQ(f.text.find("unknown"), std::string::npos) << f.text;
  }
}

TEST(Recipe, CalibrationIsPartOfWhatItIs) {
  const auto parse = [](const std::string& text) { return parse_recipe_argument(text).front(); };
  const Recipe fixed = parse("{precision: int8, outliers: calibrated, calibration: a.txt}");
  ASSERT_TRUE(fixed.calibration.has_value());
  EXPECT_TRUE(std::filesystem::path(fixed.calibration->file).is_absolute());
  EXPECT_TRUE(fixed.needs_calibration());
  EXPECT_NE(fixed.canonical(), parse("int8").canonical());
  EXPECT_EQ(fixed.canonical(), parse("{precision: int8, outliers: calibrated, calibration: {file: "
                                     "b.txt, samples: 32}}")
                                   .canonical());
  EXPECT_NE(fixed.canonical(), parse("{precision: int8, outliers: calibrated, calibration: {file: "
                                     "a.txt, samples: 31}}")
                                   .canonical());
  EXPECT_EQ(parse_recipe("again", fixed.spec, "t").calibration->file, fixed.calibration->file);
  const Recipe idle = parse("{default: int8, calibration: a.txt}");
  ASSERT_EQ(idle.notices.size(), 1U);
  EXPECT_NE(idle.notices[0].find("no effect"), std::string::npos);
  EXPECT_EQ(idle.canonical(), parse("{default: int8}").canonical());
  EXPECT_USAGE("{precision: int8, calibration: {samples: 3}}",
               "one of 'file', 'table' and 'random'");
  EXPECT_USAGE("{precision: int8, calibration: {file: a, samples: 0}}", "from 1");
  EXPECT_USAGE("{precision: int8, threshold: 0, outliers: calibrated}", "has no effect");
}

TEST(Recipe, StaticInt8HasARangeAndData) {
  const auto parse = [](const std::string& text) { return parse_recipe_argument(text).front(); };
  const Recipe plain = parse("int8-static");
  EXPECT_TRUE(plain.needs_calibration());
  EXPECT_EQ(plain.default_precision.activation, Activation::int8_static);
  EXPECT_EQ(plain.default_precision.percentile, 100.0);
  EXPECT_EQ(plain.canonical(), parse("{precision: int8-static, method: minmax}").canonical());
  const Recipe clamped = parse("{precision: int8-static, method: percentile}");
  EXPECT_EQ(clamped.default_precision.percentile, 99.9);
  EXPECT_EQ(clamped.canonical(), parse("{precision: int8-static, percentile: 99.9}").canonical());
  EXPECT_NE(clamped.canonical(), plain.canonical());
  EXPECT_USAGE("{precision: int8, percentile: 99}", "'percentile' has no effect on int8");
  EXPECT_USAGE("{precision: int8-static, threshold: 6}", "'threshold' has no effect");
  EXPECT_USAGE("{precision: int8-static, method: entropy}", "minmax or percentile");
  EXPECT_USAGE("{precision: int8-static, method: minmax, percentile: 99}", "no effect");
  EXPECT_USAGE("{precision: int8-static, percentile: 101}", "from 50 to 100");
}

TEST(Recipe, CalibrationHasOneSource) {
  const auto parse = [](const std::string& data) {
    return parse_recipe_argument("{precision: int8-static, calibration: " + data + "}").front();
  };
  EXPECT_EQ(parse("{random: 7, samples: 3, length: 20}").calibration->random_seed, 7U);
  EXPECT_NE(parse("{random: 7}").canonical(), parse("{random: 8}").canonical());
  EXPECT_TRUE(parse("{random: 7}").calibration->path().empty());
  const Recipe table = parse("{table: t.json}");
  EXPECT_TRUE(std::filesystem::path(table.calibration->path()).is_absolute());
  EXPECT_NE(table.canonical(), parse("{file: t.json}").canonical());
  EXPECT_USAGE("{precision: int8-static, calibration: {table: a, file: b}}", "one of 'file'");
  EXPECT_USAGE("{precision: int8-static, calibration: {table: a, samples: 3}}",
               "no effect on a table");
  EXPECT_USAGE("{precision: int8-static, calibration: {random: true}}", "a seed");
}

TEST(Precision, ErrorsNameNearNames) {
  EXPECT_USAGE("nf44", "did you mean nf4");
  EXPECT_USAGE("int8-weights-only", "int8-weight-only");
  EXPECT_USAGE("{precision: nf4, duoble_quant: true}", "double_quant");
  EXPECT_USAGE("{precision: int8, double_quant: true}", "'double_quant' has no effect on int8");
  EXPECT_USAGE("{precision: nf4, threshold: 6}", "'threshold' has no effect on nf4");
  EXPECT_USAGE("{precision: int8-weight-only, outliers: per-call}", "no effect");
  EXPECT_USAGE("{precision: int8, threshold: -1}", "at least 0");
  EXPECT_USAGE("{precision: int8, threshold: high}", "at least 0");
  EXPECT_USAGE("{precision: nf4, double_quant: 1}", "true or false");
  EXPECT_USAGE("{precision: nf4, compute: int8}", "no floating type");
  EXPECT_USAGE("{precision: nf4, compute: fp17}", "no floating type");
  EXPECT_USAGE("{precision: fp16, compute: fp32}", "fp16 computes in fp16");
  EXPECT_USAGE("{precision: 8}", "'precision' with a name is missing");
}

TEST(Recipe, Forms) {
  const Recipe named = recipe("int8");
  EXPECT_EQ(named.default_precision.name, "int8");
  EXPECT_TRUE(named.rules.empty());

  const Recipe bare = recipe("{precision: nf4, double_quant: true, compute: bf16}");
  EXPECT_TRUE(bare.default_precision.double_quant);
  EXPECT_EQ(bare.default_precision.compute, DType::bf16);

  const Recipe full = recipe(
      "default: bf16\n"
      "sixteen_bit: fp16\n"
      "activations: fp32\n"
      "kv: bf16\n"
      "rules:\n"
      "  - {match: mlp, precision: int8}\n"
      "  - {match: 're:.*down_proj', precision: int8, threshold: 0}\n"
      "  - {layers: [0, 3-5, last 2], precision: {precision: nf4, double_quant: true}}\n");
  EXPECT_EQ(full.sixteen_bit, DType::f16);
  EXPECT_EQ(full.activations, DType::f32);
  EXPECT_EQ(full.kv, DType::bf16);
  ASSERT_EQ(full.rules.size(), 3U);
  EXPECT_EQ(full.rules[1].precision.threshold, 0.0F);
  EXPECT_EQ(full.rules[2].layers, "0,3-5,last 2");
  EXPECT_TRUE(full.rules[2].precision.double_quant);
  EXPECT_FALSE(recipe("{default: bf16, sixteen_bit: auto}").sixteen_bit.has_value());
}

TEST(Recipe, Errors) {
  EXPECT_USAGE("[bf16]", "a recipe is a precision name");
  EXPECT_USAGE("{}", "a recipe is a precision name");
  EXPECT_USAGE("3", "a recipe is a precision name");
  EXPECT_USAGE("{defualt: bf16}", "did you mean default");
  EXPECT_USAGE("{default: bf16, rule: []}", "did you mean rules");
  EXPECT_USAGE("{rules: []}", "a recipe is a precision name");
  EXPECT_USAGE("{default: bf16, rules: {}}", "'rules' must be a list");
  EXPECT_USAGE("{default: bf16, rules: [{precision: int8}]}", "either 'match' or 'layers'");
  EXPECT_USAGE("{default: bf16, rules: [{match: mlp, layers: '0', precision: int8}]}",
               "either 'match' or 'layers'");
  EXPECT_USAGE("{default: bf16, rules: [{match: mlp}]}", "rule 1: 'precision' with a name");
  EXPECT_USAGE("{default: bf16, rules: [{match: mlp, precision: nf5}]}", "rule 1: unknown");
  EXPECT_USAGE("{default: bf16, rules: [{match: '', precision: int8}]}", "'match' must be");
  EXPECT_USAGE("{default: bf16, rules: [{match: 're:(', precision: int8}]}",
               "wrong at character 1");
  EXPECT_USAGE("{default: bf16, rules: [{match: mlp, precision: {precision: int8}, threshold: 0}]}",
               "either in 'precision");
  for (const char* layers : {"first", "first 0", "5-3", "x", "1,,2", "first five", "-1", "1-2-3"}) {
    EXPECT_USAGE(
        fmt::format("{{default: bf16, rules: [{{layers: \"{}\", precision: int8}}]}}", layers),
        "selects no layers");
  }
  EXPECT_USAGE("{default: bf16, sixteen_bit: fp32}", "has not 16 bits");
  EXPECT_USAGE("{default: bf16, kv: int4}", "int8 or a floating type");
}

TEST(Canonical, EqualMeaningsAreEqual) {
  EXPECT_EQ(canonical("bf16"), canonical("{default: bf16}"));
  EXPECT_EQ(canonical("bf16"), canonical("{precision: bfloat16}"));
  EXPECT_EQ(canonical("bf16"),
            canonical("{default: BF16, rules: [], activations: bf16, kv: bf16}"));
  EXPECT_EQ(canonical("bf16"), canonical("{dtype: bfloat16}"));
  EXPECT_EQ(canonical("int8"), canonical("{precision: int8, threshold: 6}"));
  EXPECT_EQ(canonical("int8"), canonical("{load_in_8bit: true}"));
  EXPECT_EQ(canonical("int8"), canonical("{precision: int8, outliers: per-call}"));
  EXPECT_EQ(canonical("{precision: nf4, compute: bf16, double_quant: true}"),
            canonical("{load_in_4bit: true, bnb_4bit_quant_type: nf4, bnb_4bit_use_double_quant: "
                      "true, bnb_4bit_compute_dtype: bfloat16}"));
  EXPECT_EQ(canonical("{default: nf4, sixteen_bit: bf16}"),
            canonical("{default: {precision: nf4, compute: bf16}}"));
  EXPECT_EQ(canonical("{default: bf16, rules: [{layers: 'first 5, last 5', precision: int8}]}"),
            canonical("{default: bf16, rules: [{layers: [first  5,last 5], precision: int8}]}"));
  EXPECT_EQ(canonical("{default: bf16, rules: [{match: mlp, precision: int8, compute: bf16}]}"),
            canonical("{default: bf16, rules: [{match: mlp, precision: {precision: int8}}]}"));
}

TEST(Canonical, DifferentMeaningsDiffer) {
  const std::vector<std::string> all = {
      "bf16",
      "fp16",
      "fp32",
      "int8",
      "int8-weight-only",
      "nf4",
      "fp4",
      "q8_0",
      "stored",
      "{precision: int8, threshold: 0}",
      "{precision: nf4, double_quant: true}",
      "{precision: nf4, compute: fp32}",
      "{precision: nf4, compute: fp16}",
      "{default: int8, sixteen_bit: fp16}",
      "{default: bf16, activations: fp32}",
      "{default: bf16, kv: fp32}",
      "{default: bf16, rules: [{match: mlp, precision: int8}]}",
      "{default: bf16, rules: [{match: attention, precision: int8}]}",
      "{default: bf16, rules: [{match: mlp, precision: int8}, {match: head, precision: nf4}]}",
      "{default: bf16, rules: [{match: head, precision: nf4}, {match: mlp, precision: int8}]}",
      "{default: bf16, rules: [{layers: '0', precision: int8}]}",
      "{load_in_8bit: true, llm_int8_skip_modules: [a]}",
      "{load_in_8bit: true, dtype: float32}"};
  std::map<std::string, std::string> seen;
  for (const std::string& yaml : all) {
    const auto [where, fresh] = seen.emplace(canonical(yaml), yaml);
    EXPECT_TRUE(fresh) << yaml << " and " << where->second;
  }
}

/// Writes one random recipe in two ways that mean the same.
class RecipeWriter {
 public:
  explicit RecipeWriter(std::uint64_t seed) : random_(seed) {}

  std::pair<std::string, std::string> next() {
    const auto [a, b] = precision();
    const std::string sixteen = pick({"", ", sixteen_bit: bf16", ", sixteen_bit: fp16"});
    std::string rules_a;
    std::string rules_b;
    for (std::uint64_t i = random_.below(4); i > 0; --i) {
      const auto [pa, pb] = precision();
      const auto [sa, sb] = selector();
      rules_a += "{" + sa + ", precision: " + pa + "}, ";
      rules_b += "{precision: " + pb + ", " + sb + "}, ";
    }
    return {"{default: " + a + sixteen + ", rules: [" + rules_a + "]}",
            "{rules: [" + rules_b + "]" + sixteen + ", default: " + b + "}"};
  }

 private:
  std::string pick(const std::vector<std::string>& from) {
    return from[random_.below(from.size())];
  }
  std::pair<std::string, std::string> precision() {
    switch (random_.below(5)) {
      case 0:
        return {"bf16", "{precision: bfloat16, compute: bf16}"};
      case 1:
        return {"fp32", "float32"};
      case 2:
        return {"{precision: int8, threshold: 6.0}", "INT8"};
      case 3: {
        const std::string type = pick({"bf16", "fp16", "fp32"});
        const std::string longer = type == "bf16" ? "torch.bfloat16" : "float" + type.substr(2);
        return {"{precision: nf4, compute: " + type + ", double_quant: false}",
                "{compute: " + longer + ", precision: nf4}"};
      }
      default: {
        const std::string threshold = std::to_string(random_.below(20));
        return {"{precision: int8, threshold: " + threshold + "}",
                "{threshold: " + threshold + ".0, precision: int8, outliers: per-call}"};
      }
    }
  }
  std::pair<std::string, std::string> selector() {
    if (random_.below(2) == 0) {
      const std::string name = pick({"mlp", "attention", "'*.down_proj'", "'re:.*q_proj'"});
      return {"match: " + name, "match: " + name};
    }
    const std::uint64_t n = random_.below(9) + 1;
    const std::string m = std::to_string(n + random_.below(5) + 1);
    const std::string k = std::to_string(n);
    return {"layers: 'first " + k + ", " + k + "-" + m + "'",
            "layers: [ first " + k + " , '" + k + " - " + m + "']"};
  }
  base::Random random_;
};

TEST(Canonical, RandomRecipesWrittenTwiceAreEqual) {
  RecipeWriter writer(1);
  std::map<std::string, int> distinct;
  for (int i = 0; i < 300; ++i) {
    const auto [a, b] = writer.next();
    const std::string json = canonical(a);
    ASSERT_EQ(json, canonical(b)) << a << "\n" << b;
    // Canonical form is a fixed point of serialization, as a key of a cell must be.
    ASSERT_EQ(Json::parse(json).dump(), json);
    ++distinct[json];
  }
  EXPECT_GT(distinct.size(), 100U);
}

TEST(Argument, NamesAndInlineRecipes) {
  const auto list = parse_recipe_argument(
      "bf16, INT8,{precision: nf4, double_quant: true},"
      "{default: bf16, rules: [{layers: \"first 5, last 5\", precision: int8}]}");
  ASSERT_EQ(list.size(), 4U);
  EXPECT_EQ(list[0].name, "bf16");
  EXPECT_EQ(list[1].name, "int8");
  EXPECT_EQ(list[2].name, "{precision: nf4, double_quant: true}");
  EXPECT_TRUE(list[2].default_precision.double_quant);
  EXPECT_EQ(list[3].rules.at(0).layers, "first 5, last 5");
  EXPECT_EQ(parse_recipe_argument(R"({"load_in_8bit": true})").at(0).default_precision.name,
            "int8");
}

TEST(Argument, Errors) {
  const auto failure = [](const std::string& argument) {
    return failure_of([&] { (void)parse_recipe_argument(argument); });
  };
  for (const char* bad : {"", "bf16,", ",", "nf44", "{precision: nf4", "{precision: nf4}}"}) {
    EXPECT_EQ(failure(bad).code, ErrorCode::usage) << bad;
  }
  EXPECT_NE(failure("nf44").text.find("did you mean nf4"), std::string::npos);
  EXPECT_EQ(failure("/nowhere/recipes.yaml").code, ErrorCode::io);
  EXPECT_EQ(failure("q8_k").code, ErrorCode::unsupported);
}

class ArgumentFile : public testing::Test {
 protected:
  void SetUp() override {
    path_ = std::filesystem::path(testing::TempDir()) / "assay_recipe_test.yaml";
  }
  void TearDown() override { std::filesystem::remove(path_); }
  void write(const std::string& text) { std::ofstream(path_) << text; }
  std::filesystem::path path_;
};

TEST_F(ArgumentFile, SeveralRecipes) {
  write(
      "recipes:\n"
      "  C-2: int8\n"
      "  E-A: {default: bf16, rules: [{match: mlp, precision: int8}]}\n");
  const auto list = parse_recipe_argument("fp32," + path_.string());
  ASSERT_EQ(list.size(), 3U);
  EXPECT_EQ(list[1].name, "C-2");
  EXPECT_EQ(list[2].name, "E-A");
}

TEST_F(ArgumentFile, OneRecipeIsNamedAfterTheFile) {
  write("precision: nf4\ndouble_quant: true\n");
  const auto list = parse_recipe_argument(path_.string());
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0].name, "assay_recipe_test");
}

TEST_F(ArgumentFile, ErrorsNameFileAndLine) {
  write("recipes:\n  A: bf16\n  B: nf5\n");
  const Failure f = failure_of([&] { (void)parse_recipe_argument(path_.string()); });
  EXPECT_NE(f.text.find(path_.string() + " line 3 recipe 'B': unknown precision"),
            std::string::npos)
      << f.text;
  write("recipes: {A: bf16}\ncells: []\n");
  EXPECT_NE(failure_of([&] {
              (void)parse_recipe_argument(path_.string());
            }).text.find("unknown key 'cells'"),
            std::string::npos);
}

/// Every fenced yaml block of the page about precisions is a recipe or a set of recipes.
TEST(Documentation, EveryExampleParses) {
  std::ifstream page(std::string(ASSAY_SOURCE_DIR) + "/docs/precisions.md");
  ASSERT_TRUE(page.is_open());
  std::string block;
  bool inside = false;
  int examples = 0;
  for (std::string line; std::getline(page, line);) {
    if (inside && line == "```") {
      SCOPED_TRACE(block);
      const Json value = base::parse_yaml(block, "docs/precisions.md").value;
      const Json recipes = value.is_object() && value.contains("recipes")
                               ? value.at("recipes")
                               : Json{{"example", value}};
      for (const auto& [name, text] : recipes.items()) {
        EXPECT_NO_THROW((void)parse_recipe(name, text, "docs").canonical()) << name;
        ++examples;
      }
      inside = false;
    } else if (inside) {
      block += line + "\n";
    } else if (line == "```yaml") {
      inside = true;
      block.clear();
    }
  }
  EXPECT_FALSE(inside);
  EXPECT_GE(examples, 10);
}

}  // namespace
}  // namespace assay::precision
