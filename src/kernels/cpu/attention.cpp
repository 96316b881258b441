// Attention with an online softmax over tiles of kTile key positions.
//
// A query's arithmetic depends on nothing but its own values and the positions it sees: tiles count
// from position 0; a score is one vector accumulator over the head's dimensions, folded by a fixed
// tree; within a tile values are added in ascending order of position; hidden positions contribute
// an exact 0, and a tile of which a query sees nothing is left out for it. So prompts, decode
// steps, batches and any number of threads give the same bits.
//
// A bundle is a set of queries that read the same keys: the heads of one group and a block of rows.
// Keys and values of a tile are widened to f32 once for a bundle. Threads take contiguous shares of
// the work (queries x visible keys), cut between (sequence, key-value head, block, head) items.

#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/highway_targets.h"
#include "kernels/cpu/isa.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "kernels/cpu/attention_matrices.h"
#include "kernels/cpu/attention_plan.h"
#include "kernels/cpu/vector-inl.h"
#include "precision/constants.h"

HWY_BEFORE_NAMESPACE();
namespace assay::kernels::cpu::HWY_NAMESPACE {
namespace {

/// One thread's memory, carved from its part of the workspace.
struct Scratch {
  float* keys;     // [kTile][width]
  float* values;   // [kTile][width]
  float* queries;  // [kMaxBundle or group][width]
  float* sums;     // same: running sum of p v
  float* weights;  // [2][kTile]: softmax numerators of two queries
};

/// Rows of the tile in f32: the widened copy, or the cache itself.
struct TileView {
  const float* data;
  std::size_t stride;
};

constexpr std::size_t kLanes = hn::MaxLanes(FloatTag());
static_assert(kLanes <= kWidestVector && kTile % kLanes == 0);

/// Folds neighbours: lane i of the result holds the sum of accumulator i. Every sum has the same
/// tree, whatever its place.
template <std::size_t kCount>
HWY_INLINE FloatVec FoldAll(FloatTag d, FloatVec* sums) {
  if constexpr (kCount == 1) {
    return sums[0];
  } else {
#if HWY_TARGET != HWY_SCALAR
    for (std::size_t i = 0; i < kCount / 2; ++i) {
      const auto even = hn::ConcatEven(d, sums[2 * i + 1], sums[2 * i]);
      const auto odd = hn::ConcatOdd(d, sums[2 * i + 1], sums[2 * i]);
      sums[i] = hn::Add(even, odd);
    }
#endif
    return FoldAll<kCount / 2>(d, sums);
  }
}

/// Width of copied rows for which the distance of keys is a constant: else their addresses, more
/// than there are registers, are read from memory again for every vector of products.
constexpr std::size_t kUsualWidth = 64;

/// sums[k] = products of the query and key k, lane by lane.
template <typename KeyAt>
HWY_INLINE void AddProducts(FloatTag d, const float* query, std::size_t width, const KeyAt& key,
                            FloatVec* sums) {
  for (std::size_t k = 0; k < kLanes; ++k) sums[k] = hn::Zero(d);
  for (std::size_t i = 0; i < width; i += kLanes) {
    const auto q = hn::Load(d, query + i);
    for (std::size_t k = 0; k < kLanes; ++k) {
      sums[k] = hn::MulAdd(q, hn::LoadU(d, key(k) + i), sums[k]);
    }
  }
}

/// scores[j] = scale * q . key[j], soft-capped if asked, for the keys that are seen of `rows`, -inf
/// for the others of the tile. Returns the largest.
float Scores(const float* query, const TileView& keys, std::size_t rows, std::size_t width,
             Seen seen, const AttentionCall& call, float* scores) {
  const FloatTag d;
  const auto hidden = hn::Set(d, -std::numeric_limits<float>::infinity());
  auto largest = hidden;
  for (std::size_t first = 0; first < kTile; first += kLanes) {
    if (first >= seen.end || first + kLanes <= seen.first) {
      hn::Store(hidden, d, scores + first);
      continue;
    }
    FloatVec sums[kLanes];
    if (keys.stride == kUsualWidth && first + kLanes <= rows) {
      const float* key = keys.data + first * kUsualWidth;
      AddProducts(
          d, query, width, [key](std::size_t k) { return key + k * kUsualWidth; }, sums);
    } else {
      const float* key[kLanes];
      for (std::size_t k = 0; k < kLanes; ++k) {
        key[k] = keys.data + std::min(first + k, rows - 1) * keys.stride;
      }
      AddProducts(
          d, query, width, [&key](std::size_t k) { return key[k]; }, sums);
    }
    auto score = hn::Mul(FoldAll<kLanes>(d, sums), hn::Set(d, call.scale));
    if (call.soft_cap > 0) {
      const auto cap = hn::Set(d, call.soft_cap);
      score = hn::Mul(Tanh(d, hn::Div(score, cap)), cap);
    }
    if (seen.end - first < kLanes) {
      score = hn::IfThenElse(hn::FirstN(d, seen.end - first), score, hidden);
    }
    if (seen.first > first) {
      score = hn::IfThenElse(hn::FirstN(d, seen.first - first), hidden, score);
    }
    hn::Store(score, d, scores + first);
    largest = hn::Max(largest, score);
  }
  return hn::GetLane(hn::MaxOfLanes(d, largest));
}

/// Turns scores into exp(score - largest) and returns their sum.
float Exponentials(float largest, float* scores) {
  const FloatTag d;
  const auto base = hn::Set(d, largest);
  auto total = hn::Zero(d);
  for (std::size_t i = 0; i < kTile; i += kLanes) {
    const auto p = Exp(d, hn::Sub(hn::Load(d, scores + i), base));
    hn::Store(p, d, scores + i);
    total = hn::Add(total, p);
  }
  return hn::GetLane(hn::SumOfLanes(d, total));
}

/// sums[q][c] += sum over the j that q sees of weights[q][j] * values[j][c], j ascending, for
/// kVectors vectors of columns of kQueries queries. The second query sees no position before the
/// first one's, and begins and ends at most one later.
template <std::size_t kQueries, std::size_t kVectors>
HWY_INLINE void AddValues(const TileView& values, std::size_t column, const Seen* seen,
                          const float* weights, float* const* sums) {
  const FloatTag d;
  FloatVec acc[kQueries][kVectors];
  for (std::size_t q = 0; q < kQueries; ++q) {
    for (std::size_t c = 0; c < kVectors; ++c) {
      acc[q][c] = hn::Load(d, sums[q] + column + c * kLanes);
    }
  }
  std::size_t j = seen[0].first;
  const float* row = values.data + j * values.stride + column;
  if constexpr (kQueries == 2) {
    for (; j < seen[1].first; ++j, row += values.stride) {
      const auto p = hn::Set(d, weights[j]);
      for (std::size_t c = 0; c < kVectors; ++c) {
        acc[0][c] = hn::MulAdd(p, hn::LoadU(d, row + c * kLanes), acc[0][c]);
      }
    }
  }
  for (; j < seen[0].end; ++j, row += values.stride) {
    FloatVec v[kVectors];
    for (std::size_t c = 0; c < kVectors; ++c) v[c] = hn::LoadU(d, row + c * kLanes);
    for (std::size_t q = 0; q < kQueries; ++q) {
      const auto p = hn::Set(d, weights[q * kTile + j]);
      for (std::size_t c = 0; c < kVectors; ++c) acc[q][c] = hn::MulAdd(p, v[c], acc[q][c]);
    }
  }
  if constexpr (kQueries == 2) {
    for (; j < seen[1].end; ++j, row += values.stride) {
      const auto p = hn::Set(d, weights[kTile + j]);
      for (std::size_t c = 0; c < kVectors; ++c) {
        acc[1][c] = hn::MulAdd(p, hn::LoadU(d, row + c * kLanes), acc[1][c]);
      }
    }
  }
  for (std::size_t q = 0; q < kQueries; ++q) {
    for (std::size_t c = 0; c < kVectors; ++c) {
      hn::Store(acc[q][c], d, sums[q] + column + c * kLanes);
    }
  }
}

template <std::size_t kQueries>
void AddAllValues(const TileView& values, std::size_t width, const Seen* seen, const float* weights,
                  float* const* sums) {
  std::size_t column = 0;
  for (; column + 4 * kLanes <= width; column += 4 * kLanes) {
    AddValues<kQueries, 4>(values, column, seen, weights, sums);
  }
  for (; column < width; column += kLanes) {
    AddValues<kQueries, 1>(values, column, seen, weights, sums);
  }
}

void Multiply(float factor, std::size_t width, float* row) {
  const FloatTag d;
  for (std::size_t i = 0; i < width; i += kLanes) {
    hn::Store(hn::Mul(hn::Load(d, row + i), hn::Set(d, factor)), d, row + i);
  }
}

using ByteTag = hn::Rebind<std::int8_t, FloatTag>;

/// An int8 head in f32, padded to whole vectors.
void LoadCodes(const std::byte* head, std::size_t n, float* out) {
  const FloatTag d;
  const hn::RebindToSigned<FloatTag> di;
  float absmax;
  std::memcpy(&absmax, head + n, sizeof(absmax));
  const auto factor = hn::Set(d, absmax * precision::kInverse127);
  const auto* codes = reinterpret_cast<const std::int8_t*>(head);
  for (std::size_t i = 0; i < n; i += kLanes) {
    std::int8_t last[kLanes] = {};
    if (n - i < kLanes) std::memcpy(last, codes + i, n - i);
    const auto code = hn::LoadU(ByteTag(), n - i < kLanes ? last : codes + i);
    hn::Store(hn::Mul(hn::ConvertTo(d, hn::PromoteTo(di, code)), factor), d, out + i);
  }
}

/// `values` are n, padded to whole vectors with zeros.
void StoreCodes(const float* values, std::size_t n, std::byte* head) {
  const FloatTag d;
  auto most = hn::Zero(d);
  auto poison = hn::Zero(d);  // x * 0 is 0, or NaN for NaN and infinity
  for (std::size_t i = 0; i < n; i += kLanes) {
    const auto v = hn::LoadU(d, values + i);
    most = hn::Max(most, hn::Abs(v));
    poison = hn::MulAdd(v, hn::Zero(d), poison);
  }
  float absmax = hn::GetLane(hn::MaxOfLanes(d, most));
  const bool finite = hn::AllTrue(d, hn::Eq(poison, hn::Zero(d)));
  if (!finite) absmax = std::numeric_limits<float>::quiet_NaN();
  const float scale =
      finite && absmax > 0.0F ? std::min(127.0F / absmax, std::numeric_limits<float>::max()) : 0.0F;
  auto* codes = reinterpret_cast<std::int8_t*>(head);
  for (std::size_t i = 0; i < n; i += kLanes) {
    std::int8_t rounded[kLanes] = {};
    if (finite) {
      const auto code = hn::NearestInt(hn::Mul(hn::LoadU(d, values + i), hn::Set(d, scale)));
      hn::StoreU(hn::DemoteTo(ByteTag(), code), ByteTag(), rounded);
    }
    std::memcpy(codes + i, rounded, std::min(kLanes, n - i));
  }
  std::memcpy(head + n, &absmax, sizeof(absmax));
}

void QuantizeRows(const tensor::MatrixView& x, std::size_t head_dim,
                  const tensor::MatrixView& codes, std::int64_t first, std::int64_t last) {
  const std::size_t heads = static_cast<std::size_t>(x.cols) / head_dim;
  std::vector<float> values(PadToLanes(head_dim));
  for (std::int64_t row = first; row < last; ++row) {
    std::byte* to = codes.row_bytes(row);
    for (std::size_t h = 0; h < heads; ++h, to += head_dim + sizeof(float)) {
      LoadFloats(x.type, At(x, row, h * head_dim), head_dim, values.data());
      StoreCodes(values.data(), head_dim, to);
    }
  }
}

/// The queries of a bundle against its keys, tile by tile.
class BundleRun {
 public:
  BundleRun(const AttentionCall& call, const AttentionBundle& bundle, std::byte* memory)
      : call_(call), queries_(call, bundle), count_(queries_.count) {
    width_ = PadToLanes(static_cast<std::size_t>(call.head_dim));
    auto* next = reinterpret_cast<float*>(memory);
    const auto carve = [&next](std::size_t floats) { return std::exchange(next, next + floats); };
    scratch_.keys = carve(kTile * width_);
    scratch_.values = carve(kTile * width_);
    scratch_.queries = carve(count_ * width_);
    scratch_.sums = carve(count_ * width_);
    scratch_.weights = carve(2 * kTile);
    largest_ = carve(count_);
    total_ = carve(count_);
  }

  void Run() {
    const auto cols = static_cast<std::size_t>(call_.head_dim);
    for (std::size_t i = 0; i < count_; ++i) {
      LoadFloats(call_.q.type, At(call_.q, queries_.row(i), queries_.column(i)), cols, Query(i));
      largest_[i] = queries_.first_largest(i);
      total_[i] = queries_.first_total();
    }
    std::fill_n(scratch_.sums, count_ * width_, 0.0F);
    const std::size_t end = queries_.visible(count_ - 1);
    for (std::size_t begin = queries_.first(0) / kTile * kTile; begin < end; begin += kTile) {
      RunTile(begin, end);
    }
    for (std::size_t i = 0; i < count_; ++i) {
      Finish(i);
      StoreFloats(Sum(i), cols, call_.out.type, At(call_.out, queries_.row(i), queries_.column(i)));
    }
  }

 private:
  float* Query(std::size_t i) const { return scratch_.queries + i * width_; }
  float* Sum(std::size_t i) const { return scratch_.sums + i * width_; }

  /// Rows [begin, begin + rows) of keys or values. Bundles of few queries read f32 in place; a copy
  /// pays for more, because the rows of a cache lie far apart.
  TileView View(const void* base, std::size_t begin, std::size_t rows, float* copy) const {
    const auto cols = static_cast<std::size_t>(call_.head_dim);
    const auto stride = static_cast<std::size_t>(queries_.sequence.stride);
    const std::size_t size = tensor::size_of(call_.kv);
    const auto* first = static_cast<const std::byte*>(base) + queries_.offset(begin) * size;
    if (call_.kv == tensor::DType::f32 && width_ == cols && count_ <= 4) {
      return {reinterpret_cast<const float*>(first), stride};
    }
    for (std::size_t r = 0; r < rows; ++r) {
      const std::byte* from = first + r * stride * size;
      if (call_.kv == tensor::DType::i8) {
        LoadCodes(from, cols, copy + r * width_);
      } else {
        LoadFloats(call_.kv, from, cols, copy + r * width_);
      }
    }
    return {copy, width_};
  }

  /// Scores and softmax numerators of query i in this tile; its sums are scaled to the new maximum.
  void Prepare(std::size_t i, const TileView& keys, std::size_t rows, Seen seen, float* weights) {
    const float largest = Scores(Query(i), keys, rows, width_, seen, call_, weights);
    const float next = std::max(largest_[i], largest);
    const FloatTag d;
    const float factor = hn::GetLane(Exp(d, hn::Set(d, largest_[i] - next)));
    largest_[i] = next;
    total_[i] = total_[i] * factor + Exponentials(next, weights);
    Multiply(factor, width_, Sum(i));
  }

  void RunTile(std::size_t begin, std::size_t end) {
    const std::size_t rows = std::min(kTile, end - begin);
    const TileView keys = View(queries_.sequence.keys, begin, rows, scratch_.keys);
    const TileView values = View(queries_.sequence.values, begin, rows, scratch_.values);
    std::size_t i = 0;
    std::size_t last = count_;
    while (i < last && queries_.visible(i) <= begin) ++i;
    while (last > i && queries_.first(last - 1) >= begin + rows) --last;
    while (i < last) {
      const bool pair = i + 1 < last;
      Seen seen[2] = {};
      float* sums[2] = {};
      for (std::size_t q = 0; q < (pair ? 2U : 1U); ++q) {
        seen[q] = {std::max(queries_.first(i + q), begin) - begin,
                   std::min(rows, queries_.visible(i + q) - begin)};
        sums[q] = Sum(i + q);
        Prepare(i + q, keys, rows, seen[q], scratch_.weights + q * kTile);
      }
      if (pair) {
        AddAllValues<2>(values, width_, seen, scratch_.weights, sums);
      } else {
        AddAllValues<1>(values, width_, seen, scratch_.weights, sums);
      }
      i += pair ? 2 : 1;
    }
  }

  void Finish(std::size_t i) const {
    const FloatTag d;
    const auto total = hn::Set(d, total_[i]);
    for (std::size_t c = 0; c < width_; c += kLanes) {
      hn::Store(hn::Div(hn::Load(d, Sum(i) + c), total), d, Sum(i) + c);
    }
  }

  const AttentionCall& call_;
  BundleQueries queries_;
  std::size_t count_;
  std::size_t width_ = 0;  // head_dim padded to whole vectors
  Scratch scratch_{};
  float* largest_ = nullptr;
  float* total_ = nullptr;
};

void RunAttentionBundle(const AttentionCall& call, const AttentionBundle& bundle,
                        std::byte* memory) {
  BundleRun(call, bundle, memory).Run();
}

}  // namespace
}  // namespace assay::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace assay::kernels::cpu {

HWY_EXPORT(RunAttentionBundle);
HWY_EXPORT(QuantizeRows);

void quantize_heads(tensor::MatrixView x, std::int64_t head_dim, tensor::MatrixView codes,
                    base::ThreadPool& pool) {
  (void)active_isa();
  const auto kernel = &HWY_DYNAMIC_DISPATCH(QuantizeRows);
  pool.parallel_for(x.rows, [&](int, std::int64_t begin, std::int64_t end) {
    kernel(x, static_cast<std::size_t>(head_dim), codes, begin, end);
  });
}

void attention(const AttentionCall& call, base::ThreadPool& pool, Workspace& workspace) {
  if (takes_matrices(call)) return attention_by_matrices(call, pool, workspace);
  (void)active_isa();
  const std::size_t bytes = attention_scratch_bytes(call);
  std::byte* memory =
      workspace.get(Workspace::kAttention, bytes * static_cast<std::size_t>(pool.threads()));
  pool.parallel_for(pool.threads(), [&](int thread, std::int64_t, std::int64_t) {
    std::byte* own = memory + bytes * static_cast<std::size_t>(thread);
    for_each_bundle(call, thread, pool.threads(), [&](const AttentionBundle& bundle) {
      HWY_DYNAMIC_DISPATCH(RunAttentionBundle)(call, bundle, own);
    });
  });
}

}  // namespace assay::kernels::cpu
#endif  // HWY_ONCE
