// Attention whose products are AMX's: for a tile of positions, scores = queries x keys, and sums +=
// weights x values, over all queries of a bundle at once.
//
// Scores are sums in f32 of exact products of bf16. Softmax is that of attention.cpp, in f32; its
// weights are multiplied as two bf16 numbers each, high and low, which together keep 16 bits of the
// mantissa. A query's arithmetic depends on its own values and the positions it sees: hidden ones
// have weight 0.

#include "kernels/cpu/attention_matrices.h"

#include "kernels/cpu/highway_targets.h"
#include "kernels/cpu/isa.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_matrices.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "kernels/cpu/amx/attention.h"
#include "kernels/cpu/amx/tiles.h"
#include "kernels/cpu/attention_plan.h"
#include "kernels/cpu/linear/layout.h"
#include "kernels/cpu/vector-inl.h"

#ifndef ASSAY_KERNELS_CPU_ATTENTION_MATRICES_CPP_
#define ASSAY_KERNELS_CPU_ATTENTION_MATRICES_CPP_
namespace assay::kernels::cpu {
constexpr std::int64_t kMostDimensions = 1024;  ///< of a head
}
#endif

HWY_BEFORE_NAMESPACE();
namespace assay::kernels::cpu::HWY_NAMESPACE {
#if HWY_TARGET == HWY_AVX3
namespace {

constexpr std::size_t kLanes = hn::MaxLanes(FloatTag());
constexpr std::size_t kWidth = kPanel;
constexpr std::size_t kVectors = kTile / kLanes;
constexpr float kNothing = -std::numeric_limits<float>::infinity();

/// One thread's memory, carved from its part of the workspace.
struct Scratch {
  std::uint32_t* keys;     // panels of kTile keys
  std::uint32_t* values;   // panels of dimensions
  std::uint16_t* queries;  // [count][head_dim]
  std::uint16_t* high;     // [count][kTile]: weights
  std::uint16_t* low;      // same
  float* scores;           // [kTile / kPanel][count][kPanel]
  float* sums;             // [head_dim / kPanel][count][kPanel]
  float* largest;          // [count]
  float* total;            // [count]

  Scratch(std::byte* memory, std::size_t count, std::size_t width) {
    const auto carve = [&memory](auto*& to, std::size_t elements) {
      to = reinterpret_cast<std::remove_reference_t<decltype(to)>>(memory);
      memory += (elements * sizeof(*to) + 63) / 64 * 64;
    };
    carve(keys, kTile * width / 2);
    carve(values, kTile * width / 2);
    carve(queries, count * width);
    carve(high, count * kTile);
    carve(low, count * kTile);
    carve(scores, count * kTile);
    carve(sums, count * width);
    carve(largest, count);
    carve(total, count);
  }
};

float Widened(std::uint16_t bits) {
  tensor::BFloat16 value;
  value.bits = bits;
  return tensor::to_float(value);
}

class MatrixRun {
 public:
  MatrixRun(const AttentionCall& call, const AttentionBundle& bundle, std::byte* memory)
      : call_(call),
        queries_(call, bundle),
        count_(queries_.count),
        width_(static_cast<std::size_t>(call.head_dim)),
        scratch_(memory, count_, width_) {}

  void Run() {
    for (std::size_t i = 0; i < count_; ++i) {
      std::memcpy(scratch_.queries + i * width_, At(call_.q, queries_.row(i), queries_.column(i)),
                  width_ * sizeof(std::uint16_t));
      scratch_.largest[i] = queries_.first_largest(i);
      scratch_.total[i] = queries_.first_total();
    }
    std::fill_n(scratch_.sums, count_ * width_, 0.0F);
    const std::size_t end = queries_.visible(count_ - 1);
    for (std::size_t begin = queries_.first(0) / kTile * kTile; begin < end; begin += kTile) {
      RunTile(begin, std::min(kTile, end - begin));
    }
    for (std::size_t i = 0; i < count_; ++i) Finish(i);
  }

 private:
  amx::Rows CacheRows(const void* base, std::size_t begin, std::size_t rows) const {
    return {static_cast<const std::uint16_t*>(base) + queries_.offset(begin),
            queries_.sequence.stride, static_cast<std::int64_t>(rows)};
  }

  void RunTile(std::size_t begin, std::size_t rows) {
    amx::pack_keys(CacheRows(queries_.sequence.keys, begin, rows), call_.head_dim, scratch_.keys);
    const amx::Rows values = CacheRows(queries_.sequence.values, begin, rows);
    const bool finite = amx::pack_values(values, call_.head_dim, scratch_.values);
    for (std::size_t panel = 0; panel * kWidth < rows; ++panel) {
      amx::multiply_bf16({scratch_.queries,
                          call_.head_dim,
                          scratch_.keys + panel * kWidth * width_ / 2,
                          call_.head_dim,
                          static_cast<std::int64_t>(count_),
                          scratch_.scores + panel * count_ * kWidth,
                          {},
                          true});
    }
    for (std::size_t i = 0; i < count_; ++i) {
      const std::size_t visible = queries_.visible(i);
      const Seen seen{std::max(queries_.first(i), begin) - begin,
                      std::min(rows, std::max(visible, begin) - begin)};
      Weigh(i, seen);
      if (!finite) AddSeen(i, seen, values);
    }
    for (std::size_t panel = 0; finite && panel * kWidth < width_; ++panel) {
      AddValues(scratch_.high, panel);
      AddValues(scratch_.low, panel);
    }
  }

  void AddValues(const std::uint16_t* weights, std::size_t panel) const {
    amx::multiply_bf16({weights, kTile, scratch_.values + panel * kWidth * kTile / 2, kTile,
                        static_cast<std::int64_t>(count_),
                        scratch_.sums + panel * count_ * kWidth});
  }

  /// One value after the other, for tiles in which some are not finite.
  void AddSeen(std::size_t i, Seen seen, const amx::Rows& values) {
    const FloatTag d;
    HWY_ALIGN float value[kMostDimensions];
    for (std::size_t j = seen.first; j < seen.end; ++j) {
      WidenArray(reinterpret_cast<const tensor::BFloat16*>(values.first) +
                     static_cast<std::int64_t>(j) * values.stride,
                 width_, value);
      const float weight =
          Widened(scratch_.high[i * kTile + j]) + Widened(scratch_.low[i * kTile + j]);
      for (std::size_t c = 0; c < width_; c += kLanes) {
        const auto sum = hn::LoadU(d, Sums(i, c));
        hn::StoreU(hn::MulAdd(hn::Set(d, weight), hn::Load(d, value + c), sum), d, Sums(i, c));
      }
    }
  }

  /// Softmax numerators of query i in this tile; its sums are scaled to the new maximum.
  void Weigh(std::size_t i, Seen seen) {
    std::uint16_t* high = scratch_.high + i * kTile;
    std::uint16_t* low = scratch_.low + i * kTile;
    if (seen.first >= seen.end) {
      std::fill_n(high, kTile, std::uint16_t{0});
      std::fill_n(low, kTile, std::uint16_t{0});
      return;
    }
    const FloatTag d;
    HWY_ALIGN float weights[kTile];
    FloatVec scores[kVectors];
    auto largest = hn::Set(d, kNothing);
    for (std::size_t v = 0; v < kVectors; ++v) {
      scores[v] = Score(i, v, seen);
      largest = hn::Max(largest, scores[v]);
    }
    const float next = std::max(scratch_.largest[i], hn::GetLane(hn::MaxOfLanes(d, largest)));
    const float factor = hn::GetLane(Exp(d, hn::Set(d, scratch_.largest[i] - next)));
    auto total = hn::Zero(d);
    for (std::size_t v = 0; v < kVectors; ++v) {
      const auto weight = Exp(d, hn::Sub(scores[v], hn::Set(d, next)));
      hn::Store(weight, d, weights + v * kLanes);
      total = hn::Add(total, weight);
    }
    amx::split_row(weights, high, low);
    scratch_.largest[i] = next;
    scratch_.total[i] = scratch_.total[i] * factor + hn::GetLane(hn::SumOfLanes(d, total));
    if (factor != 1.0F) Multiply(i, factor);
  }

  /// Scores of kLanes positions in f32, scaled; -inf for those that are hidden.
  FloatVec Score(std::size_t i, std::size_t v, Seen seen) const {
    const FloatTag d;
    const std::size_t at = v * kLanes;
    if (at >= seen.end || at + kLanes <= seen.first) return hn::Set(d, kNothing);
    const float* row = scratch_.scores + (at / kWidth * count_ + i) * kWidth + at % kWidth;
    auto score = hn::Mul(hn::LoadU(d, row), hn::Set(d, call_.scale));
    if (call_.soft_cap > 0) {
      const auto cap = hn::Set(d, call_.soft_cap);
      score = hn::Mul(Tanh(d, hn::Div(score, cap)), cap);
    }
    const auto hidden = hn::Set(d, kNothing);
    if (seen.end - at < kLanes) {
      score = hn::IfThenElse(hn::FirstN(d, seen.end - at), score, hidden);
    }
    if (seen.first > at) {
      score = hn::IfThenElse(hn::FirstN(d, seen.first - at), hidden, score);
    }
    return score;
  }

  float* Sums(std::size_t i, std::size_t column) const {
    return scratch_.sums + (column / kWidth * count_ + i) * kWidth + column % kWidth;
  }

  void Multiply(std::size_t i, float factor) {
    const FloatTag d;
    for (std::size_t c = 0; c < width_; c += kLanes) {
      hn::StoreU(hn::Mul(hn::LoadU(d, Sums(i, c)), hn::Set(d, factor)), d, Sums(i, c));
    }
  }

  void Finish(std::size_t i) const {
    const FloatTag d;
    const auto total = hn::Set(d, scratch_.total[i]);
    for (std::size_t c = 0; c < width_; c += kWidth) {
      HWY_ALIGN float values[kWidth];
      for (std::size_t j = 0; j < kWidth; j += kLanes) {
        hn::Store(hn::Div(hn::LoadU(d, Sums(i, c + j)), total), d, values + j);
      }
      StoreFloats(values, kWidth, call_.out.type,
                  At(call_.out, queries_.row(i), queries_.column(i) + c));
    }
  }

  const AttentionCall& call_;
  BundleQueries queries_;
  std::size_t count_;
  std::size_t width_;
  Scratch scratch_;
};

}  // namespace

void RunMatrixBundle(const AttentionCall& call, const AttentionBundle& bundle, std::byte* memory) {
  MatrixRun(call, bundle, memory).Run();
}
#endif
}  // namespace assay::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace assay::kernels::cpu {

#if HWY_TARGETS & HWY_AVX3

bool takes_matrices(const AttentionCall& call) {
  return call.kv == tensor::DType::bf16 && call.q.type == tensor::DType::bf16 &&
         call.head_dim % kPanel == 0 && call.head_dim <= kMostDimensions &&
         active_isa() == Isa::amx;
}

void attention_by_matrices(const AttentionCall& call, base::ThreadPool& pool,
                           Workspace& workspace) {
  const auto queries =
      static_cast<std::size_t>(std::max(kMatrixBundle, call.heads / call.kv_heads));
  const auto width = static_cast<std::size_t>(call.head_dim);
  // Tiles of keys and values, and for each query itself, weights, scores, sums and two numbers;
  // each array begins at a multiple of 64 bytes.
  const std::size_t bytes =
      2 * kTile * width * 2 + queries * (2 * width + 8 * kTile + 4 * width + 8) + 9 * 64;
  const std::size_t own = (bytes + 63) / 64 * 64;
  std::byte* memory =
      workspace.get(Workspace::kAttention, own * static_cast<std::size_t>(pool.threads()));
  pool.parallel_for(pool.threads(), [&](int thread, std::int64_t, std::int64_t) {
    for_each_bundle(
        call, thread, pool.threads(),
        [&](const AttentionBundle& bundle) {
          N_AVX3::RunMatrixBundle(call, bundle, memory + own * static_cast<std::size_t>(thread));
        },
        kMatrixBundle);
  });
}

#else

bool takes_matrices(const AttentionCall&) { return false; }
void attention_by_matrices(const AttentionCall&, base::ThreadPool&, Workspace&) {}

#endif

}  // namespace assay::kernels::cpu
#endif  // HWY_ONCE
