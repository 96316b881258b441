#include <algorithm>
#include <limits>

#include "base/error.h"
#include "device_testing.h"
#include "kernels/cuda/elementwise.h"

namespace assay::kernels::cuda {
namespace {

using tensor::DType;

/// Queries of one sequence with `keys` positions present.
struct Problem {
  std::int64_t heads;
  std::int64_t kv_heads;
  std::int64_t head_dim;
  std::int32_t queries;
  std::int32_t keys;
  DType type;
  bool causal;
  std::int64_t window = 0;
  float soft_cap = 0.0F;
  bool sinks = false;
  DType cache = type;
  bool fixed = false;

  /// Of head h; some above all scores, some far below.
  [[nodiscard]] std::vector<float> sink_values() const {
    std::vector<float> values;
    for (std::int64_t h = 0; sinks && h < heads; ++h)
      values.push_back(static_cast<float>(h % 5 * 3 - 5));
    return values;
  }
  [[nodiscard]] float scale() const { return 1.0F / std::sqrt(static_cast<float>(head_dim)); }
  [[nodiscard]] std::string name() const {
    return fmt::format(
        "heads {}/{} of {}, {} queries, {} keys, {} (cache {}), causal {}, window {}, "
        "cap {}, sinks {}, fixed {}",
        heads, kv_heads, head_dim, queries, keys, name_of(type), name_of(cache), causal, window,
        soft_cap, sinks, fixed);
  }
};

/// Whether the kernel with tensor cores takes it (as attention.cpp decides), which rounds the
/// softmax's numerators to the type and whose sums may cut instead of round.
bool rounds_numerators(const Problem& p, Path path) {
  return p.type != DType::f32 && p.cache == p.type && p.head_dim % 8 == 0 &&
         !(p.type == DType::bf16 && path == Path::sm75);
}

class CudaAttention : public OnDevice {
 protected:
  /// Keys and values in slot 1 of a cache of two, everything else in it poisoned.
  struct Inputs {
    TestMatrix q, k, v;
    std::int64_t capacity;
  };
  Inputs inputs(const Problem& p, std::uint64_t seed, std::int64_t pad = 8) {
    const std::int64_t capacity = p.keys + 5;
    const auto cache = [&](std::uint64_t s) {
      auto m = TestMatrix::random(p.cache, 2 * capacity, p.kv_heads * p.head_dim, pad, stream(), s);
      const std::vector<float> poison(static_cast<std::size_t>(m.cols()), NAN);
      for (std::int64_t r = 0; r < 2 * capacity; ++r)
        if (r < capacity || r >= capacity + p.keys) m.set_row(r, poison);
      m.upload();
      return m;
    };
    return {TestMatrix::random(p.type, p.queries, p.heads * p.head_dim, pad, stream(), seed),
            cache(seed + 1), cache(seed + 2), capacity};
  }

  AttentionCall call_of(const Problem& p, const Inputs& in) {
    AttentionCall call;
    call.q = in.q.view();
    call.cached = true;
    const std::int64_t stride = in.k.view().stride;
    call.cache = {in.k.view().data, in.v.view().data, p.cache, in.capacity * stride, stride};
    call.heads = p.heads;
    call.kv_heads = p.kv_heads;
    call.head_dim = p.head_dim;
    call.scale = p.scale();
    call.soft_cap = p.soft_cap;
    call.causal = p.causal;
    call.window = p.window;
    call.fixed_tiles = p.fixed;
    if (p.sinks) call.sinks = array(p.sink_values());
    return call;
  }

  TestMatrix run(const Problem& p, const Inputs& in, std::int64_t pad = 8) {
    auto out = TestMatrix::poisoned(p.type, p.queries, p.heads * p.head_dim, pad, stream());
    AttentionCall call = call_of(p, in);
    call.out = out.view();
    call.sequences = array(std::vector<DeviceSequence>{{0, p.queries, p.keys, 1}});
    call.sequence_count = 1;
    call.most_queries = p.queries;
    call.most_keys = p.keys;
    attention(call, stream(), workspace());
    out.download();
    return out;
  }

  void expect_matches(const Problem& p, std::int64_t pad = 8);
};

/// One query of one head in double, and the error that the kernel may make.
struct Reference {
  std::vector<double> out;
  double allowed = 0;
};

Reference reference(const Problem& p, const std::vector<float>& q, const TestMatrix& keys,
                    const TestMatrix& values, std::int64_t first_row, std::int64_t query,
                    std::int64_t head, bool numerators_rounded) {
  const auto width = static_cast<std::size_t>(p.head_dim);
  const std::size_t q_begin = static_cast<std::size_t>(head) * width;
  const std::size_t k_begin = static_cast<std::size_t>(head / (p.heads / p.kv_heads)) * width;
  const std::int64_t position = p.keys - p.queries + query;
  std::int64_t visible = p.causal ? position + 1 : p.keys;
  if (!p.causal && p.window > 0) visible = std::min<std::int64_t>(visible, position + p.window);
  const std::int64_t first = p.window == 0 ? 0 : std::max<std::int64_t>(0, position + 1 - p.window);
  std::vector<double> scores;
  double largest_norm = 0;
  for (std::int64_t j = first; j < visible; ++j) {
    const auto k = keys.row(first_row + j);
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
  double largest_value = 0;
  for (std::int64_t j = first; j < visible; ++j) {
    const double weight = std::exp(scores[static_cast<std::size_t>(j - first)] - largest);
    total += weight;
    const auto v = values.row(first_row + j);
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
  double error = kF32 * steps;
  if (numerators_rounded) {
    // Sums that cut where they would round err twice as far and always to one side; numerators err
    // by a rounding, those below the type's smallest number by half of it.
    const double chain = static_cast<double>(p.head_dim + visible) / 8;
    error = 2 * error + 2 * kF32 * chain * (1 + largest_norm) + unit_roundoff(p.type) +
            static_cast<double>(visible) * smallest_error(p.type) / total;
  }
  return {out, error * largest_value};
}

void CudaAttention::expect_matches(const Problem& p, std::int64_t pad) {
  SCOPED_TRACE(p.name());
  if (HasFailure()) return;
  const Inputs in = inputs(p, 1, pad);
  const TestMatrix out = run(p, in, pad);
  const auto poison = TestMatrix::poisoned(p.type, p.queries, out.cols(), pad, stream());
  EXPECT_EQ(out.padding(), poison.padding());
  const bool rounded = pad % 8 == 0 && rounds_numerators(p, stream().device().path);
  for (std::int64_t query = 0; query < p.queries;
       query += std::max<std::int64_t>(1, p.queries / 7)) {
    const auto row = out.row(query);
    for (std::int64_t head = query % std::min<std::int64_t>(2, p.heads); head < p.heads;
         head += std::max<std::int64_t>(1, p.heads / 3)) {
      const Reference wanted =
          reference(p, in.q.row(query), in.k, in.v, in.capacity, query, head, rounded);
      for (std::size_t i = 0; i < wanted.out.size(); ++i) {
        const std::size_t column = static_cast<std::size_t>(head * p.head_dim) + i;
        expect_rounded(row[column], wanted.out[i], p.type, wanted.allowed);
      }
    }
  }
}

TEST_F(CudaAttention, EveryHeadWidth) {
  for (const std::int64_t head_dim :
       {1,  3,  8,  16,  17,  24,  32,  33,  40,  48,  56,  64,  65,
        72, 80, 96, 104, 112, 120, 128, 136, 160, 192, 224, 250, 256}) {
    for (const DType type : kFloatTypes) {
      expect_matches({2, 2, head_dim, 3, 70, type, true});
      expect_matches({2, 1, head_dim, 40, 70, type, true});
    }
  }
}

TEST_F(CudaAttention, EveryRemainderOfATile) {
  for (std::int32_t keys = 1; keys <= 131; ++keys) {
    expect_matches({2, 1, 16, 1, keys, DType::f32, true});
    expect_matches({1, 1, 16, std::min(keys, 5), keys, DType::bf16, true});
    expect_matches({1, 1, 64, std::min(keys, 70), keys, DType::f16, true});
    expect_matches({1, 1, 16, std::min(keys, 33), keys, DType::f32, true});
  }
}

TEST_F(CudaAttention, MixedTypesAndUnalignedRows) {
  for (const DType type : kFloatTypes) {
    for (const DType cache : kFloatTypes) {
      Problem p{4, 2, 64, 20, 90, type, true};
      p.cache = cache;
      expect_matches(p);
      expect_matches(p, 3);
      p.queries = 1;
      p.keys = 700;
      expect_matches(p);
      expect_matches(p, 3);
    }
  }
}

TEST_F(CudaAttention, GroupsAndBlocks) {
  for (const auto& [heads, kv_heads] : {std::pair{9, 3}, {8, 1}, {40, 1}, {4, 4}, {12, 2}}) {
    for (const DType type : kFloatTypes) {
      expect_matches({heads, kv_heads, 32, 40, 90, type, true});
      expect_matches({heads, kv_heads, 128, 33, 33, type, false});
      expect_matches({heads, kv_heads, 64, 1, 300, type, true});
    }
  }
}

TEST_F(CudaAttention, AWindowEndsAnywhereInATile) {
  for (const std::int64_t window : {1, 2, 15, 16, 17, 31, 63, 64, 65, 100, 127, 128, 500}) {
    for (const DType type : kFloatTypes) {
      expect_matches({2, 1, 24, 3, 150, type, true, window});
      expect_matches({2, 2, 64, 150, 150, type, true, window});
      expect_matches({2, 2, 64, 150, 150, type, false, window});
      expect_matches({8, 2, 64, 1, 900, type, true, window});
    }
  }
}

TEST_F(CudaAttention, SoftCapsAndSinks) {
  for (const DType type : kFloatTypes) {
    for (const std::int32_t keys : {150, 1500}) {
      for (const std::int32_t queries : {1, 5, 70}) {
        expect_matches({4, 2, 24, queries, keys, type, true, 0, 0.7F});
        expect_matches({4, 2, 24, queries, keys, type, true, 0, 50.0F});
        expect_matches({10, 2, 24, queries, keys, type, true, 0, 0.0F, true});
        expect_matches({10, 2, 24, queries, keys, type, true, 29, 2.0F, true});
      }
    }
    expect_matches({5, 5, 16, 1, 1, type, true, 0, 0.0F, true});
  }
}

TEST_F(CudaAttention, DecodeStepsSplitLongSequences) {
  for (const DType type : kFloatTypes) {
    for (const std::int32_t keys : {257, 511, 512, 513, 1000, 4097}) {
      for (const std::int32_t queries : {1, 2}) {
        expect_matches({8, 8, 128, queries, keys, type, true});
        expect_matches({8, 2, 128, queries, keys, type, true});
        expect_matches({4, 1, 256, queries, keys, type, true});
      }
    }
  }
}

TEST_F(CudaAttention, LargeScoresDoNotOverflow) {
  for (const DType type : kFloatTypes) {
    const Problem p{1, 1, 8, 1, 100, type, true};
    Inputs in = inputs(p, 1);
    in.q.set_row(0, std::vector<float>(8, 300.0F));
    in.k.set_row(in.capacity + 70, std::vector<float>(8, 300.0F));  // all weight is here
    in.q.upload();
    in.k.upload();
    EXPECT_EQ(run(p, in).row(0), in.v.row(in.capacity + 70));
  }
}

/// Rows of a prompt's result, each computed again as a decode step among others, alone and as the
/// end of a cached prefix, with keys beside the visible ones poisoned.
TEST_F(CudaAttention, FixedTilesGiveTheSameBitsInPromptDecodeAndBatch) {
  for (const std::int64_t head_dim : {8, 40, 64, 128, 256}) {
    for (const DType type : kFloatTypes) {
      for (const std::int64_t window : {0, 40}) {
        Problem p{6, 2, head_dim, 150, 150, type, true, window};
        p.fixed = true;
        SCOPED_TRACE(p.name());
        const Inputs in = inputs(p, 5);
        const TestMatrix prompt = run(p, in);
        for (const std::int32_t position : {0, 1, 15, 16, 62, 63, 64, 65, 127, 128, 149}) {
          Inputs cut = inputs(p, 5);
          const std::vector<float> poison(static_cast<std::size_t>(p.kv_heads * head_dim), NAN);
          for (std::int32_t j = 0; j < p.keys; ++j) {
            if (j <= position && (window == 0 || j > position - window)) continue;
            cut.k.set_row(cut.capacity + j, poison);
            cut.v.set_row(cut.capacity + j, poison);
          }
          cut.k.upload();
          cut.v.upload();
          // Three sequences of one query each; all read slot 1, so that only the middle one is
          // whole.
          TestMatrix q(type, 3, p.heads * head_dim, 8, stream());
          for (const std::int64_t r : {0, 1, 2}) q.set_row(r, in.q.row(r == 1 ? position : 3 + r));
          q.upload();
          auto out = TestMatrix::poisoned(type, 3, p.heads * head_dim, 8, stream());
          AttentionCall call = call_of(p, cut);
          call.q = q.view();
          call.out = out.view();
          call.sequences = array(
              std::vector<DeviceSequence>{{0, 1, 77, 1}, {1, 1, position + 1, 1}, {2, 1, 140, 1}});
          call.sequence_count = 3;
          call.most_queries = 1;
          call.most_keys = 5000;
          attention(call, stream(), workspace());
          out.download();
          EXPECT_EQ(out.row(1), prompt.row(position)) << "decode at " << position;

          auto alone = TestMatrix::poisoned(type, 1, p.heads * head_dim, 8, stream());
          call.q = q.view().slice(1, 1);
          call.out = alone.view();
          call.sequences = array(std::vector<DeviceSequence>{{0, 1, position + 1, 1}});
          call.sequence_count = 1;
          attention(call, stream(), workspace());
          alone.download();
          EXPECT_EQ(alone.row(0), prompt.row(position)) << "alone at " << position;
        }
        Problem rest = p;  // the last 37 positions after a cached prefix
        rest.queries = 37;
        Inputs tail = inputs(rest, 5);
        for (std::int64_t r = 0; r < 37; ++r) tail.q.set_row(r, in.q.row(113 + r));
        tail.q.upload();
        const TestMatrix out = run(rest, tail);
        for (std::int64_t r = 0; r < 37; ++r) EXPECT_EQ(out.row(r), prompt.row(113 + r));
        if (HasFailure()) return;
      }
    }
  }
}

/// A ragged batch of prompts and decode steps, sequences without a query among them.
TEST_F(CudaAttention, RaggedBatches) {
  for (const DType type : kFloatTypes) {
    for (const bool fixed : {false, true}) {
      Problem p{4, 2, 64, 1, 400, type, true};
      p.fixed = fixed;
      const Inputs in = inputs(p, 7);
      const std::vector<DeviceSequence> sequences = {
          {0, 1, 400, 1}, {1, 0, 0, 1}, {1, 1, 3, 1}, {2, 33, 60, 1}, {35, 2, 250, 1}};
      const auto q = TestMatrix::random(type, 37, 256, 8, stream(), 8);
      for (const std::int32_t most : {33, 40}) {
        auto out = TestMatrix::poisoned(type, 37, 256, 8, stream());
        AttentionCall call = call_of(p, in);
        call.q = q.view();
        call.out = out.view();
        call.sequences = array(sequences);
        call.sequence_count = 5;
        call.most_queries = most;
        call.most_keys = 800;
        attention(call, stream(), workspace());
        out.download();
        for (const DeviceSequence& s : sequences) {
          Problem one = p;
          one.queries = s.query_count;
          one.keys = s.key_count;
          for (std::int32_t i = 0; i < s.query_count; i += 7) {
            const std::int64_t row = s.query_begin + i;
            const Reference wanted = reference(one, q.row(row), in.k, in.v, in.capacity, i, 3,
                                               rounds_numerators(one, stream().device().path));
            for (std::size_t c = 0; c < 64; ++c)
              expect_rounded(out.row(row)[192 + c], wanted.out[c], type, wanted.allowed);
          }
        }
      }
    }
  }
}

/// Decode steps of sequences of very different lengths, one of them without a query, in parts.
TEST_F(CudaAttention, RaggedDecodeSteps) {
  for (const DType type : kFloatTypes) {
    const Problem p{4, 2, 64, 1, 2000, type, true};
    const Inputs in = inputs(p, 7);
    const std::vector<DeviceSequence> sequences = {
        {0, 1, 2000, 1}, {1, 0, 0, 1}, {1, 1, 3, 1}, {2, 1, 129, 1}};
    const auto q = TestMatrix::random(type, 3, 256, 8, stream(), 8);
    auto out = TestMatrix::poisoned(type, 3, 256, 8, stream());
    AttentionCall call = call_of(p, in);
    call.q = q.view();
    call.out = out.view();
    call.sequences = array(sequences);
    call.sequence_count = 4;
    call.most_queries = 1;
    call.most_keys = 2000;
    attention(call, stream(), workspace());
    out.download();
    for (const DeviceSequence& s : sequences) {
      if (s.query_count == 0) continue;
      Problem one = p;
      one.keys = s.key_count;
      const Reference wanted = reference(one, q.row(s.query_begin), in.k, in.v, in.capacity, 0, 1,
                                         rounds_numerators(one, stream().device().path));
      for (std::size_t c = 0; c < 64; ++c)
        expect_rounded(out.row(s.query_begin)[64 + c], wanted.out[c], type, wanted.allowed);
    }
  }
}

/// Keys and values are rows of matrices beside the queries, and no sequence sees another.
TEST_F(CudaAttention, Encoders) {
  for (const DType type : kFloatTypes) {
    for (const std::int64_t head_dim : {64, 32}) {
      const Problem p{12, 12, head_dim, 90, 90, type, false};
      const std::int64_t width = 12 * head_dim;
      // q, k and v side by side, as one product leaves them.
      const auto all = TestMatrix::random(type, 100, 3 * width, 0, stream(), 9);
      const auto columns = [&](std::int64_t part) {
        TestMatrix m(type, 100, width, 0, stream());
        for (std::int64_t r = 0; r < 100; ++r) {
          const auto row = all.row(r);
          m.set_row(r, {row.begin() + part * width, row.begin() + (part + 1) * width});
        }
        return m;
      };
      const TestMatrix q = columns(0), k = columns(1), v = columns(2);
      auto out = TestMatrix::poisoned(type, 100, width, 0, stream());
      AttentionCall call;
      call.q = all.view().columns(0, width);
      call.out = out.view();
      call.cache = {all.view().columns(width, width).data,
                    all.view().columns(2 * width, width).data, type, 0, 3 * width};
      call.heads = call.kv_heads = 12;
      call.head_dim = head_dim;
      call.scale = p.scale();
      call.sequences = array(std::vector<DeviceSequence>{{0, 10, 10, 0}, {10, 90, 90, 0}});
      call.sequence_count = 2;
      call.most_queries = call.most_keys = 90;
      attention(call, stream(), workspace());
      out.download();
      for (const std::int64_t query : {0, 13, 89}) {
        for (const std::int64_t head : {0, 11}) {
          const Reference wanted = reference(p, q.row(10 + query), k, v, 10, query, head,
                                             rounds_numerators(p, stream().device().path));
          for (std::size_t c = 0; c < wanted.out.size(); ++c) {
            expect_rounded(out.row(10 + query)[static_cast<std::size_t>(head * head_dim) + c],
                           wanted.out[c], type, wanted.allowed);
          }
        }
      }
    }
  }
}

TEST_F(CudaAttention, ANaNReachesTheQueriesThatSeeIt) {
  for (const DType type : kFloatTypes) {
    for (const std::int32_t queries : {1, 80}) {
      for (const bool in_keys : {true, false}) {
        const Problem p{1, 1, 16, queries, 180, type, true};
        Inputs in = inputs(p, 1);
        TestMatrix& broken = in_keys ? in.k : in.v;
        broken.set_row(in.capacity + 140, std::vector<float>(16, NAN));
        broken.upload();
        const TestMatrix out = run(p, in);
        for (std::int64_t r = 0; r < queries; ++r) {
          const bool sees = 180 - queries + r >= 140;
          if (!sees && !in_keys) continue;  // 0 x NaN of a neighbour in the block is NaN
          EXPECT_EQ(std::isnan(out.row(r)[3]), sees) << r;
        }
      }
    }
  }
}

/// What a decode step in a graph does: the sequence's length changes on the device between
/// launches.
TEST_F(CudaAttention, AGraphFollowsTheLengthOfItsSequences) {
  for (const DType type : kFloatTypes) {
    Problem p{8, 2, 64, 1, 900, type, true};
    const Inputs in = inputs(p, 11);
    auto out = TestMatrix::poisoned(type, 1, 512, 8, stream());
    AttentionCall call = call_of(p, in);
    auto* sequence = array(std::vector<DeviceSequence>{{0, 1, 1, 1}});
    call.out = out.view();
    call.sequences = sequence;
    call.sequence_count = 1;
    call.most_queries = 1;
    call.most_keys = 900;
    attention(call, stream(), workspace());  // takes the memory
    stream().begin_capture();
    attention(call, stream(), workspace());
    const Graph graph = stream().end_capture();
    for (const std::int32_t keys : {1, 63, 300, 900}) {
      const DeviceSequence next{0, 1, keys, 1};
      stream().copy_to_device(sequence, &next, sizeof next);
      stream().launch(graph);
      out.download();
      p.keys = keys;
      const Reference wanted = reference(p, in.q.row(0), in.k, in.v, in.capacity, 0, 5,
                                         rounds_numerators(p, stream().device().path));
      for (std::size_t c = 0; c < 64; ++c)
        expect_rounded(out.row(0)[320 + c], wanted.out[c], type, wanted.allowed);
    }
  }
}

TEST(CudaAttentionSupports, SaysWhatItDoesNotTake) {
  AttentionCall call;
  call.heads = 8;
  call.kv_heads = 2;
  call.head_dim = 64;
  std::string why;
  EXPECT_TRUE(attention_supports(call, {}, &why));
  call.head_dim = 257;
  EXPECT_FALSE(attention_supports(call, {}, &why));
  EXPECT_NE(why.find("257"), std::string::npos);
  call.head_dim = 64;
  call.kv_heads = 3;
  EXPECT_FALSE(attention_supports(call, {}, nullptr));
}

}  // namespace
}  // namespace assay::kernels::cuda
