// Draws a token from every row, a block a row. What is drawn is said in kernels/cpu/draw.h, and in
// plain words by draw_token() there. A cut of the likeliest is found without sorting: digit by
// digit of the logits' keys, by histograms of counts (top_k) or weights (top_p). The token is then
// looked for in ever smaller parts of the row. All sums are of whole numbers, so that their order
// does not matter.

#include "kernels/cuda/rows/grid.cuh"
#include "kernels/cuda/rows/launchers.cuh"

namespace assay::kernels::cuda::ASSAY_CUDA_PATH {
namespace {

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / 32;
constexpr int kTile = 32 * kEight;  ///< what a warp reads at once
constexpr int kDigit = 11;          ///< bits
constexpr int kBins = 1 << kDigit;
constexpr int kBinsOfWarp = kBins / kWarps;

/// Keys of the infinities; NaN is above both.
constexpr std::uint32_t kInfiniteKey = 0xff800000U;
constexpr std::uint32_t kMinusInfiniteKey = ~kInfiniteKey;

/// Orders as the values do.
__device__ inline std::uint32_t key_of(float v) {
  if (isnan(v)) return ~0U;
  const std::uint32_t bits = __float_as_uint(v + 0.0F);  // -0 equals 0
  return (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;
}
__device__ inline float value_of(std::uint32_t key) {
  return __uint_as_float((key >> 31) != 0 ? key & 0x7fffffffU : ~key);
}

template <typename V>
__device__ inline V sum_of_warp(V v) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) v += __shfl_xor_sync(~0U, v, offset);
  return v;
}
/// The sum of a lane's value and those of the lanes before it.
template <typename V>
__device__ inline V sum_up_to_lane(V v) {
#pragma unroll
  for (int offset = 1; offset < 32; offset *= 2) {
    const V other = __shfl_up_sync(~0U, v, offset);
    if (static_cast<int>(threadIdx.x % 32) >= offset) v += other;
  }
  return v;
}
/// The lane at which the sum of the lanes' values reaches `wanted`, which loses what is before it.
__device__ inline int lane_reaching(std::uint64_t value, std::uint64_t& wanted) {
  const std::uint64_t sum = sum_up_to_lane(value);
  const int lane = __ffs(__ballot_sync(~0U, sum >= wanted)) - 1;
  wanted -= __shfl_sync(~0U, sum - value, lane);
  return lane;
}

/// Sums of 64 bits in halves, because shared memory adds 32 at once.
struct Histogram {
  std::uint32_t low[kBins];
  std::uint32_t high[kBins];

  __device__ void clear() {
    for (int i = threadIdx.x; i < kBins; i += kThreads) low[i] = high[i] = 0;
  }
  __device__ void add(std::uint32_t bin, std::uint64_t value) {
    const auto part = static_cast<std::uint32_t>(value);
    const std::uint32_t before = atomicAdd(&low[bin], part);
    const std::uint32_t carry = before + part < part ? 1 : 0;
    const std::uint32_t upper = static_cast<std::uint32_t>(value >> 32) + carry;
    if (upper != 0) atomicAdd(&high[bin], upper);
  }
  __device__ std::uint64_t sum(int bin) const { return std::uint64_t{high[bin]} << 32 | low[bin]; }
};

struct Shared {
  Histogram histogram;
  std::uint64_t sums[kWarps];
  std::uint32_t counts[kWarps];
  std::uint32_t largest[33];
};

/// Kept are all logits with a key above, and the first so many with this one.
struct Cut {
  std::uint32_t key = 0;
  std::uint32_t equals = 0;
};

struct Piece {
  int begin = 0;
  int end = 0;
};
/// The part of a piece that one of the block's warps reads.
__device__ inline Piece part_of_warp(Piece whole, int warp) {
  const int tiles = (whole.end - whole.begin + kTile - 1) / kTile;
  const int each = (tiles + kWarps - 1) / kWarps * kTile;
  const int begin = min(whole.end, whole.begin + warp * each);
  return {begin, min(whole.end, begin + each)};
}

template <typename T>
struct Row {
  const T* data;
  int cols;
  bool eights;
  double largest;
  double scale;

  __device__ Piece all() const { return {0, cols}; }
  __device__ std::uint64_t weight(float v) const {
    return cpu::weight_of(largest - double{v}, scale);
  }
  /// f(value) for what this thread reads of a warp's piece.
  template <typename F>
  __device__ void each(Piece piece, const F& f) const {
    const int lane = threadIdx.x % 32;
    for (int at = piece.begin + lane * kEight; at < piece.end; at += kTile) {
      float v[kEight];
      load8(data, at, cols, eights, v);
#pragma unroll
      for (int i = 0; i < kEight; ++i)
        if (at + i < piece.end) f(v[i]);
    }
  }
};

/// The sums of the bins that each warp has, from the highest bins down, into shared.sums.
__device__ inline void sum_bins(Shared& shared) {
  __syncthreads();
  const int warp = threadIdx.x / 32;
  const int bin = kBins - 1 - warp * kBinsOfWarp - 2 * static_cast<int>(threadIdx.x % 32);
  const std::uint64_t sum = sum_of_warp(shared.histogram.sum(bin) + shared.histogram.sum(bin - 1));
  if (threadIdx.x % 32 == 0) shared.sums[warp] = sum;
  __syncthreads();
}
/// The highest bin down to which the sum of the bins reaches `wanted`, which loses what is above
/// it.
__device__ inline std::uint32_t bin_reaching(const Shared& shared, std::uint64_t& wanted) {
  const Histogram& histogram = shared.histogram;
  const int lane = threadIdx.x % 32;
  int bin = kBins - 1 - kBinsOfWarp * lane_reaching(shared.sums[lane], wanted);
  const std::uint64_t two = histogram.sum(bin - 2 * lane) + histogram.sum(bin - 2 * lane - 1);
  bin -= 2 * lane_reaching(two, wanted);
  if (wanted <= histogram.sum(bin)) return bin;
  wanted -= histogram.sum(bin);
  return bin - 1;
}

/// The largest logits of those in `kept`: `top_k` of them, or (0) as many as reach `top_p`.
template <typename T>
__device__ Cut cut_of(const Row<T>& row, Cut kept, int top_k, float top_p, Shared& shared) {
  static_assert(kBinsOfWarp == 64 && 2 * kDigit < 32 && 3 * kDigit >= 32);
  const Piece own = part_of_warp(row.all(), threadIdx.x / 32);
  const std::uint64_t equals = kept.equals == 0 ? 0 : kept.equals * row.weight(value_of(kept.key));
  std::uint64_t wanted = top_k;
  std::uint32_t key = 0;
  std::uint32_t known = 0;
  for (int shift = 32 - kDigit; known != ~0U; shift = max(shift - kDigit, 0)) {
    __syncthreads();
    shared.histogram.clear();
    __syncthreads();
    const auto add = [&](std::uint32_t of, std::uint64_t value) {
      if (value != 0) shared.histogram.add((of >> shift) % kBins, value);
    };
    row.each(own, [&](float v) {
      const std::uint32_t k = key_of(v);
      if (k > kept.key && (k & known) == key) add(k, top_k > 0 ? 1 : row.weight(v));
    });
    if (threadIdx.x == 0 && (kept.key & known) == key) add(kept.key, equals);
    sum_bins(shared);
    if (wanted == 0) wanted = cpu::wanted_weight(sum_of_warp(shared.sums[threadIdx.x % 32]), top_p);
    key |= bin_reaching(shared, wanted) << shift;
    known = ~0U << shift;
  }
  if (top_k == 0) {
    const std::uint64_t each = row.weight(value_of(key));
    wanted = (wanted + each - 1) / each;
  }
  return {key, static_cast<std::uint32_t>(wanted)};
}

/// The way to the drawn token: what the kept weights from here on must reach, and how many equals
/// of the cut are still kept.
struct Search {
  Cut cut;
  std::uint64_t weight_of_equal = 0;
  std::uint64_t wanted = 0;
  double uniform = 0.0;

  /// Of 32 parts, one a lane and in the order of the row, with the weights above the cut and the
  /// number of its equals, the one that reaches it.
  __device__ int enter(std::uint64_t above, std::uint32_t equals) {
    const std::uint32_t before = sum_up_to_lane(equals) - equals;
    const std::uint32_t left = cut.equals - min(cut.equals, before);
    const std::uint64_t kept = above + min(equals, left) * weight_of_equal;
    if (wanted == 0) wanted = cpu::drawn_weight(sum_of_warp(kept), uniform);
    const int part = lane_reaching(kept, wanted);
    cut.equals -= min(cut.equals, __shfl_sync(~0U, before, part));
    return part;
  }
};

/// Of a piece of a warp: weights above the cut and number of its equals, of this thread.
template <typename T>
struct Share {
  const Row<T>& row;
  std::uint32_t key;
  std::uint64_t above = 0;
  std::uint32_t equals = 0;

  __device__ void operator()(float v) {
    const std::uint32_t k = key_of(v);
    if (k > key) above += row.weight(v);
    if (k == key) ++equals;
  }
};

template <typename T>
__device__ int drawn_from(const Row<T>& row, Cut cut, double uniform, Shared& shared) {
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  Search search{cut, cut.equals == 0 ? 0 : row.weight(value_of(cut.key)), 0, uniform};
  Piece piece = row.all();
  do {
    Share<T> own{row, cut.key};
    row.each(part_of_warp(piece, warp), [&](float v) { own(v); });
    const std::uint64_t above = sum_of_warp(own.above);
    const std::uint32_t equals = sum_of_warp(own.equals);
    __syncthreads();  // the sums of the round before were read
    if (lane == 0) {
      shared.sums[warp] = above;
      shared.counts[warp] = equals;
    }
    __syncthreads();
    piece = part_of_warp(piece, search.enter(shared.sums[lane], shared.counts[lane]));
  } while (piece.end - piece.begin > kTile);
  Share<T> eight{row, cut.key};
  row.each(piece, [&](float v) { eight(v); });
  piece.begin += kEight * search.enter(eight.above, eight.equals);
  Share<T> one{row, cut.key};
  if (lane < kEight && piece.begin + lane < piece.end) one(widen(row.data[piece.begin + lane]));
  return piece.begin + search.enter(one.above, one.equals);
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    tokens_of_rows(DeviceMatrix logits, const Draw* draws, std::int32_t* tokens, bool eights) {
  __shared__ Shared shared;
  Row<T> row{row_of<const T>(logits, blockIdx.x), static_cast<int>(logits.cols), eights};
  std::uint32_t largest = 0;
  row.each(part_of_warp(row.all(), threadIdx.x / 32),
           [&](float v) { largest = max(largest, key_of(v)); });
  largest = reduce_block(largest, 0U, shared.largest,
                         [](std::uint32_t a, std::uint32_t b) { return max(a, b); });
  if (largest >= kInfiniteKey || largest <= kMinusInfiniteKey) {
    if (threadIdx.x == 0) tokens[blockIdx.x] = -1;
    return;
  }
  const Draw draw = cpu::resolved(draws[blockIdx.x]);
  row.largest = value_of(largest);
  row.scale = cpu::weight_scale(draw.temperature);
  Cut cut;
  if (draw.top_k > 0 && draw.top_k < row.cols) cut = cut_of(row, cut, draw.top_k, 0.0F, shared);
  if (draw.top_p < 1.0F) cut = cut_of(row, cut, 0, draw.top_p, shared);
  const int token = drawn_from(row, cut, draw.uniform, shared);
  if (threadIdx.x == 0) tokens[blockIdx.x] = token;
}

}  // namespace

void draw_tokens(DeviceMatrix logits, const Draw* draws, std::int32_t* tokens,
                 cudaStream_t stream) {
  if (empty(logits)) return;
  dispatch(logits.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    tokens_of_rows<T><<<static_cast<unsigned>(logits.rows), kThreads, 0, stream>>>(
        logits, draws, tokens, in_eights<T>(logits));
  });
}

}  // namespace assay::kernels::cuda::ASSAY_CUDA_PATH
