// Models on CUDA devices: against transformers' outputs, against the CPU's, against themselves.
// Without a device all are skipped, with the reason.
#include <gtest/gtest.h>

#include <cstdlib>

#include "engine/wide_model.h"

namespace assay::testing {
namespace {

using engine::Model;
using engine::ModelSource;

std::unique_ptr<Model> load_on(const std::string& device, const std::string& model,
                               const std::string& text, engine::LoadOptions options = {}) {
  auto source = ModelSource::open(golden_model(model));
  auto plan = engine::make_plan(*source, recipe(text), {.device = device});
  if (!plan.supported()) fail(ErrorCode::unsupported, "{}", plan.reasons());
  options.threads = 2;
  return std::make_unique<Model>(std::move(source), std::move(plan), options);
}
std::unique_ptr<Model> load_cuda(const std::string& model, const std::string& text,
                                 engine::LoadOptions options = {}) {
  return load_on("cuda", model, text, options);
}

Golden golden_of(const std::string& model) {
  return Golden(golden_model(model) / "golden.safetensors");
}

void expect_proved(Model& model) {
  EXPECT_EQ(precision::compare(model.plan(), model.ledger()), "");
  for (const auto& entry : model.ledger().entries()) {
    EXPECT_EQ(entry.kernel.device, tensor::DeviceKind::cuda) << entry.layer;
  }
}

const engine::SamplingOptions kSamplings[] = {
    {.temperature = 1.0F, .seed = 1, .stop_at_eos = false},
    {.temperature = 2.0F, .top_k = 20, .seed = 2, .stop_at_eos = false},
    {.temperature = 0.8F, .top_p = 0.9F, .seed = 3, .stop_at_eos = false},
    {.temperature = 1.5F, .top_k = 40, .top_p = 0.95F, .seed = 4, .stop_at_eos = false}};

/// The recipe with fp16 in place of bf16, where the path that runs has no bf16.
std::string here(const std::string& text) {
  if (kernels::cuda::device(0).has_bf16() || text == "fp32" || text == "fp16") return text;
  if (text == "bf16") return "fp16";
  if (text.ends_with('}')) return text.substr(0, text.size() - 1) + ", compute: fp16}";
  return fmt::format("{{precision: {}, compute: fp16}}", text);
}

/// Skips where there is no device, with the reason.
#define ASSAY_NEEDS_CUDA() \
  if (const std::string& why = kernels::cuda::unavailable(); !why.empty()) GTEST_SKIP() << why

class CudaDecoders : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { ASSAY_NEEDS_CUDA(); }
};

TEST_P(CudaDecoders, LogitsAreThoseOfTransformers) {
  const Golden golden = golden_of(GetParam());
  const auto model = load_cuda(GetParam(), "fp32");
  int checked = 0;
  for (; golden.has(fmt::format("seq{}.ids", checked)); ++checked) {
    const Tokens ids = golden.tokens(fmt::format("seq{}.ids", checked));
    const auto reference = golden.values(fmt::format("seq{}.logits", checked));
    EXPECT_LE(disagreement(all_logits(*model, ids), reference), kTolerance) << checked;
  }
  EXPECT_EQ(checked, 6);
  expect_proved(*model);
}

TEST_P(CudaDecoders, GreedyTokensAreEqualWithAndWithoutGraphs) {
  const Golden golden = golden_of(GetParam());
  for (const bool graphs : {true, false}) {
    const auto model = load_cuda(GetParam(), "fp32", {.graphs = graphs});
    for (int i = 0; i < 3; ++i) {
      const Tokens tokens = golden.tokens(fmt::format("greedy{}.tokens", i));
      const Tokens prompt = golden.tokens(fmt::format("greedy{}.prompt", i));
      EXPECT_EQ(greedy(*model, prompt, std::ssize(tokens)), tokens) << i;
    }
    EXPECT_EQ(model->graphs().launches > 0, graphs);
    expect_proved(*model);
  }
}

INSTANTIATE_TEST_SUITE_P(All, CudaDecoders,
                         ::testing::Values("llama_tied", "llama_untied", "llama_single_kv",
                                           "llama_rope3", "llama_linear", "mistral", "qwen2",
                                           "qwen2_window", "qwen3", "phi3", "gpt2", "gemma2",
                                           "gemma3"));

class CudaEncoders : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { ASSAY_NEEDS_CUDA(); }
};

TEST_P(CudaEncoders, OutputsAreThoseOfTransformers) {
  const Golden golden = golden_of(GetParam());
  std::vector<Tokens> ids;
  std::vector<engine::Sequence> batch;
  for (int i = 0; i < 6; ++i) ids.push_back(golden.tokens(fmt::format("seq{}.ids", i)));
  for (const Tokens& sequence : ids) batch.push_back({sequence, 0});
  const auto model = load_cuda(GetParam(), "fp32");
  const bool classes = golden.has("seq0.logits");
  for (int pass = 0; pass < 4; ++pass) {  // as it is, captured, launched twice
    const auto check = [&](const std::string& name, tensor::MatrixView result) {
      for (std::int64_t i = 0; i < 6; ++i) {
        EXPECT_LE(
            disagreement(copy(result.slice(i, 1)), golden.values(fmt::format("seq{}.{}", i, name))),
            kTolerance)
            << name << i << " pass " << pass;
      }
    };
    check("normalized", model->embed(batch, true));
    check("mean", model->embed(batch, false));
    if (classes) check("logits", model->classify(batch));
    const tensor::MatrixView hidden = model->encode(batch);
    std::int64_t begin = 0;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const auto own = copy(hidden.slice(begin, std::ssize(ids[i])));
      EXPECT_LE(disagreement(own, golden.values(fmt::format("seq{}.hidden", i))), kTolerance);
      begin += std::ssize(ids[i]);
    }
  }
  EXPECT_GT(model->graphs().launches, 0);
  if (classes) expect_proved(*model);
}

INSTANTIATE_TEST_SUITE_P(All, CudaEncoders,
                         ::testing::Values("bert_classifier", "bert_embedding",
                                           "distilbert_classifier", "roberta_classifier",
                                           "modernbert_classifier", "modernbert_embedding",
                                           "xlm_roberta_embedding"));

class Cuda : public ::testing::Test {
 protected:
  void SetUp() override { ASSAY_NEEDS_CUDA(); }
};

struct Allowance {
  const char* recipe;
  const char* on_cpu;  ///< what the CPU runs for it
  double relative;
};

/// Two orders of summation in f32 give other last bits of what is rounded to 16 bits; some twenty
/// such roundings of a model of two blocks add like a random walk, 4.5 steps. What falls to another
/// code of int8 is a step of 1/127, in each of eight products in a row: sqrt(8) steps. Nothing on
/// the CPU is E4M3: weights and activations of these products are off by up to 2^-4 there, 4 steps.
constexpr double kFp16 = 4.5 * 0x1p-11;
constexpr double kBf16 = 4.5 * 0x1p-8;
constexpr double kInt8 = kBf16 + 2.83 / 127;
constexpr Allowance kAllowances[] = {
    {"fp32", "fp32", 1e-5},
    {"tf32", "fp32", 4.5 * 0x1p-11},
    {"fp16", "fp16", kFp16},
    {"bf16", "bf16", kBf16},
    {"int8", "int8", kInt8},
    {"{precision: int8, threshold: 0}", "{precision: int8, threshold: 0}", kInt8},
    {"{precision: int8, threshold: 0.5}", "{precision: int8, threshold: 0.5}", kInt8},
    {"{precision: int8, compute: fp16}", "{precision: int8, compute: fp16}", kInt8},
    {"int8-weight-only", "int8-weight-only", kBf16},
    {"nf4", "nf4", kBf16},
    {"{precision: nf4, double_quant: true}", "{precision: nf4, double_quant: true}", kBf16},
    {"{precision: nf4, compute: fp32}", "{precision: nf4, compute: fp32}", kBf16},
    {"fp4", "fp4", kBf16},
    {"q4_0", "q4_0", kBf16},
    {"q4_1", "q4_1", kBf16},
    {"q8_0", "q8_0", kBf16},
    {"fp8", "bf16", 4 * 0x1p-4}};

TEST_F(Cuda, EveryPrecisionIsThatOfTheCpu) {
  const kernels::cuda::DeviceInfo& device = kernels::cuda::device(0);
  const ScratchFolder folder;
  const std::string path = write_wide_model(folder);
  const Tokens ids = some_tokens(70);
  const auto exact = all_logits(*load_on("cpu", path, "fp32"), ids);
  for (const Allowance& allowance : kAllowances) {
    const auto source = ModelSource::open(path);
    const auto plan = engine::make_plan(*source, recipe(allowance.recipe), {.device = "cuda"});
    if (!plan.supported()) {
      // fp8 is what Turing's and Ampere's code lacks, bf16 and tf32 Turing's.
      const bool complete =
          device.name.starts_with("NVIDIA") && device.path == kernels::cuda::Path::sm90;
      EXPECT_FALSE(complete) << allowance.recipe << ": " << plan.reasons();
      continue;
    }
    const auto model = load_cuda(path, allowance.recipe);
    const auto other = load_on("cpu", path, allowance.on_cpu);
    const auto expected = all_logits(*other, ids);
    const double error = relative_error(all_logits(*model, ids), expected);
    EXPECT_LE(error, allowance.relative) << allowance.recipe;
    // What quantization costs is the same on both.
    if (std::string_view(allowance.recipe) == allowance.on_cpu && error > 1e-5) {
      const double here = relative_error(expected, exact);
      EXPECT_LE(relative_error(all_logits(*model, ids), exact), 1.25 * here) << allowance.recipe;
    }
    RecordProperty(allowance.recipe, fmt::format("{:.1e}", error));
    // The same by single steps, which have other kernels and become a graph.
    models::KvCache cache = model->make_cache(1, std::ssize(ids));
    std::vector<float> steps;
    for (const TokenId& id : ids) {
      const engine::Sequence step{{&id, 1}, 0};
      const auto row = copy(model->decode({&step, 1}, cache));
      steps.insert(steps.end(), row.begin(), row.end());
    }
    // LLM.int8() finds other outlier columns in a call of one row.
    if (std::string_view(allowance.recipe).find("int8") != 1 &&
        std::string_view(allowance.recipe) != "int8") {
      EXPECT_LE(relative_error(steps, expected), allowance.relative) << allowance.recipe;
    }
    EXPECT_GT(model->graphs().launches, 0) << allowance.recipe;
    expect_proved(*model);
  }
}

TEST_F(Cuda, EncodersRunInEveryPrecision) {
  const Golden golden = golden_of("distilbert_classifier");
  const Tokens ids = golden.tokens("seq4.ids");
  const engine::Sequence sequence{ids, 0};
  for (const Allowance& allowance : kAllowances) {
    const auto source = ModelSource::open(golden_model("distilbert_classifier"));
    const auto plan = engine::make_plan(*source, recipe(allowance.recipe), {.device = "cuda"});
    if (!plan.supported()) continue;
    const auto model = load_cuda("distilbert_classifier", allowance.recipe);
    const auto other = load_on("cpu", "distilbert_classifier", allowance.on_cpu);
    const auto expected = copy(other->embed({&sequence, 1}, false));
    EXPECT_LE(relative_error(copy(model->embed({&sequence, 1}, false)), expected),
              allowance.relative)
        << allowance.recipe;
    (void)model->classify({&sequence, 1});
    expect_proved(*model);
  }
}

TEST_F(Cuda, OutlierColumnsAreCountedAsOnTheCpu) {
  const Tokens ids = golden_of("llama_untied").tokens("seq4.ids");
  const auto columns = [&](const std::string& device) {
    const auto model = load_on(device, "llama_untied", here("{precision: int8, threshold: 1.0}"));
    (void)all_logits(*model, ids);
    std::int64_t total = 0;
    for (const auto& entry : model->ledger().entries()) total += entry.outlier_columns;
    return total;
  };
  const std::int64_t expected = columns("cpu");
  EXPECT_GT(expected, 0);
  EXPECT_NEAR(double(columns("cuda")), double(expected), 2 + 0.02 * double(expected));
}

TEST_F(Cuda, WithFixedTilesBatchAndPrefixDoNotChangeBits) {
  const ScratchFolder folder;
  const std::string path = write_wide_model(folder);
  for (const char* text : {"fp32", "bf16", "nf4", "int8-weight-only"}) {
    const auto model = load_cuda(path, here(text), {.deterministic = true});
    const Tokens ids = some_tokens(70);
    const auto expected = all_logits(*model, ids);
    EXPECT_EQ(all_logits(*model, ids), expected) << text;
    for (const std::size_t chunk : {1U, 3U, 7U}) {
      models::KvCache cache = model->make_cache(1, std::ssize(ids));
      std::vector<float> logits;
      for (std::size_t at = 0; at < ids.size(); at += chunk) {
        const auto part = std::span(ids).subspan(at, std::min(chunk, ids.size() - at));
        model->score({part, 0}, cache, [&](std::int64_t, std::span<const float> row) {
          logits.insert(logits.end(), row.begin(), row.end());
        });
      }
      EXPECT_EQ(logits, expected) << text << chunk;
    }
    models::KvCache cache = model->make_cache(5, std::ssize(ids));
    std::vector<engine::Sequence> batch;
    for (std::size_t i = 0; i < 5; ++i) {
      batch.push_back({std::span(ids).first(ids.size() - i), static_cast<int>(4 - i)});
    }
    const auto together = copy(model->decode(batch, cache).slice(0, 1));
    EXPECT_TRUE(std::equal(together.rbegin(), together.rend(), expected.rbegin())) << text;
  }
}

TEST_F(Cuda, PrefixesAreCopiedBetweenSlots) {
  const auto model = load_cuda("llama_untied", "fp32", {.deterministic = true});
  const Tokens ids = golden_of("llama_untied").tokens("seq4.ids");
  const auto expected = all_logits(*model, ids);
  models::KvCache cache = model->make_cache(2, std::ssize(ids));
  const engine::Sequence all{ids, 0};
  (void)model->decode({&all, 1}, cache);
  const auto half = std::ssize(ids) / 2;
  model->copy_prefix(cache, 0, 1, half);
  const engine::Sequence rest{std::span(ids).subspan(static_cast<std::size_t>(half)), 1};
  const auto last = copy(model->decode({&rest, 1}, cache));
  EXPECT_TRUE(std::equal(last.rbegin(), last.rend(), expected.rbegin()));
}

TEST_F(Cuda, ScoresAreThoseOfTheLogits) {
  const auto model = load_cuda("llama_untied", "fp32", {.deterministic = true});
  const Tokens ids = golden_of("llama_untied").tokens("seq4.ids");
  const auto logits = all_logits(*model, ids);
  const auto width = static_cast<std::size_t>(model->config().vocabulary);
  std::vector<engine::WantedToken> wanted;
  for (std::int32_t r = 0; r + 1 < std::ssize(ids); ++r) {
    wanted.push_back({r, ids[static_cast<std::size_t>(r) + 1]});
  }
  models::KvCache cache = model->make_cache(1, std::ssize(ids));
  const engine::Sequence sequence{ids, 0};
  const auto scores = model->score_tokens({&sequence, 1}, cache, wanted);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const auto row = std::span(logits).subspan(i * width, width);
    const double total = kernels::cpu::log_sum_exp(row);
    const double logit = row[static_cast<std::size_t>(wanted[i].token)];
    EXPECT_NEAR(scores[i].log_probability, logit - total, 1e-6) << i;
    EXPECT_EQ(scores[i].greedy, kernels::cpu::argmax(row) == wanted[i].token) << i;
  }
}

TEST_F(Cuda, ASwappedKernelIsSeen) {
  static precision::KernelIdentity returned;
  const auto model = load_cuda("llama_untied", here("bf16"));
  ops::Linear& layer = model->weights_for_test().matrices.at("blocks.1.mlp.up");
  for (const auto& kernel : kernels::cuda::linear_kernels()) {
    for (const precision::PlanEntry& entry : model->plan().entries) {
      if (entry.layer.name != layer.name() || !(kernel.identity == entry.kernel)) continue;
      static kernels::cuda::LinearKernel impostor;
      static precision::KernelIdentity (*original)(kernels::cuda::LinearCall&);
      impostor = kernel;
      original = kernel.run;
      impostor.run = [](kernels::cuda::LinearCall& call) {
        returned = original(call);
        returned.compute = tensor::DType::f32;
        return returned;
      };
      layer.swap_kernel_for_test(impostor);
      (void)greedy(*model, {3, 4, 5}, 8);  // through a graph as well
      const std::string difference = precision::compare(model->plan(), model->ledger());
      EXPECT_NE(difference.find("model.layers.1.mlp.up_proj"), std::string::npos) << difference;
      return;
    }
  }
  FAIL() << "the planned kernel is not in the table";
}

TEST_F(Cuda, GraphsFollowCachesBatchesAndLongerSequences) {
  const auto model = load_cuda("llama_untied", "fp32");
  const auto plain = load_cuda("llama_untied", "fp32", {.graphs = false});
  const auto generated = [](Model& m) {
    std::vector<TokenId> all;
    for (const int batch : {1, 3, 1}) {
      models::KvCache cache = m.make_cache(batch, 700);
      std::vector<TokenId> last(static_cast<std::size_t>(batch), 5);
      for (int step = 0; step < 600; ++step) {  // over two bounds of the grids
        std::vector<engine::Sequence> sequences;
        for (int i = 0; i < batch; ++i) sequences.push_back({{&last[std::size_t(i)], 1}, i});
        const auto next = m.decode_greedy(sequences, cache);
        std::copy(next.begin(), next.end(), last.begin());
        if (step % 50 == 0) all.insert(all.end(), last.begin(), last.end());
      }
    }
    return all;
  };
  EXPECT_EQ(generated(*model), generated(*plain));
  EXPECT_GT(model->graphs().launches, 1500);
  expect_proved(*model);
}

TEST_F(Cuda, SampledTokensAreThoseOfTheCpu) {
  for (const char* name : {"llama_untied", "gemma2"}) {
    const auto model = load_cuda(name, "fp32");
    const auto plain = load_cuda(name, "fp32", {.graphs = false});
    const auto host = load_on("cpu", name, "fp32");
    for (const engine::SamplingOptions& options : kSamplings) {
      const Tokens wanted = engine::generate(*host, {{3, 4, 5}}, 60, options);
      EXPECT_EQ(engine::generate(*model, {{3, 4, 5}}, 60, options), wanted) << options.seed;
      EXPECT_EQ(engine::generate(*plain, {{3, 4, 5}}, 60, options), wanted) << options.seed;
    }
    const auto wanted = engine::sample_sequences(*host, 5, 40, 7);
    EXPECT_EQ(engine::sample_sequences(*model, 5, 40, 7), wanted);
    EXPECT_GT(model->graphs().launches, 200);
    EXPECT_EQ(plain->graphs().launches, 0);
    expect_proved(*model);
  }
}

TEST_F(Cuda, WhatIsNotANumberNamesItsLayer) {
  const ScratchFolder folder;
  RawTensors tensors = read_raw(golden_model("llama_single_kv") / "model.safetensors");
  const auto load = [&](const char* layer, float value, const char* text) {
    RawTensors changed = tensors;
    std::string& bytes = changed.at(layer).bytes;
    for (std::size_t at = 0; at < bytes.size(); at += 4) std::memcpy(&bytes[at], &value, 4);
    auto source = ModelSource::open(write_model(folder, golden_config("llama_single_kv"), changed));
    auto plan = engine::make_plan(*source, recipe(text), {.device = "cuda"});
    return std::make_unique<Model>(std::move(source), std::move(plan),
                                   engine::LoadOptions{.threads = 1});
  };
  const auto model = load("model.layers.1.mlp.up_proj.weight", 60000.0F, "fp16");
  for (int i = 0; i < 3; ++i) {
    models::KvCache cache = model->make_cache(1, 8);
    const Tokens ids{5};
    const engine::Sequence sequence{ids, 0};
    expect_error(ErrorCode::numeric, {"fp16", "model.layers.1.mlp.", "65504"}, [&] {
      (void)model->decode_greedy({&sequence, 1}, cache);
    });
    EXPECT_EQ(cache.length(0), 0);
  }
  const auto hidden = load("model.layers.1.self_attn.k_proj.weight", 60000.0F, "fp16");
  expect_error(ErrorCode::numeric, {"fp16", "model.layers.1.self_attn.k_proj"}, [&] {
    (void)all_logits(*hidden, {5, 6, 7, 8});
  });
  for (const char* text : {"fp32", "bf16", "int8"}) {
    expect_error(ErrorCode::numeric, {"model.safetensors", "model.layers.1.mlp.up_proj.weight"},
                 [&] { (void)load("model.layers.1.mlp.up_proj.weight", NAN, here(text).c_str()); });
  }
}

TEST_F(Cuda, TooLargeACacheIsAnErrorAndNotTheEnd) {
  const auto model = load_cuda("llama_untied", "fp32");
  try {
    (void)model->make_cache(1 << 20, 1 << 16);
    ADD_FAILURE() << "so much memory is there";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::out_of_memory) << error.what();
    EXPECT_NE(std::string(error.what()).find("free"), std::string::npos) << error.what();
  }
  EXPECT_EQ(greedy(*model, {3, 4, 5}, 4).size(), 4U);
}

/// A model that is cut between its first and second block by a small budget.
std::unique_ptr<Model> load_split(const char* budget, const std::string& text) {
  ::setenv("ASSAY_GPU_MEMORY", budget, 1);
  auto model = load_on("auto", "llama_untied", text, {.deterministic = true});
  ::unsetenv("ASSAY_GPU_MEMORY");
  return model;
}

/// A budget in GiB that holds the embeddings and the first of llama_untied's two blocks.
std::string budget_of_one_block(const std::string& text) {
  const auto source = ModelSource::open(golden_model("llama_untied"));
  const auto plan = engine::make_plan(*source, recipe(text), {});
  std::int64_t bytes = 0;
  for (const precision::PlanEntry& entry : plan.entries) {
    const bool early = entry.layer.block == 0 || entry.layer.lookup;
    if (early) bytes += engine::layer_bytes(entry.layer, entry.precision);
  }
  const auto& config = source->config();
  bytes += 2 * std::min<std::int64_t>(config.max_positions, 4096) * config.kv_heads *
           config.head_dim * 4;
  return fmt::format("{:.12f}", double(bytes + 64) / double(std::int64_t{1} << 30));
}

TEST_F(Cuda, ASplitOverDeviceAndCpuGivesTheSameLogits) {
  const auto model = load_split(budget_of_one_block("fp32").c_str(), "fp32");
  const std::string names = model->plan().device_names();
  EXPECT_TRUE(names == "cuda:0+cpu" || names == "cuda:0+cuda:1") << names;
  const Golden golden = golden_of("llama_untied");
  const Tokens ids = golden.tokens("seq4.ids");
  EXPECT_LE(disagreement(all_logits(*model, ids), golden.values("seq4.logits")), kTolerance);
  EXPECT_EQ(greedy(*model, golden.tokens("greedy0.prompt"), 32), golden.tokens("greedy0.tokens"));
  const auto host = load_on("cpu", "llama_untied", "fp32");
  for (const engine::SamplingOptions& options : kSamplings) {
    EXPECT_EQ(engine::generate(*model, ids, 30, options),
              engine::generate(*host, ids, 30, options));
  }
  EXPECT_EQ(precision::compare(model->plan(), model->ledger()), "");
}

TEST_F(Cuda, TwoDevicesGiveTheBitsOfOne) {
  if (kernels::cuda::devices().size() < 2) GTEST_SKIP() << "one CUDA device";
  for (const char* text : {"fp32", "bf16", "int8-weight-only"}) {
    const std::string wanted = here(text);
    const auto split = load_split(budget_of_one_block(wanted).c_str(), wanted);
    EXPECT_EQ(split->plan().device_names(), "cuda:0+cuda:1") << text;
    const auto whole = load_cuda("llama_untied", wanted, {.deterministic = true});
    const Tokens ids = golden_of("llama_untied").tokens("seq4.ids");
    EXPECT_EQ(all_logits(*split, ids), all_logits(*whole, ids)) << text;
    expect_proved(*split);
  }
}

TEST_F(Cuda, ALayerWithoutAKernelRunsOnTheCpuIfAsked) {
  const auto source = ModelSource::open(golden_model("llama_untied"));
  const auto wanted =
      recipe("{default: fp32, rules: [{match: '*.1.mlp.up_proj', precision: q5_1}]}");
  auto plan = engine::make_plan(*source, wanted, {.device = "cuda", .fallback = true});
  ASSERT_TRUE(plan.supported()) << plan.reasons();
  EXPECT_NE(plan.recipe.find("-> cpu"), std::string::npos) << plan.recipe;
  Model model(source, std::move(plan), {.threads = 2});
  auto on_cpu = engine::make_plan(*source, wanted, {});
  Model other(source, std::move(on_cpu), {.threads = 2});
  const Tokens ids = golden_of("llama_untied").tokens("seq4.ids");
  // The one layer computes in bf16.
  EXPECT_LE(relative_error(all_logits(model, ids), all_logits(other, ids)), kBf16);
  EXPECT_EQ(precision::compare(model.plan(), model.ledger()), "");
}

}  // namespace
}  // namespace assay::testing
