// What goes from one matrix to another: sums, conversions, gathered rows, rotary positions, the
// cache.

#include "kernels/cuda/rows/grid.cuh"
#include "kernels/cuda/rows/launchers.cuh"

namespace assay::kernels::cuda::ASSAY_CUDA_PATH {
namespace {

template <typename X, typename Y>
__global__ void __launch_bounds__(256) add_rows(DeviceMatrix x, DeviceMatrix y, bool eights) {
  for_each_piece(x.rows, x.cols, [&](std::int64_t row, std::int64_t begin) {
    float a[kEight];
    float b[kEight];
    load8(row_of<const X>(x, row), begin, x.cols, eights, a);
    load8(row_of<const Y>(y, row), begin, x.cols, eights, b);
#pragma unroll
    for (int i = 0; i < kEight; ++i) a[i] += b[i];
    store8(a, row_of<X>(x, row), begin, x.cols, eights);
  });
}

/// sums[index[r]] += factors[r] * x[r]; product and sum are rounded singly, as on the CPU.
template <typename X, typename S>
__global__ void __launch_bounds__(256)
    add_scaled(DeviceMatrix x, const std::int32_t* index, const float* factors, DeviceMatrix sums,
               bool eights) {
  for_each_piece(x.rows, x.cols, [&](std::int64_t row, std::int64_t begin) {
    S* into = row_of<S>(sums, index[row]);
    const float factor = factors[row];
    float a[kEight];
    float b[kEight];
    load8(row_of<const X>(x, row), begin, x.cols, eights, a);
    load8(into, begin, x.cols, eights, b);
#pragma unroll
    for (int i = 0; i < kEight; ++i) b[i] = __fadd_rn(b[i], __fmul_rn(a[i], factor));
    store8(b, into, begin, x.cols, eights);
  });
}

/// y[r] = x[index[r]], or x[r] where index is null.
template <typename X, typename Y>
__global__ void __launch_bounds__(256)
    take_rows(DeviceMatrix x, const std::int32_t* index, DeviceMatrix y, bool eights) {
  for_each_piece(y.rows, y.cols, [&](std::int64_t row, std::int64_t begin) {
    float v[kEight];
    load8(row_of<const X>(x, index == nullptr ? row : index[row]), begin, y.cols, eights, v);
    store8(v, row_of<Y>(y, row), begin, y.cols, eights);
  });
}

/// A block a row: its angles once, then all heads.
template <typename T>
__global__ void __launch_bounds__(128) rope_rows(RopeArguments a) {
  extern __shared__ float angles[];
  float* cosines = angles;
  float* sines = angles + a.count;
  const auto position = static_cast<float>(a.positions[blockIdx.x]);
  for (int i = threadIdx.x; i < a.count; i += blockDim.x) {
    float s = 0.0F;
    float c = 0.0F;
    sincosf(position * a.frequencies[i], &s, &c);
    cosines[i] = c * a.magnitude;
    sines[i] = s * a.magnitude;
  }
  __syncthreads();
  T* row = row_of<T>(a.x, blockIdx.x);
  const int pairs = static_cast<int>(a.x.cols / a.head_dim) * a.count;
  for (int at = threadIdx.x; at < pairs; at += blockDim.x) {
    const int i = at % a.count;
    T* low = row + at / a.count * a.head_dim + i;
    T* high = low + a.count;
    const float x = widen(*low);
    const float y = widen(*high);
    *low = narrow<T>(__fsub_rn(__fmul_rn(x, cosines[i]), __fmul_rn(y, sines[i])));
    *high = narrow<T>(__fadd_rn(__fmul_rn(y, cosines[i]), __fmul_rn(x, sines[i])));
  }
}

template <typename X, typename C>
__global__ void __launch_bounds__(128) append_rows(CacheArguments a, bool eights) {
  const std::int32_t sequence = a.row_sequence[blockIdx.x];
  if (sequence < 0) return;
  const SequenceData s = a.sequences[sequence];
  const std::int64_t position = s.key_count - s.query_count + (blockIdx.x - s.query_begin);
  const std::int64_t offset = s.slot * a.slot_stride + position * a.row_stride;
  const bool second = blockIdx.y == 1;
  const DeviceMatrix& from = second ? a.v : a.k;
  C* to = static_cast<C*>(second ? a.values : a.keys) + offset;
  for (std::int64_t at = threadIdx.x * kEight; at < from.cols; at += 128 * kEight) {
    float v[kEight];
    load8(row_of<const X>(from, blockIdx.x), at, from.cols, eights, v);
    store8(v, to, at, from.cols, eights);
  }
}

/// f(Tag<X>, Tag<Y>, eights).
template <typename F>
void dispatch2(const DeviceMatrix& x, const DeviceMatrix& y, const F& f) {
  dispatch(x.type, [&](auto xt) {
    dispatch(y.type, [&](auto yt) {
      f(xt, yt,
        in_eights<typename decltype(xt)::type>(x) && in_eights<typename decltype(yt)::type>(y));
    });
  });
}

void take(DeviceMatrix x, const std::int32_t* index, DeviceMatrix y, cudaStream_t stream) {
  if (empty(y)) return;
  const RowGrid g = row_grid(y.rows, y.cols);
  dispatch2(x, y, [&](auto xt, auto yt, bool eights) {
    take_rows<typename decltype(xt)::type, typename decltype(yt)::type>
        <<<g.grid, g.block, 0, stream>>>(x, index, y, eights);
  });
}

}  // namespace

void add_in_place(DeviceMatrix x, DeviceMatrix y, cudaStream_t stream) {
  if (empty(x)) return;
  const RowGrid g = row_grid(x.rows, x.cols);
  dispatch2(x, y, [&](auto xt, auto yt, bool eights) {
    add_rows<typename decltype(xt)::type, typename decltype(yt)::type>
        <<<g.grid, g.block, 0, stream>>>(x, y, eights);
  });
}

void add_scaled_rows(DeviceMatrix x, const std::int32_t* index, const float* factors,
                     DeviceMatrix sums, cudaStream_t stream) {
  if (empty(x)) return;
  const RowGrid g = row_grid(x.rows, x.cols);
  dispatch2(x, sums, [&](auto xt, auto st, bool eights) {
    add_scaled<typename decltype(xt)::type, typename decltype(st)::type>
        <<<g.grid, g.block, 0, stream>>>(x, index, factors, sums, eights);
  });
}

void convert(DeviceMatrix x, DeviceMatrix y, cudaStream_t stream) { take(x, nullptr, y, stream); }

void gather_rows(DeviceMatrix x, const std::int32_t* index, DeviceMatrix y, cudaStream_t stream) {
  take(x, index, y, stream);
}

void rope(const RopeArguments& a, cudaStream_t stream) {
  if (empty(a.x) || a.count == 0) return;
  const std::size_t shared = static_cast<std::size_t>(a.count) * 2 * sizeof(float);
  dispatch(a.x.type, [&](auto tag) {
    rope_rows<typename decltype(tag)::type>
        <<<static_cast<unsigned>(a.x.rows), 128, shared, stream>>>(a);
  });
}

void append_to_cache(const CacheArguments& a, cudaStream_t stream) {
  if (empty(a.k)) return;
  const dim3 grid(static_cast<unsigned>(a.k.rows), 2);
  const auto cache = [&](void* base) {
    DeviceMatrix m{base, a.type, a.k.rows, a.k.cols, a.row_stride};
    return m;
  };
  dispatch2(a.k, cache(a.keys), [&](auto xt, auto ct, bool eights) {
    using X = typename decltype(xt)::type;
    using C = typename decltype(ct)::type;
    const bool all = eights && in_eights<X>(a.v) && in_eights<C>(cache(a.values)) &&
                     a.slot_stride * sizeof(C) % 16 == 0;
    append_rows<X, C><<<grid, 128, 0, stream>>>(a, all);
  });
}

}  // namespace assay::kernels::cuda::ASSAY_CUDA_PATH
