#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/cpu/elementwise.h"
#include "matrix_helpers.h"

// Keys and values in int8: what is stored against its definition, and attention on it against
// attention on the values that it stands for.
namespace assay::kernels::cpu {
namespace {

using tensor::DType;
using Values = std::vector<float>;

constexpr std::int64_t kHeads = 3;

struct Head {
  std::vector<int> codes;
  float absmax;
  [[nodiscard]] float value(std::size_t i) const {
    return static_cast<float>(codes[i]) * (absmax * (1.0F / 127.0F));
  }
};

Head stored_head(const tensor::Matrix& rows, std::int64_t r, std::int64_t h,
                 std::int64_t head_dim) {
  const auto* at = rows.view().row<std::int8_t>(r) + h * kv_head_elements(DType::i8, head_dim);
  Head head{{at, at + head_dim}, 0.0F};
  std::memcpy(&head.absmax, at + head_dim, sizeof(float));
  return head;
}

tensor::Matrix quantized(const StridedMatrix& x, std::int64_t head_dim, int threads = 1) {
  base::ThreadPool pool(threads);
  tensor::Matrix rows(DType::i8, x.view().rows, kHeads * kv_head_elements(DType::i8, head_dim),
                      true);
  quantize_heads(x.view(), head_dim, rows.view(), pool);
  return rows;
}

TEST(AttentionInt8, HeadsAreRoundedToTheirAbsmax) {
  for_each_isa([] {
    for (const DType type : kFloatTypes) {
      for (const std::int64_t head_dim : {1, 8, 33, 64, 80}) {
        StridedMatrix x = StridedMatrix::random(type, 5, kHeads * head_dim, 3);
        Values extremes(static_cast<std::size_t>(kHeads * head_dim), 0.0F);  // heads of zeros
        for (std::int64_t i = 0; i < head_dim; ++i) {
          extremes[static_cast<std::size_t>(head_dim + i)] = i % 2 == 0 ? 127.0F : -127.0F;
        }
        x.set_row(4, extremes);
        const tensor::Matrix rows = quantized(x, head_dim, 2);
        for (std::int64_t r = 0; r < 5; ++r) {
          const Values row = x.row(r);
          for (std::int64_t h = 0; h < kHeads; ++h) {
            const Head head = stored_head(rows, r, h, head_dim);
            float absmax = 0.0F;
            for (std::int64_t i = 0; i < head_dim; ++i) {
              absmax = std::max(absmax, std::fabs(row[static_cast<std::size_t>(h * head_dim + i)]));
            }
            ASSERT_EQ(head.absmax, absmax);
            for (std::int64_t i = 0; i < head_dim; ++i) {
              const float value = row[static_cast<std::size_t>(h * head_dim + i)];
              const float scaled = absmax > 0.0F ? value * (127.0F / absmax) : 0.0F;
              ASSERT_EQ(head.codes[static_cast<std::size_t>(i)], std::nearbyintf(scaled));
            }
          }
        }
      }
    }
  });
}

TEST(AttentionInt8, WhatIsNotFiniteStaysVisible) {
  for_each_isa([] {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
      StridedMatrix x = StridedMatrix::random(DType::f32, 1, kHeads * 20, 4);
      Values row = x.row(0);
      row[25] = bad;
      x.set_row(0, row);
      const tensor::Matrix rows = quantized(x, 20);
      for (std::int64_t h = 0; h < kHeads; ++h) {
        EXPECT_EQ(std::isfinite(stored_head(rows, 0, h, 20).absmax), h != 1);
      }
    }
  });
}

tensor::Matrix values_of(const tensor::Matrix& rows, std::int64_t head_dim) {
  tensor::Matrix out(DType::f32, rows.rows(), kHeads * head_dim);
  for (std::int64_t r = 0; r < rows.rows(); ++r) {
    for (std::int64_t h = 0; h < kHeads; ++h) {
      const Head head = stored_head(rows, r, h, head_dim);
      for (std::int64_t i = 0; i < head_dim; ++i) {
        out.view().row<float>(r)[h * head_dim + i] = head.value(static_cast<std::size_t>(i));
      }
    }
  }
  return out;
}

/// Eight queries a key-value head, so that f32 keys are copied as int8 ones are.
tensor::Matrix attend(DType kv, const tensor::Matrix& keys, const tensor::Matrix& values,
                      const tensor::Matrix& q, std::int64_t head_dim, int threads) {
  base::ThreadPool pool(threads);
  Workspace workspace;
  tensor::Matrix out(DType::f32, q.rows(), q.cols());
  const AttentionSequence sequence{.query_begin = 0,
                                   .query_count = q.rows(),
                                   .keys = keys.view().data,
                                   .values = values.view().data,
                                   .stride = keys.cols(),
                                   .key_count = keys.rows()};
  attention({.q = q.view(),
             .out = out.view(),
             .kv = kv,
             .heads = 8 * kHeads,
             .kv_heads = kHeads,
             .head_dim = head_dim,
             .scale = 0.2F,
             .causal = true,
             .sequences = {&sequence, 1}},
            pool, workspace);
  return out;
}

TEST(AttentionInt8, HasTheBitsOfTheValuesThatItStandsFor) {
  for_each_isa([] {
    for (const std::int64_t head_dim : {8, 33, 64}) {
      const auto cache = [&](std::uint64_t seed) {
        return quantized(StridedMatrix::random(DType::bf16, 150, kHeads * head_dim, seed),
                         head_dim);
      };
      const tensor::Matrix keys = cache(1), values = cache(2);
      for (const std::int64_t queries : {1, 37}) {
        tensor::Matrix q(DType::f32, queries, 8 * kHeads * head_dim);
        base::Random random(9);
        for (std::int64_t r = 0; r < queries; ++r) {
          for (std::int64_t i = 0; i < q.cols(); ++i) {
            q.view().row<float>(r)[i] = static_cast<float>(random.normal());
          }
        }
        const tensor::Matrix wide = attend(DType::f32, values_of(keys, head_dim),
                                           values_of(values, head_dim), q, head_dim, 1);
        for (const int threads : {1, 3}) {
          const tensor::Matrix y = attend(DType::i8, keys, values, q, head_dim, threads);
          for (std::int64_t r = 0; r < queries; ++r) {
            for (std::int64_t i = 0; i < q.cols(); ++i) {
              ASSERT_EQ(y.view().row<float>(r)[i], wide.view().row<float>(r)[i])
                  << head_dim << " " << queries << " " << threads;
            }
          }
        }
      }
    }
  });
}

}  // namespace
}  // namespace assay::kernels::cpu
