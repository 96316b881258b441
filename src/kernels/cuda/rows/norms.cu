// RMS norm and layer norm: a block a row. Rows of up to 8,192 elements stay in registers between
// the passes; longer ones are read again.

#include <type_traits>

#include "kernels/cuda/rows/grid.cuh"
#include "kernels/cuda/rows/launchers.cuh"

namespace assay::kernels::cuda::ASSAY_CUDA_PATH {
namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kStep = kThreads * kEight;

/// The pieces of a row that belong to this thread: kept, or read at every pass (kParts 0).
template <typename T, int kParts>
class OwnPieces {
 public:
  __device__ OwnPieces(const DeviceMatrix& x, std::int64_t row, bool eights)
      : row_(row_of<const T>(x, row)), cols_(x.cols), eights_(eights) {
    if constexpr (kParts > 0) {
#pragma unroll
      for (int p = 0; p < kParts; ++p) {
        if (begin(p) < cols_) load8(row_, begin(p), cols_, eights_, kept_[p]);
      }
    }
  }

  /// f(first column, values) for every piece.
  template <typename F>
  __device__ void for_each(const F& f) {
    if constexpr (kParts > 0) {
#pragma unroll
      for (int p = 0; p < kParts; ++p) {
        if (begin(p) < cols_) f(begin(p), kept_[p]);
      }
    } else {
      for (std::int64_t at = begin(0); at < cols_; at += kStep) {
        float v[kEight];
        load8(row_, at, cols_, eights_, v);
        f(at, v);
      }
    }
  }

 private:
  __device__ static std::int64_t begin(int part) { return threadIdx.x * kEight + part * kStep; }

  const T* row_;
  std::int64_t cols_;
  bool eights_;
  float kept_[kParts > 0 ? kParts : 1][kEight];
};

/// Sum of (x - center)^2 over the row.
template <typename Pieces>
__device__ float sum_of_squares(Pieces& pieces, float center, std::int64_t cols, float* shared) {
  float sum = 0.0F;
  pieces.for_each([&](std::int64_t begin, const float(&v)[kEight]) {
#pragma unroll
    for (int i = 0; i < kEight; ++i) {
      const float d = begin + i < cols ? v[i] - center : 0.0F;
      sum += d * d;
    }
  });
  return sum_block(sum, shared);
}

/// y = (x - center) * factor * weight + bias.
template <typename Y, typename Pieces>
__device__ void write_scaled(Pieces& pieces, float center, float factor, const float* weight,
                             const float* bias, const DeviceMatrix& y, bool eights) {
  pieces.for_each([&](std::int64_t begin, const float(&v)[kEight]) {
    float w[kEight];
    float out[kEight];
    load8(weight, begin, y.cols, eights, w);
#pragma unroll
    for (int i = 0; i < kEight; ++i) out[i] = (v[i] - center) * factor * w[i];
    if (bias != nullptr) {
      load8(bias, begin, y.cols, eights, w);
#pragma unroll
      for (int i = 0; i < kEight; ++i) out[i] += w[i];
    }
    store8(out, row_of<Y>(y, blockIdx.x), begin, y.cols, eights);
  });
}

template <typename X, typename Y, int kParts>
__global__ void __launch_bounds__(kThreads)
    rms_norm_rows(DeviceMatrix x, const float* weight, float eps, DeviceMatrix y, bool eights) {
  __shared__ float shared[33];
  OwnPieces<X, kParts> pieces(x, blockIdx.x, eights);
  const float sum = sum_of_squares(pieces, 0.0F, x.cols, shared);
  const float mean = sum / static_cast<float>(x.cols);
  write_scaled<Y>(pieces, 0.0F, 1.0F / sqrtf(mean + eps), weight, nullptr, y, eights);
}

template <typename X, typename Y, int kParts>
__global__ void __launch_bounds__(kThreads)
    layer_norm_rows(DeviceMatrix x, const float* weight, const float* bias, float eps,
                    DeviceMatrix y, bool eights) {
  __shared__ float shared[33];
  const auto cols = static_cast<float>(x.cols);
  OwnPieces<X, kParts> pieces(x, blockIdx.x, eights);
  float sum = 0.0F;  // load8 gives 0 beyond the end
  pieces.for_each([&](std::int64_t, const float(&v)[kEight]) {
#pragma unroll
    for (int i = 0; i < kEight; ++i) sum += v[i];
  });
  const float mean = sum_block(sum, shared) / cols;
  __syncthreads();
  const float variance = sum_of_squares(pieces, mean, x.cols, shared) / cols;
  write_scaled<Y>(pieces, mean, 1.0F / sqrtf(variance + eps), weight, bias, y, eights);
}

/// f(Tag<X>, Tag<Y>, parts as a constant, eights).
template <typename F>
void choose(const DeviceMatrix& x, const DeviceMatrix& y, const float* weight, const float* bias,
            const F& f) {
  const auto aligned = [](const float* p) { return reinterpret_cast<std::uintptr_t>(p) % 16 == 0; };
  dispatch(x.type, [&](auto xt) {
    dispatch(y.type, [&](auto yt) {
      const bool eights = in_eights<typename decltype(xt)::type>(x) &&
                          in_eights<typename decltype(yt)::type>(y) && aligned(weight) &&
                          aligned(bias);
      if (x.cols <= kStep) return f(xt, yt, Tag<char[1]>{}, eights);
      if (x.cols <= 4 * kStep) return f(xt, yt, Tag<char[4]>{}, eights);
      return f(xt, yt, Tag<char>{}, eights);
    });
  });
}

/// The number of parts that choose() passed.
template <typename P>
constexpr int kPartsOf = std::is_array_v<P> ? static_cast<int>(sizeof(P)) : 0;

}  // namespace

void rms_norm(DeviceMatrix x, const float* weight, float eps, DeviceMatrix y, cudaStream_t stream) {
  if (empty(x)) return;
  choose(x, y, weight, nullptr, [&](auto xt, auto yt, auto parts, bool eights) {
    using X = typename decltype(xt)::type;
    using Y = typename decltype(yt)::type;
    rms_norm_rows<X, Y, kPartsOf<typename decltype(parts)::type>>
        <<<static_cast<unsigned>(x.rows), kThreads, 0, stream>>>(x, weight, eps, y, eights);
  });
}

void layer_norm(DeviceMatrix x, const float* weight, const float* bias, float eps, DeviceMatrix y,
                cudaStream_t stream) {
  if (empty(x)) return;
  choose(x, y, weight, bias, [&](auto xt, auto yt, auto parts, bool eights) {
    using X = typename decltype(xt)::type;
    using Y = typename decltype(yt)::type;
    layer_norm_rows<X, Y, kPartsOf<typename decltype(parts)::type>>
        <<<static_cast<unsigned>(x.rows), kThreads, 0, stream>>>(x, weight, bias, eps, y, eights);
  });
}

}  // namespace assay::kernels::cuda::ASSAY_CUDA_PATH
