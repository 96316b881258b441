#include <gtest/gtest.h>

#include <vector>

#include "ops/activation.h"
#include "ops/attention.h"
#include "ops/embedding.h"
#include "ops/norm.h"
#include "ops/rope.h"

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
  Matrix x_{DType::f32, 2, 8, true};
  Matrix narrow_{DType::f32, 2, 6, true};
  std::vector<float> eight_ = std::vector<float>(8, 1.0F);
  std::vector<float> six_ = std::vector<float>(6, 1.0F);
};

TEST_F(Checks, Norms) {
  expect_internal([&] { ops::rms_norm(x_.view(), six_, 1e-5F, x_.view(), pool_); }, "rms_norm");
  expect_internal([&] { ops::rms_norm(x_.view(), eight_, 1e-5F, narrow_.view(), pool_); },
                  "rms_norm");
  expect_internal([&] { ops::layer_norm(x_.view(), eight_, six_, 1e-5F, x_.view(), pool_); },
                  "layer_norm");
  ops::layer_norm(x_.view(), eight_, {}, 1e-5F, x_.view(), pool_);
  ops::layer_norm(x_.view(), eight_, eight_, 1e-5F, x_.view(), pool_);
  std::vector<float> row(8);
  tensor::load_row(x_.view(), 1, row);
  EXPECT_EQ(row, eight_);  // a row of zeros becomes the bias
}

TEST_F(Checks, Activations) {
  expect_internal([&] { ops::add_in_place(x_.view(), narrow_.view(), pool_); }, "add");
  expect_internal([&] { ops::gated_product(UnaryFunction::silu, x_.view(), x_.view(1), pool_); },
                  "gated product");
}

TEST_F(Checks, Rope) {
  const std::vector<std::int32_t> positions = {0, 1};
  const std::vector<float> two = {1.0F, 0.1F};
  ops::rope(x_.view(), positions, two, 4, pool_);
  expect_internal([&] { ops::rope(x_.view(), std::vector<std::int32_t>{0}, two, 4, pool_); },
                  "rope");
  ops::rope(x_.view(), positions, two, 8, pool_);  // half of each head is rotated
  expect_internal([&] { ops::rope(x_.view(), positions, two, 2, pool_); }, "rope");
  expect_internal([&] { ops::rope(x_.view(), positions, {}, 4, pool_); }, "rope");
  expect_internal([&] { ops::rope(x_.view(), positions, two, 3, pool_); }, "rope");
  expect_internal([&] { ops::rope(narrow_.view(), positions, two, 4, pool_); }, "rope");
}

TEST_F(Checks, Gather) {
  Matrix half(DType::f16, 1, 8);
  expect_internal([&] { ops::gather_rows(x_.view(), std::vector<std::int32_t>{0}, half.view()); },
                  "gather");
  expect_internal([&] { ops::gather_rows(x_.view(), std::vector<std::int32_t>{2}, x_.view(1)); },
                  "gather");
  expect_internal(
      [&] {
        ops::gather_rows(x_.view(), std::vector<std::int32_t>{0, 1}, x_.view(1));
      },
      "gather");
}

TEST_F(Checks, Attention) {
  Matrix out(DType::f32, 2, 8);
  AttentionSequence sequence{.query_begin = 0,
                             .query_count = 2,
                             .keys = x_.view().data,
                             .values = x_.view().data,
                             .stride = 8,
                             .key_count = 2};
  const AttentionCall good{.q = x_.view(),
                           .out = out.view(),
                           .heads = 2,
                           .kv_heads = 2,
                           .head_dim = 4,
                           .causal = true,
                           .sequences = {&sequence, 1}};
  ops::attention(good, pool_, workspace_);
  AttentionCall bad = good;
  bad.kv_heads = 3;
  expect_internal([&] { ops::attention(bad, pool_, workspace_); }, "attention");
  bad = good;
  bad.head_dim = 5;
  expect_internal([&] { ops::attention(bad, pool_, workspace_); }, "attention");
  bad = good;
  bad.window = -1;
  expect_internal([&] { ops::attention(bad, pool_, workspace_); }, "attention");
  bad = good;
  bad.soft_cap = -1.0F;
  expect_internal([&] { ops::attention(bad, pool_, workspace_); }, "attention");
  const std::vector<float> sinks(static_cast<std::size_t>(good.heads) + 1);
  bad = good;
  bad.sinks = sinks;
  expect_internal([&] { ops::attention(bad, pool_, workspace_); }, "attention");
  for (const AttentionSequence& wrong :
       {AttentionSequence{.query_begin = 1, .query_count = 2, .stride = 8, .key_count = 2},
        AttentionSequence{.query_begin = 0, .query_count = 2, .stride = 8, .key_count = 1},
        AttentionSequence{.query_begin = 0, .query_count = 2, .stride = 7, .key_count = 2}}) {
    bad = good;
    bad.sequences = {&wrong, 1};
    expect_internal([&] { ops::attention(bad, pool_, workspace_); }, "attention");
  }
}

TEST_F(Checks, RowsOfExperts) {
  Matrix x(DType::f32, 2, 3);
  Matrix sums(DType::f32, 4, 3);
  const std::vector<std::int32_t> rows = {0, 3};
  const std::vector<float> factors = {1.0F, 2.0F};
  ops::add_scaled_rows(x.view(), rows, factors, sums.view(), pool_);
  const std::vector<std::int32_t> outside = {0, 4};
  expect_internal([&] { ops::add_scaled_rows(x.view(), outside, factors, sums.view(), pool_); },
                  "add scaled rows: row 4 of 4");
  expect_internal(
      [&] {
        ops::add_scaled_rows(x.view(), rows, std::span(factors).first(1), sums.view(), pool_);
      },
      "add scaled rows");
  Matrix narrow(DType::bf16, 4, 3);
  expect_internal([&] { ops::add_scaled_rows(x.view(), rows, factors, narrow.view(), pool_); },
                  "add scaled rows");
  expect_internal([&] { ops::clamped_swiglu(1.0F, 1.0F, x.view(), sums.view(), pool_); },
                  "clamped swiglu");
  expect_internal([&] { ops::soft_cap(x.view(), 0.0F, pool_); }, "soft cap");
}

}  // namespace
}  // namespace assay::ops
