// Functions of single elements, in place.

#include "kernels/cuda/rows/grid.cuh"
#include "kernels/cuda/rows/launchers.cuh"

namespace assay::kernels::cuda::ASSAY_CUDA_PATH {
namespace {

__device__ inline float sigmoid(float x) { return 1.0F / (1.0F + expf(-x)); }

struct GeluErf {
  __device__ float operator()(float x) const {
    const float half = 0.5F * x;
    return half + half * erff(x * 0.707106781F);
  }
};
struct GeluTanh {  // x/2 (1 + tanh(u)) = x sigmoid(2u)
  __device__ float operator()(float x) const {
    const float u = x + 0.044715F * (x * x * x);
    return x * sigmoid(1.59576912F * u);  // 2 sqrt(2 / pi)
  }
};
struct Relu {
  __device__ float operator()(float x) const { return x < 0.0F ? 0.0F : x; }  // keeps NaN
};
struct Silu {
  __device__ float operator()(float x) const { return x * sigmoid(x); }
};
struct HyperbolicTangent {
  __device__ float operator()(float x) const { return tanhf(x); }
};
struct ScaleBy {
  float factor;
  __device__ float operator()(float x) const { return x * factor; }
};
struct SoftCap {
  float cap;
  __device__ float operator()(float x) const { return tanhf(x / cap) * cap; }
};

template <typename T, typename F>
__global__ void __launch_bounds__(256) map_rows(DeviceMatrix x, F f, bool eights) {
  for_each_piece(x.rows, x.cols, [&](std::int64_t row, std::int64_t begin) {
    T* values = row_of<T>(x, row);
    float v[kEight];
    load8(values, begin, x.cols, eights, v);
#pragma unroll
    for (int i = 0; i < kEight; ++i) v[i] = f(v[i]);
    store8(v, values, begin, x.cols, eights);
  });
}

/// gate = f(gate) * up; f(gate) is rounded to the type first, as the references do.
template <typename T, typename F>
__global__ void __launch_bounds__(256)
    gate_rows(DeviceMatrix gate, DeviceMatrix up, F f, bool eights) {
  for_each_piece(gate.rows, gate.cols, [&](std::int64_t row, std::int64_t begin) {
    T* values = row_of<T>(gate, row);
    float g[kEight];
    float u[kEight];
    load8(values, begin, gate.cols, eights, g);
    load8(row_of<const T>(up, row), begin, gate.cols, eights, u);
#pragma unroll
    for (int i = 0; i < kEight; ++i) g[i] = rounded<T>(f(g[i])) * u[i];
    store8(g, values, begin, gate.cols, eights);
  });
}

template <typename T>
__global__ void __launch_bounds__(256)
    swiglu_rows(float alpha, float limit, DeviceMatrix gate, DeviceMatrix up, bool eights) {
  for_each_piece(gate.rows, gate.cols, [&](std::int64_t row, std::int64_t begin) {
    T* values = row_of<T>(gate, row);
    float g[kEight];
    float u[kEight];
    load8(values, begin, gate.cols, eights, g);
    load8(row_of<const T>(up, row), begin, gate.cols, eights, u);
#pragma unroll
    for (int i = 0; i < kEight; ++i) {
      const float low = g[i] > limit ? limit : g[i];
      const float bounded = u[i] > limit ? limit : u[i] < -limit ? -limit : u[i];
      g[i] = (bounded + 1.0F) * (low * sigmoid(low * alpha));
    }
    store8(g, values, begin, gate.cols, eights);
  });
}

template <typename F>
void map(DeviceMatrix x, F f, cudaStream_t stream) {
  if (empty(x)) return;
  const RowGrid g = row_grid(x.rows, x.cols);
  dispatch(x.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    map_rows<T><<<g.grid, g.block, 0, stream>>>(x, f, in_eights<T>(x));
  });
}

/// go(f) with the function object for a name.
template <typename Go>
void with_function(RowFunction function, const Go& go) {
  switch (function) {
    case RowFunction::gelu_erf:
      return go(GeluErf());
    case RowFunction::gelu_tanh:
      return go(GeluTanh());
    case RowFunction::relu:
      return go(Relu());
    case RowFunction::silu:
      return go(Silu());
    case RowFunction::tanh:
      return go(HyperbolicTangent());
  }
}

}  // namespace

void scale(DeviceMatrix x, float factor, cudaStream_t stream) { map(x, ScaleBy{factor}, stream); }

void soft_cap(DeviceMatrix x, float cap, cudaStream_t stream) { map(x, SoftCap{cap}, stream); }

void apply(RowFunction function, DeviceMatrix x, cudaStream_t stream) {
  with_function(function, [&](auto f) { map(x, f, stream); });
}

void gated_product(RowFunction function, DeviceMatrix gate, DeviceMatrix up, cudaStream_t stream) {
  if (empty(gate)) return;
  const RowGrid g = row_grid(gate.rows, gate.cols);
  dispatch(gate.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const bool eights = in_eights<T>(gate) && in_eights<T>(up);
    with_function(function, [&](auto f) {
      gate_rows<T><<<g.grid, g.block, 0, stream>>>(gate, up, f, eights);
    });
  });
}

void clamped_swiglu(float alpha, float limit, DeviceMatrix gate, DeviceMatrix up,
                    cudaStream_t stream) {
  if (empty(gate)) return;
  const RowGrid g = row_grid(gate.rows, gate.cols);
  dispatch(gate.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const bool eights = in_eights<T>(gate) && in_eights<T>(up);
    swiglu_rows<T><<<g.grid, g.block, 0, stream>>>(alpha, limit, gate, up, eights);
  });
}

}  // namespace assay::kernels::cuda::ASSAY_CUDA_PATH
