#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>

#include "kernels/cpu/attention_plan.h"
#include "kernels/cpu/elementwise.h"
#include "matrix_helpers.h"

namespace assay::kernels::cpu {
namespace {

using tensor::DType;

/// Queries of one sequence and a cache of `capacity` positions.
struct Problem {
  std::int64_t heads;
  std::int64_t kv_heads;
  std::int64_t head_dim;
  std::int64_t queries;
  std::int64_t keys;
  DType type;
  bool causal;
  std::int64_t window = 0;
  float soft_cap = 0.0F;
  bool sinks = false;

  /// Of head h; some above all scores, some far below.
  [[nodiscard]] std::vector<float> sink_values() const {
    std::vector<float> values;
    for (std::int64_t h = 0; sinks && h < heads; ++h) {
      values.push_back(static_cast<float>(h % 5 * 3 - 5));
    }
    return values;
  }
  [[nodiscard]] float scale() const { return 1.0F / std::sqrt(static_cast<float>(head_dim)); }
};

struct Inputs {
  StridedMatrix q, k, v;
  explicit Inputs(const Problem& p, std::uint64_t seed = 1)
      : q(StridedMatrix::random(p.type, p.queries, p.heads * p.head_dim, seed)),
        k(StridedMatrix::random(p.type, p.keys, p.kv_heads * p.head_dim, seed + 1)),
        v(StridedMatrix::random(p.type, p.keys, p.kv_heads * p.head_dim, seed + 2)) {}
};

AttentionSequence sequence_of(const Inputs& in, std::int64_t begin, std::int64_t queries,
                              std::int64_t keys) {
  return {.query_begin = begin,
          .query_count = queries,
          .keys = in.k.view().data,
          .values = in.v.view().data,
          .stride = in.k.view().stride,
          .key_count = keys};
}

AttentionCall call_of(const Problem& p, tensor::MatrixView q, tensor::MatrixView out,
                      std::span<const AttentionSequence> sequences,
                      std::span<const float> sinks = {}) {
  return {.q = q,
          .out = out,
          .kv = p.type,
          .heads = p.heads,
          .kv_heads = p.kv_heads,
          .head_dim = p.head_dim,
          .scale = p.scale(),
          .soft_cap = p.soft_cap,
          .causal = p.causal,
          .window = p.window,
          .sinks = sinks,
          .sequences = sequences};
}

StridedMatrix run(const Problem& p, const Inputs& in, int threads) {
  base::ThreadPool pool(threads);
  Workspace workspace;
  StridedMatrix out(p.type, p.queries, p.heads * p.head_dim);
  const AttentionSequence sequence = sequence_of(in, 0, p.queries, p.keys);
  const std::vector<float> sinks = p.sink_values();
  attention(call_of(p, in.q.view(), out.view(), {&sequence, 1}, sinks), pool, workspace);
  return out;
}

/// One query of one head in double, and the error that f32 may make.
struct OneQuery {
  std::vector<double> out;
  double allowed;
};

OneQuery reference(const Problem& p, const Inputs& in, std::int64_t query, std::int64_t head) {
  const auto width = static_cast<std::size_t>(p.head_dim);
  const std::size_t q_begin = static_cast<std::size_t>(head) * width;
  const std::size_t k_begin = static_cast<std::size_t>(head / (p.heads / p.kv_heads)) * width;
  const auto q = in.q.row(query);
  const std::int64_t position = p.keys - p.queries + query;
  std::int64_t visible = p.causal ? position + 1 : p.keys;
  if (!p.causal && p.window > 0) visible = std::min(visible, position + p.window);
  std::vector<double> scores;
  double largest_norm = 0;
  double largest_value = 0;
  const std::int64_t first = p.window == 0 ? 0 : std::max<std::int64_t>(0, position + 1 - p.window);
  for (std::int64_t j = first; j < visible; ++j) {
    const auto k = in.k.row(j);
    double dot = 0, q_square = 0, k_square = 0;
    for (std::size_t i = 0; i < width; ++i) {
      dot += double{q[q_begin + i]} * k[k_begin + i];
      q_square += double{q[q_begin + i]} * q[q_begin + i];
      k_square += double{k[k_begin + i]} * k[k_begin + i];
    }
    const double score = dot * double{p.scale()};
    const double cap = double{p.soft_cap};
    scores.push_back(cap > 0 ? cap * std::tanh(score / cap) : score);
    largest_norm = std::max(largest_norm, std::sqrt(q_square * k_square) * double{p.scale()});
  }
  double largest = *std::ranges::max_element(scores);
  double total = 0;
  if (p.sinks) {
    const double sink = double{p.sink_values()[static_cast<std::size_t>(head)]};
    largest = std::max(largest, sink);
    total = std::exp(sink - largest);
  }
  std::vector<double> out(width);
  for (std::int64_t j = first; j < visible; ++j) {
    const double weight = std::exp(scores[static_cast<std::size_t>(j - first)] - largest);
    total += weight;
    const auto v = in.v.row(j);
    for (std::size_t i = 0; i < width; ++i) {
      out[i] += weight * v[k_begin + i];
      largest_value = std::max(largest_value, std::abs(double{v[k_begin + i]}));
    }
  }
  for (double& x : out) x /= total;
  // Rounding of the dot products moves the exponents, that of the sums the result; both walk
  // randomly.
  const double steps = (4 * std::sqrt(static_cast<double>(p.head_dim)) + 8) * largest_norm +
                       4 * std::sqrt(static_cast<double>(visible)) + 16;
  return {out, 0x1p-24 * steps * largest_value};
}

void expect_matches(const Problem& p) {
  SCOPED_TRACE(fmt::format("heads {}/{} of {}, {} queries, {} keys, {}, causal {}, window {}",
                           p.heads, p.kv_heads, p.head_dim, p.queries, p.keys,
                           tensor::name_of(p.type), p.causal, p.window));
  const Inputs in(p);
  const StridedMatrix out = run(p, in, 2);
  EXPECT_EQ(out.padding(), std::vector<float>(static_cast<std::size_t>(p.queries) * 3, 0.0F));
  for (std::int64_t query = 0; query < p.queries;
       query += std::max<std::int64_t>(1, p.queries / 7)) {
    const auto row = out.row(query);
    for (std::int64_t head = 0; head < p.heads; ++head) {
      const OneQuery wanted = reference(p, in, query, head);
      for (std::size_t i = 0; i < wanted.out.size(); ++i) {
        const std::size_t column = static_cast<std::size_t>(head * p.head_dim) + i;
        expect_rounded(row[column], wanted.out[i], p.type, wanted.allowed);
      }
    }
  }
}

TEST(Attention, MatchesDoubleForEveryHeadWidth) {
  for_each_isa([] {
    for (const std::int64_t head_dim :
         {1, 3, 8, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 80, 96, 128}) {
      for (const DType type : kFloatTypes) {
        expect_matches({2, 2, head_dim, 3, 70, type, true});
      }
    }
  });
}

TEST(Attention, MatchesDoubleForEveryRemainderOfATile) {
  for_each_isa([] {
    for (std::int64_t keys = 1; keys <= 67; ++keys) {
      expect_matches({2, 1, 20, 1, keys, DType::f32, true});
      expect_matches({1, 1, 16, std::min<std::int64_t>(keys, 5), keys, DType::bf16, true});
      expect_matches({1, 1, 16, 2, keys, DType::f32, false});
    }
    for (const std::int64_t keys : {127, 128, 129, 1000, 3001}) {
      expect_matches({2, 1, 64, 2, keys, DType::f32, true});
    }
  });
}

TEST(Attention, MatchesDoubleForGroupsAndBlocks) {
  for_each_isa([] {
    for (const auto& [heads, kv_heads] : {std::pair{9, 3}, {8, 1}, {40, 1}, {4, 4}, {12, 2}}) {
      expect_matches({heads, kv_heads, 32, 40, 90, DType::f32, true});
      expect_matches({heads, kv_heads, 32, 33, 33, DType::f16, false});
    }
  });
}

TEST(Attention, AWindowEndsAnywhereInATile) {
  for_each_isa([] {
    for (const std::int64_t window : {1, 2, 15, 16, 17, 31, 63, 64, 65, 100, 127, 128, 500}) {
      expect_matches({2, 1, 20, 3, 150, DType::f32, true, window});
      expect_matches({2, 2, 16, 150, 150, DType::f32, true, window});
      expect_matches({6, 2, 33, 40, 200, DType::bf16, true, window});
    }
  });
}

TEST(Attention, AWindowToBothSidesEndsAnywhereInATile) {
  for_each_isa([] {
    for (const std::int64_t window : {1, 2, 16, 33, 63, 64, 65, 100, 149, 150, 500}) {
      expect_matches({2, 2, 16, 150, 150, DType::f32, false, window});
      expect_matches({3, 3, 33, 70, 70, DType::f16, false, window});
    }
    expect_matches({1, 1, 16, 1, 1, DType::f32, false, 9});
  });
}

TEST(Attention, SoftCapsAndSinks) {
  for_each_isa([] {
    for (const DType type : kFloatTypes) {
      expect_matches({4, 2, 20, 5, 150, type, true, 0, 0.7F});
      expect_matches({4, 2, 20, 5, 150, type, true, 0, 50.0F});
      expect_matches({10, 2, 20, 5, 150, type, true, 0, 0.0F, true});
      expect_matches({10, 2, 20, 70, 150, type, true, 29, 2.0F, true});
    }
    expect_matches({5, 5, 16, 1, 1, DType::f32, true, 0, 0.0F, true});
  });
}

TEST(Attention, LargeScoresDoNotOverflow) {
  for_each_isa([] {
    Problem p{1, 1, 8, 1, 100, DType::f32, true};
    Inputs in(p);
    in.q.set_row(0, std::vector<float>(8, 300.0F));
    in.k.set_row(70, std::vector<float>(8, 300.0F));  // a score of 255,000: all weight is here
    EXPECT_EQ(run(p, in, 1).row(0), in.v.row(70));
  });
}

/// Rows of a prompt's result, each computed again as a decode step, as the end of a cached prefix
/// and in a batch, with keys beside the visible ones poisoned.
void expect_same_bits(std::int64_t head_dim, DType type, int threads, std::int64_t window = 0) {
  SCOPED_TRACE(fmt::format("head_dim {}, {}, {} threads, window {}", head_dim,
                           tensor::name_of(type), threads, window));
  const Problem p{6, 2, head_dim, 150, 150, type, true, window};
  const Inputs in(p, 5);
  const StridedMatrix prompt = run(p, in, 1);
  EXPECT_TRUE(prompt.same_bits(run(p, in, threads)));

  base::ThreadPool pool(threads);
  Workspace workspace;
  const float poison = std::numeric_limits<float>::quiet_NaN();
  for (const std::int64_t position : {0, 1, 14, 15, 16, 62, 63, 64, 65, 127, 128, 149}) {
    Inputs cut(p, 5);
    for (std::int64_t j = 0; j < p.keys; ++j) {
      if (j <= position && (window == 0 || j > position - window)) continue;
      cut.k.set_row(j, std::vector<float>(static_cast<std::size_t>(p.kv_heads * head_dim), poison));
      cut.v.set_row(j, std::vector<float>(static_cast<std::size_t>(p.kv_heads * head_dim), poison));
    }
    // A decode step of this sequence between two others of other lengths.
    Problem three = p;
    three.queries = 3;
    StridedMatrix q(type, 3, p.heads * head_dim);
    for (const std::int64_t r : {0, 1, 2}) q.set_row(r, in.q.row(r == 1 ? position : 3 + r));
    StridedMatrix out(type, 3, p.heads * head_dim);
    const AttentionSequence batch[] = {sequence_of(in, 0, 1, 77),
                                       sequence_of(cut, 1, 1, position + 1),
                                       sequence_of(in, 2, 1, 140)};
    attention(call_of(three, q.view(), out.view(), batch), pool, workspace);
    EXPECT_EQ(out.row(1), prompt.row(position)) << "decode at " << position;

    StridedMatrix alone(type, 1, p.heads * head_dim);
    const AttentionSequence single = sequence_of(cut, 0, 1, position + 1);
    attention(call_of(p, q.view().slice(1, 1), alone.view(), {&single, 1}), pool, workspace);
    EXPECT_EQ(alone.row(0), prompt.row(position)) << "single step at " << position;
  }
  // The last 37 positions after a cached prefix.
  StridedMatrix tail(type, 37, p.heads * head_dim);
  const AttentionSequence rest = sequence_of(in, 0, 37, 150);
  attention(call_of(p, in.q.view().slice(113, 37), tail.view(), {&rest, 1}), pool, workspace);
  for (std::int64_t r = 0; r < 37; ++r) EXPECT_EQ(tail.row(r), prompt.row(113 + r));
}

TEST(Attention, PromptDecodePrefixBatchAndThreadsGiveTheSameBits) {
  for_each_isa([] {
    for (const std::int64_t head_dim : {8, 33, 64, 128}) {
      for (const DType type : kFloatTypes) expect_same_bits(head_dim, type, 3);
    }
    expect_same_bits(64, DType::f32, 7);
    for (const std::int64_t window : {1, 40, 64, 70}) {
      expect_same_bits(32, DType::f32, 3, window);
      expect_same_bits(33, DType::bf16, 2, window);
    }
  });
}

TEST(Attention, EncoderSequencesDoNotSeeEachOther) {
  for_each_isa([] {
    const Problem p{4, 4, 32, 90, 90, DType::f32, false};
    const Inputs a(p, 1);
    const StridedMatrix alone = run(p, a, 2);
    // The same sequence as the second of a ragged batch.
    StridedMatrix q(DType::f32, 100, 128);
    for (std::int64_t r = 0; r < 90; ++r) q.set_row(10 + r, a.q.row(r));
    const Inputs b({4, 4, 32, 10, 10, DType::f32, false}, 9);
    StridedMatrix out(DType::f32, 100, 128);
    const AttentionSequence batch[] = {sequence_of(b, 0, 10, 10), sequence_of(a, 10, 90, 90)};
    base::ThreadPool pool(2);
    Workspace workspace;
    attention(call_of(p, q.view(), out.view(), batch), pool, workspace);
    for (std::int64_t r = 0; r < 90; ++r) EXPECT_EQ(out.row(10 + r), alone.row(r));
  });
}

TEST(Attention, ANaNReachesExactlyTheQueriesThatSeeIt) {
  for_each_isa([] {
    for (const DType type : {DType::f32, DType::bf16}) {
      const Problem p{1, 1, 32, 80, 80, type, true};
      for (const bool in_keys : {true, false}) {
        Inputs in(p);
        (in_keys ? in.k : in.v).set_row(40, std::vector<float>(32, NAN));
        const StridedMatrix out = run(p, in, 2);
        for (std::int64_t r = 0; r < 80; ++r) EXPECT_EQ(std::isnan(out.row(r)[3]), r >= 40) << r;
      }
    }
  });
}

TEST(AttentionPlan, EveryQueryOfEveryHeadIsInOneBundleAndSharesAreFair) {
  const AttentionSequence sequences[] = {{.query_count = 100, .key_count = 100},
                                         {.query_count = 1, .key_count = 500},
                                         {.query_count = 0, .key_count = 3},
                                         {.query_count = 33, .key_count = 64}};
  const AttentionCall call{.q = {},
                           .out = {},
                           .heads = 9,
                           .kv_heads = 3,
                           .head_dim = 64,
                           .causal = true,
                           .sequences = sequences};
  for (const std::int64_t parts : {1, 2, 3, 8, 64}) {
    std::map<std::tuple<std::size_t, std::int64_t, std::int64_t>, int> seen;
    std::vector<double> shares;
    for (std::int64_t part = 0; part < parts; ++part) {
      double share = 0;
      for_each_bundle(call, part, parts, [&](const AttentionBundle& b) {
        EXPECT_EQ(b.head_begin / 3, (b.head_end - 1) / 3);
        EXPECT_LE((b.head_end - b.head_begin) * (b.query_end - b.query_begin), kBundle);
        for (std::int64_t h = b.head_begin; h < b.head_end; ++h) {
          for (std::int64_t i = b.query_begin; i < b.query_end; ++i) {
            ++seen[{b.sequence, h, i}];
            share += static_cast<double>(visible_keys(call, sequences[b.sequence], i));
          }
        }
      });
      shares.push_back(share);
    }
    EXPECT_EQ(seen.size(), 9U * 134U);
    for (const auto& [key, count] : seen) EXPECT_EQ(count, 1);
    if (parts <= 8) {
      const auto [least, most] = std::ranges::minmax(shares);
      EXPECT_GT(least, 0.85 * most) << parts << " parts";
    }
  }
}

}  // namespace
}  // namespace assay::kernels::cpu
