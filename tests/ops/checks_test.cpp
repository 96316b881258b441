#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "ops/activation.h"
#include "ops/attention.h"
#include "ops/embedding.h"
#include "ops/norm.h"
#include "ops/rope.h"
#include "ops/scores.h"

namespace assay::ops {
namespace {

using tensor::DType;
using tensor::Matrix;

template <typename F>
void expect_internal(const F& body, const char* op) {
  try {
    body();
    ADD_FAILURE() << op << " accepted it";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::internal);
    EXPECT_TRUE(std::string(error.what()).starts_with(op)) << error.what();
  }
}

class Checks : public testing::Test {
 protected:
  base::ThreadPool pool_{1};
  kernels::cpu::Workspace workspace_;
  precision::Ledger ledger_;
  Context context_{pool_, workspace_, ledger_};
  Matrix x_{DType::f32, 2, 8, true};
  Matrix narrow_{DType::f32, 2, 6, true};
  std::vector<float> eight_ = std::vector<float>(8, 1.0F);
  std::vector<float> six_ = std::vector<float>(6, 1.0F);
};

TEST_F(Checks, Norms) {
  expect_internal([&] { ops::rms_norm(x_.view(), six_, 1e-5F, x_.view(), context_); }, "rms_norm");
  expect_internal([&] { ops::rms_norm(x_.view(), eight_, 1e-5F, narrow_.view(), context_); },
                  "rms_norm");
  expect_internal([&] { ops::layer_norm(x_.view(), eight_, six_, 1e-5F, x_.view(), context_); },
                  "layer_norm");
  ops::layer_norm(x_.view(), eight_, {}, 1e-5F, x_.view(), context_);
  ops::layer_norm(x_.view(), eight_, eight_, 1e-5F, x_.view(), context_);
  std::vector<float> row(8);
  tensor::load_row(x_.view(), 1, row);
  EXPECT_EQ(row, eight_);  // a row of zeros becomes the bias
}

TEST_F(Checks, Activations) {
  expect_internal([&] { ops::add_in_place(x_.view(), narrow_.view(), context_); }, "add");
  expect_internal([&] { ops::gated_product(UnaryFunction::silu, x_.view(), x_.view(1), context_); },
                  "gated product");
}

TEST_F(Checks, Rope) {
  const std::vector<std::int32_t> positions = {0, 1};
  const std::vector<float> two = {1.0F, 0.1F};
  ops::rope(x_.view(), positions, two, 4, context_);
  expect_internal([&] { ops::rope(x_.view(), std::vector<std::int32_t>{0}, two, 4, context_); },
                  "rope");
  ops::rope(x_.view(), positions, two, 8, context_);  // half of each head is rotated
  expect_internal([&] { ops::rope(x_.view(), positions, two, 2, context_); }, "rope");
  expect_internal([&] { ops::rope(x_.view(), positions, {}, 4, context_); }, "rope");
  expect_internal([&] { ops::rope(x_.view(), positions, two, 3, context_); }, "rope");
  expect_internal([&] { ops::rope(narrow_.view(), positions, two, 4, context_); }, "rope");
}

TEST_F(Checks, Gather) {
  Matrix half(DType::f16, 1, 8);
  expect_internal(
      [&] { ops::gather_rows(x_.view(), std::vector<std::int32_t>{0}, half.view(), context_); },
      "gather");
  expect_internal(
      [&] { ops::gather_rows(x_.view(), std::vector<std::int32_t>{2}, x_.view(1), context_); },
      "gather");
  expect_internal(
      [&] {
        ops::gather_rows(x_.view(), std::vector<std::int32_t>{0, 1}, x_.view(1), context_);
      },
      "gather");
}

TEST_F(Checks, Attention) {
  Matrix out(DType::f32, 2, 8);
  const SequenceRows sequence{.query_begin = 0, .query_count = 2, .key_count = 2};
  const AttentionCall good{.q = x_.view(),
                           .out = out.view(),
                           .k = x_.view(),
                           .v = x_.view(),
                           .heads = 2,
                           .kv_heads = 2,
                           .head_dim = 4,
                           .causal = true,
                           .sequences = {.host = {&sequence, 1}}};
  ops::attention(good, context_);
  AttentionCall bad = good;
  bad.kv_heads = 3;
  expect_internal([&] { ops::attention(bad, context_); }, "attention");
  bad = good;
  bad.head_dim = 5;
  expect_internal([&] { ops::attention(bad, context_); }, "attention");
  bad = good;
  bad.window = -1;
  expect_internal([&] { ops::attention(bad, context_); }, "attention");
  bad = good;
  bad.soft_cap = -1.0F;
  expect_internal([&] { ops::attention(bad, context_); }, "attention");
  bad = good;
  bad.k = narrow_.view();  // rows shorter than the heads
  bad.k.stride = 6;
  expect_internal([&] { ops::attention(bad, context_); }, "attention");
  const std::vector<float> sinks(static_cast<std::size_t>(good.heads) + 1);
  bad = good;
  bad.sinks = sinks;
  expect_internal([&] { ops::attention(bad, context_); }, "attention");
  for (const SequenceRows& wrong :
       {SequenceRows{.query_begin = 1, .query_count = 2, .key_count = 2},
        SequenceRows{.query_begin = 0, .query_count = 2, .key_count = 1},
        SequenceRows{.query_begin = 0, .query_count = 2, .key_count = 3}}) {
    bad = good;
    bad.sequences.host = {&wrong, 1};
    expect_internal([&] { ops::attention(bad, context_); }, "attention");
  }
}

TEST_F(Checks, TheCacheGetsTheLastPositionsOfEverySlot) {
  // Two slots of three positions; slot 1 has one position and gets one, slot 0 gets two.
  std::vector<float> keys(2 * 3 * 8, -1.0F);
  std::vector<float> values(keys);
  const CacheView cache{.keys = keys.data(),
                        .values = values.data(),
                        .type = DType::f32,
                        .slot_stride = 24,
                        .row_stride = 8};
  Matrix k(DType::f32, 3, 8);
  for (std::int64_t r = 0; r < 3; ++r) {
    tensor::store_row(k.view(), r, std::vector<float>(8, static_cast<float>(r)));
  }
  const std::vector<SequenceRows> rows = {
      {.query_begin = 0, .query_count = 1, .key_count = 2, .slot = 1},
      {.query_begin = 1, .query_count = 2, .key_count = 2, .slot = 0}};
  ops::append_to_cache(k.view(), k.view(), 8, {.host = rows}, cache, context_);
  const std::vector<float> wanted = {1, 2, -1, -1, 0, -1};
  for (std::size_t position = 0; position < wanted.size(); ++position) {
    EXPECT_EQ(keys[position * 8], wanted[position]) << position;
    EXPECT_EQ(values[position * 8 + 7], wanted[position]) << position;
  }
}

TEST_F(Checks, ScoresAreThoseOfTheRows) {
  Matrix logits(DType::f32, 2, 3);
  tensor::store_row(logits.view(), 0, std::vector<float>{0.0F, 2.0F, 2.0F});
  tensor::store_row(logits.view(), 1, std::vector<float>{5.0F, 1.0F, 0.0F});
  Scores scores;
  ops::score(logits.view(), std::vector<std::int32_t>{0, 1, 1}, std::vector<std::int32_t>{2, 0, 1},
             scores, context_);
  EXPECT_EQ(scores.argmax, (std::vector<std::int32_t>{1, 0}));
  EXPECT_EQ(scores.values, (std::vector<float>{2.0F, 5.0F, 1.0F}));
  EXPECT_NEAR(scores.log_sum_exp[0], std::log(1 + 2 * std::exp(2.0)), 1e-6);
  const std::vector<std::int32_t> one = {1};
  const std::vector<std::int32_t> three = {3};
  expect_internal([&] { ops::score(logits.view(), one, three, scores, context_); }, "score");
}

TEST_F(Checks, RowsOfExperts) {
  Matrix x(DType::f32, 2, 3);
  Matrix sums(DType::f32, 4, 3);
  const std::vector<std::int32_t> rows = {0, 3};
  const std::vector<float> factors = {1.0F, 2.0F};
  ops::add_scaled_rows(x.view(), rows, factors, sums.view(), context_);
  const std::vector<std::int32_t> outside = {0, 4};
  expect_internal([&] { ops::add_scaled_rows(x.view(), outside, factors, sums.view(), context_); },
                  "add scaled rows: row 4 of 4");
  expect_internal(
      [&] {
        ops::add_scaled_rows(x.view(), rows, std::span(factors).first(1), sums.view(), context_);
      },
      "add scaled rows");
  Matrix narrow(DType::bf16, 4, 3);
  expect_internal([&] { ops::add_scaled_rows(x.view(), rows, factors, narrow.view(), context_); },
                  "add scaled rows");
  expect_internal([&] { ops::clamped_swiglu(1.0F, 1.0F, x.view(), sums.view(), context_); },
                  "clamped swiglu");
  expect_internal([&] { ops::soft_cap(x.view(), 0.0F, context_); }, "soft cap");
}

}  // namespace
}  // namespace assay::ops
