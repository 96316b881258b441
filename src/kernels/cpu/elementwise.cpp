// Norms, activations and rotary positions. A row is worked on in chunks that are widened to f32 on
// the stack, so that every function exists once per target, not once per type.

#include "kernels/cpu/elementwise.h"

#include "kernels/cpu/highway_targets.h"
#include "kernels/cpu/isa.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/elementwise.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <mutex>
#include <numeric>
#include <utility>

#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace assay::kernels::cpu::HWY_NAMESPACE {

namespace {

/// Sum of (x - mean)^2, or of x, over one row: four f32 accumulators a chunk, chunks in double.
template <bool kSquares>
double RowSum(const tensor::MatrixView& x, std::int64_t row, float mean) {
  const FloatTag d;
  const std::size_t lanes = hn::Lanes(d);
  const auto center = hn::Set(d, mean);
  const auto cols = static_cast<std::size_t>(x.cols);
  double total = 0;
  Chunk chunk;
  for (std::size_t begin = 0; begin < cols; begin += kChunk) {
    const std::size_t n = std::min(kChunk, cols - begin);
    const float* values = Load(x, row, begin, n, chunk);
    FloatVec sums[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
    for (std::size_t i = 0, k = 0; i < n; i += lanes, k = (k + 1) % 4) {
      auto v = hn::LoadU(d, values + i);
      if (!kSquares) {
        sums[k] = hn::Add(sums[k], v);
        continue;
      }
      v = hn::Sub(v, center);
      if (n - i < lanes) v = hn::IfThenElseZero(hn::FirstN(d, n - i), v);
      sums[k] = hn::MulAdd(v, v, sums[k]);
    }
    const auto sum = hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3]));
    total += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, sum)));
  }
  return total;
}

/// y = (x - mean) * factor * weight + bias; no bias where it is null.
void ScaleRow(const tensor::MatrixView& x, const tensor::MatrixView& y, std::int64_t row,
              float mean, float factor, const float* weight, const float* bias) {
  const FloatTag d;
  const auto center = hn::Set(d, mean);
  const auto scale = hn::Set(d, factor);
  const auto cols = static_cast<std::size_t>(x.cols);
  Chunk in, out;
  for (std::size_t begin = 0; begin < cols; begin += kChunk) {
    const std::size_t n = std::min(kChunk, cols - begin);
    const float* values = Load(x, row, begin, n, in);
    float* scaled = Room(y, row, begin, n, out);
    for (std::size_t i = 0; i < n; i += hn::Lanes(d)) {
      const auto v = hn::Mul(hn::Sub(hn::LoadU(d, values + i), center), scale);
      const auto w = LoadUpTo(d, weight + begin + i, n - i);
      const auto b = bias == nullptr ? hn::Zero(d) : LoadUpTo(d, bias + begin + i, n - i);
      hn::StoreU(hn::MulAdd(v, w, b), d, scaled + i);
    }
    Store(scaled, y, row, begin, n);
  }
}

void RmsNorm(const tensor::MatrixView& x, const tensor::MatrixView& y, const float* weight,
             float eps, std::int64_t begin, std::int64_t end) {
  for (std::int64_t row = begin; row < end; ++row) {
    const auto mean_square =
        static_cast<float>(RowSum<true>(x, row, 0.0F) / static_cast<double>(x.cols));
    ScaleRow(x, y, row, 0.0F, 1.0F / std::sqrt(mean_square + eps), weight, nullptr);
  }
}

void LayerNorm(const tensor::MatrixView& x, const tensor::MatrixView& y, const float* weight,
               const float* bias, float eps, std::int64_t begin, std::int64_t end) {
  const auto cols = static_cast<double>(x.cols);
  for (std::int64_t row = begin; row < end; ++row) {
    const auto mean = static_cast<float>(RowSum<false>(x, row, 0.0F) / cols);
    const auto variance = static_cast<float>(RowSum<true>(x, row, mean) / cols);
    ScaleRow(x, y, row, mean, 1.0F / std::sqrt(variance + eps), weight, bias);
  }
}

void AddRows(const tensor::MatrixView& x, const tensor::MatrixView& y, std::int64_t first,
             std::int64_t last) {
  const FloatTag d;
  const auto cols = static_cast<std::size_t>(x.cols);
  Chunk x_chunk, y_chunk;
  for (std::int64_t row = first; row < last; ++row) {
    for (std::size_t begin = 0; begin < cols; begin += kChunk) {
      const std::size_t n = std::min(kChunk, cols - begin);
      float* a = Load(x, row, begin, n, x_chunk);
      const float* b = Load(y, row, begin, n, y_chunk);
      for (std::size_t i = 0; i < n; i += hn::Lanes(d)) {
        hn::StoreU(hn::Add(hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, a + i);
      }
      Store(a, x, row, begin, n);
    }
  }
}

struct GeluErf {
  FloatVec operator()(FloatTag d, FloatVec x) const {
    const auto half = hn::Mul(x, hn::Set(d, 0.5F));
    return hn::MulAdd(half, Erf(d, hn::Mul(x, hn::Set(d, 0.707106781F))), half);
  }
};
struct GeluTanh {  // x/2 (1 + tanh(u)) = x sigmoid(2u)
  FloatVec operator()(FloatTag d, FloatVec x) const {
    const auto cubed = hn::Mul(hn::Mul(x, x), x);
    const auto u = hn::MulAdd(cubed, hn::Set(d, 0.044715F), x);
    return hn::Mul(x, Sigmoid(d, hn::Mul(u, hn::Set(d, 1.59576912F))));  // 2 sqrt(2 / pi)
  }
};
struct Relu {
  FloatVec operator()(FloatTag d, FloatVec x) const {
    return hn::IfThenZeroElse(hn::Lt(x, hn::Zero(d)), x);  // keeps NaN, which Max would not
  }
};
struct Silu {
  FloatVec operator()(FloatTag d, FloatVec x) const { return hn::Mul(x, Sigmoid(d, x)); }
};
struct HyperbolicTangent {
  FloatVec operator()(FloatTag d, FloatVec x) const { return Tanh(d, x); }
};

struct ScaleBy {
  FloatVec factor;
  FloatVec operator()(FloatTag /*d*/, FloatVec x) const { return hn::Mul(x, factor); }
};
struct SoftCap {
  FloatVec cap;
  FloatVec operator()(FloatTag d, FloatVec x) const {
    return hn::Mul(Tanh(d, hn::Div(x, cap)), cap);
  }
};

template <typename F>
HWY_NOINLINE void Map(F f, std::size_t n, float* values) {
  const FloatTag d;
  for (std::size_t i = 0; i < n; i += hn::Lanes(d)) {
    hn::StoreU(f(d, hn::LoadU(d, values + i)), d, values + i);
  }
}

void MapChunk(UnaryFunction function, std::size_t n, float* values) {
  switch (function) {
    case UnaryFunction::gelu_erf:
      return Map(GeluErf(), n, values);
    case UnaryFunction::gelu_tanh:
      return Map(GeluTanh(), n, values);
    case UnaryFunction::relu:
      return Map(Relu(), n, values);
    case UnaryFunction::silu:
      return Map(Silu(), n, values);
    case UnaryFunction::tanh:
      return Map(HyperbolicTangent(), n, values);
  }
}

/// f(n, values) for every chunk of the rows.
template <typename F>
HWY_INLINE void MapRows(const tensor::MatrixView& x, std::int64_t first, std::int64_t last,
                        const F& f) {
  const auto cols = static_cast<std::size_t>(x.cols);
  Chunk chunk;
  for (std::int64_t row = first; row < last; ++row) {
    for (std::size_t begin = 0; begin < cols; begin += kChunk) {
      const std::size_t n = std::min(kChunk, cols - begin);
      float* values = Load(x, row, begin, n, chunk);
      f(n, values);
      Store(values, x, row, begin, n);
    }
  }
}

constexpr std::size_t kHalves = std::size_t{1} << 16;
using HalfTable = std::array<std::uint16_t, kHalves>;

/// f of every number of a 16-bit type, made at the first call: those of a layer's activations are
/// few, and looking one up costs a tenth of computing it. Same bits.
const HalfTable& TableOf(UnaryFunction function, tensor::DType type) {
  struct Lazy {
    std::once_flag once;
    std::unique_ptr<HalfTable> table;
  };
  static Lazy tables[kUnaryFunctions][2];
  Lazy& lazy =
      tables[static_cast<std::size_t>(function)][type == tensor::DType::bf16 ? std::size_t{0} : 1];
  std::call_once(lazy.once, [&] {
    auto table = std::make_unique<HalfTable>();
    Chunk chunk;
    for (std::size_t begin = 0; begin < kHalves; begin += kChunk) {
      std::uint16_t* part = table->data() + begin;
      std::iota(part, part + kChunk, static_cast<std::uint16_t>(begin));
      LoadFloats(type, part, kChunk, chunk.values);
      MapChunk(function, kChunk, chunk.values);
      StoreFloats(chunk.values, kChunk, type, part);
    }
    lazy.table = std::move(table);
  });
  return *lazy.table;
}

void LookUp(const HalfTable& table, const void* from, std::size_t n, std::uint16_t* to) {
  const auto* in = static_cast<const std::uint16_t*>(from);
  for (std::size_t i = 0; i < n; ++i) to[i] = table[in[i]];
}

void ApplyRows(UnaryFunction function, const tensor::MatrixView& x, std::int64_t first,
               std::int64_t last) {
  if (x.type == tensor::DType::f32) {
    MapRows(x, first, last, [&](std::size_t n, float* values) { MapChunk(function, n, values); });
    return;
  }
  const HalfTable& table = TableOf(function, x.type);
  for (std::int64_t row = first; row < last; ++row) {
    auto* values = reinterpret_cast<std::uint16_t*>(x.row_bytes(row));
    LookUp(table, values, static_cast<std::size_t>(x.cols), values);
  }
}

void GateRows(UnaryFunction function, const tensor::MatrixView& gate, const tensor::MatrixView& up,
              std::int64_t first, std::int64_t last) {
  const FloatTag d;
  const auto cols = static_cast<std::size_t>(gate.cols);
  const bool halves = gate.type != tensor::DType::f32;
  const HalfTable* table = halves ? &TableOf(function, gate.type) : nullptr;
  Chunk gate_chunk, up_chunk;
  HWY_ALIGN std::uint16_t found[kChunk];
  for (std::int64_t row = first; row < last; ++row) {
    for (std::size_t begin = 0; begin < cols; begin += kChunk) {
      const std::size_t n = std::min(kChunk, cols - begin);
      float* a = Room(gate, row, begin, n, gate_chunk);
      if (halves) {  // f(gate) rounded to the type, as the references do
        LookUp(*table, At(gate, row, begin), n, found);
        LoadFloats(gate.type, found, n, a);
      } else {
        Load(gate, row, begin, n, gate_chunk);
        MapChunk(function, n, a);
      }
      const float* b = Load(up, row, begin, n, up_chunk);
      for (std::size_t i = 0; i < n; i += hn::Lanes(d)) {
        hn::StoreU(hn::Mul(hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, a + i);
      }
      Store(a, gate, row, begin, n);
    }
  }
}

void ScaleRows(float factor, const tensor::MatrixView& x, std::int64_t first, std::int64_t last) {
  const FloatTag d;
  MapRows(x, first, last,
          [&](std::size_t n, float* values) { Map(ScaleBy{hn::Set(d, factor)}, n, values); });
}

void CapRows(float cap, const tensor::MatrixView& x, std::int64_t first, std::int64_t last) {
  const FloatTag d;
  MapRows(x, first, last,
          [&](std::size_t n, float* values) { Map(SoftCap{hn::Set(d, cap)}, n, values); });
}

void ClampedSwigluRows(float alpha, float limit, const tensor::MatrixView& gate,
                       const tensor::MatrixView& up, std::int64_t first, std::int64_t last) {
  const FloatTag d;
  const auto highest = hn::Set(d, limit);
  const auto lowest = hn::Neg(highest);
  const auto cols = static_cast<std::size_t>(gate.cols);
  Chunk gate_chunk, up_chunk;
  for (std::int64_t row = first; row < last; ++row) {
    for (std::size_t begin = 0; begin < cols; begin += kChunk) {
      const std::size_t n = std::min(kChunk, cols - begin);
      float* a = Load(gate, row, begin, n, gate_chunk);
      const float* b = Load(up, row, begin, n, up_chunk);
      for (std::size_t i = 0; i < n; i += hn::Lanes(d)) {
        const auto g = hn::Min(hn::LoadU(d, a + i), highest);
        const auto u = hn::Max(hn::Min(hn::LoadU(d, b + i), highest), lowest);
        const auto glu = hn::Mul(g, Sigmoid(d, hn::Mul(g, hn::Set(d, alpha))));
        hn::StoreU(hn::Mul(hn::Add(u, hn::Set(d, 1.0F)), glu), d, a + i);
      }
      Store(a, gate, row, begin, n);
    }
  }
}

void AddScaledRows(const tensor::MatrixView& x, const std::int32_t* index, const float* factors,
                   const tensor::MatrixView& sums, std::int64_t first, std::int64_t last) {
  const FloatTag d;
  const auto cols = static_cast<std::size_t>(x.cols);
  Chunk x_chunk, sum_chunk;
  for (std::int64_t row = first; row < last; ++row) {
    const auto factor = hn::Set(d, factors[row]);
    for (std::size_t begin = 0; begin < cols; begin += kChunk) {
      const std::size_t n = std::min(kChunk, cols - begin);
      const float* a = Load(x, row, begin, n, x_chunk);
      float* b = Load(sums, index[row], begin, n, sum_chunk);
      for (std::size_t i = 0; i < n; i += hn::Lanes(d)) {
        const auto part = hn::Mul(hn::LoadU(d, a + i), factor);
        hn::StoreU(hn::Add(hn::LoadU(d, b + i), part), d, b + i);
      }
      Store(b, sums, index[row], begin, n);
    }
  }
}

constexpr std::size_t kAngles = 64;

/// Rotates `n` pairs (low[i], high[i]) of one head; products and sum are rounded singly.
void Rotate(tensor::DType type, std::byte* low, std::byte* high, std::size_t n,
            const float* cosines, const float* sines) {
  const FloatTag d;
  HWY_ALIGN float a[kAngles + kMaxLanes];
  HWY_ALIGN float b[kAngles + kMaxLanes];
  LoadFloats(type, low, n, a);
  LoadFloats(type, high, n, b);
  for (std::size_t i = 0; i < n; i += hn::Lanes(d)) {
    const auto x = hn::LoadU(d, a + i);
    const auto y = hn::LoadU(d, b + i);
    const auto c = hn::LoadU(d, cosines + i);
    const auto s = hn::LoadU(d, sines + i);
    hn::StoreU(hn::Sub(hn::Mul(x, c), hn::Mul(y, s)), d, a + i);
    hn::StoreU(hn::Add(hn::Mul(y, c), hn::Mul(x, s)), d, b + i);
  }
  StoreFloats(a, n, type, low);
  StoreFloats(b, n, type, high);
}

void RopeRows(const tensor::MatrixView& x, const std::int32_t* positions,
              std::span<const float> frequencies, std::size_t head_dim, float magnitude,
              std::int64_t first, std::int64_t last) {
  const std::size_t half = frequencies.size();
  HWY_ALIGN float cosines[kAngles + kMaxLanes] = {};
  HWY_ALIGN float sines[kAngles + kMaxLanes] = {};
  for (std::int64_t row = first; row < last; ++row) {
    const auto position = static_cast<float>(positions[row]);
    for (std::size_t begin = 0; begin < half; begin += kAngles) {
      const std::size_t n = std::min(kAngles, half - begin);
      for (std::size_t i = 0; i < n; ++i) {
        const float angle = position * frequencies[begin + i];
        cosines[i] = std::cos(angle) * magnitude;
        sines[i] = std::sin(angle) * magnitude;
      }
      for (std::size_t head = 0; head < static_cast<std::size_t>(x.cols); head += head_dim) {
        Rotate(x.type, At(x, row, head + begin), At(x, row, head + begin + half), n, cosines,
               sines);
      }
    }
  }
}

}  // namespace
}  // namespace assay::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace assay::kernels::cpu {

HWY_EXPORT(RmsNorm);
HWY_EXPORT(LayerNorm);
HWY_EXPORT(AddRows);
HWY_EXPORT(ApplyRows);
HWY_EXPORT(GateRows);
HWY_EXPORT(RopeRows);
HWY_EXPORT(ScaleRows);
HWY_EXPORT(CapRows);
HWY_EXPORT(ClampedSwigluRows);
HWY_EXPORT(AddScaledRows);

void rms_norm(tensor::MatrixView x, std::span<const float> weight, float eps, tensor::MatrixView y,
              base::ThreadPool& pool) {
  (void)active_isa();  // limits Highway before its first choice
  const auto kernel = &HWY_DYNAMIC_DISPATCH(RmsNorm);
  pool.parallel_for(x.rows, [&](int, std::int64_t begin, std::int64_t end) {
    kernel(x, y, weight.data(), eps, begin, end);
  });
}

void layer_norm(tensor::MatrixView x, std::span<const float> weight, std::span<const float> bias,
                float eps, tensor::MatrixView y, base::ThreadPool& pool) {
  (void)active_isa();
  const auto kernel = &HWY_DYNAMIC_DISPATCH(LayerNorm);
  const float* offsets = bias.empty() ? nullptr : bias.data();
  pool.parallel_for(x.rows, [&](int, std::int64_t begin, std::int64_t end) {
    kernel(x, y, weight.data(), offsets, eps, begin, end);
  });
}

void add_in_place(tensor::MatrixView x, tensor::MatrixView y, base::ThreadPool& pool) {
  (void)active_isa();
  const auto kernel = &HWY_DYNAMIC_DISPATCH(AddRows);
  pool.parallel_for(x.rows,
                    [&](int, std::int64_t begin, std::int64_t end) { kernel(x, y, begin, end); });
}

void apply(UnaryFunction function, tensor::MatrixView x, base::ThreadPool& pool) {
  (void)active_isa();
  const auto kernel = &HWY_DYNAMIC_DISPATCH(ApplyRows);
  pool.parallel_for(
      x.rows, [&](int, std::int64_t begin, std::int64_t end) { kernel(function, x, begin, end); });
}

void gated_product(UnaryFunction function, tensor::MatrixView gate, tensor::MatrixView up,
                   base::ThreadPool& pool) {
  (void)active_isa();
  const auto kernel = &HWY_DYNAMIC_DISPATCH(GateRows);
  pool.parallel_for(gate.rows, [&](int, std::int64_t begin, std::int64_t end) {
    kernel(function, gate, up, begin, end);
  });
}

void scale(tensor::MatrixView x, float factor, base::ThreadPool& pool) {
  (void)active_isa();
  const auto kernel = &HWY_DYNAMIC_DISPATCH(ScaleRows);
  pool.parallel_for(
      x.rows, [&](int, std::int64_t begin, std::int64_t end) { kernel(factor, x, begin, end); });
}

void soft_cap(tensor::MatrixView x, float cap, base::ThreadPool& pool) {
  (void)active_isa();
  const auto kernel = &HWY_DYNAMIC_DISPATCH(CapRows);
  pool.parallel_for(x.rows,
                    [&](int, std::int64_t begin, std::int64_t end) { kernel(cap, x, begin, end); });
}

void clamped_swiglu(float alpha, float limit, tensor::MatrixView gate, tensor::MatrixView up,
                    base::ThreadPool& pool) {
  (void)active_isa();
  const auto kernel = &HWY_DYNAMIC_DISPATCH(ClampedSwigluRows);
  pool.parallel_for(gate.rows, [&](int, std::int64_t begin, std::int64_t end) {
    kernel(alpha, limit, gate, up, begin, end);
  });
}

void add_scaled_rows(tensor::MatrixView x, std::span<const std::int32_t> index,
                     std::span<const float> factors, tensor::MatrixView sums,
                     base::ThreadPool& pool) {
  (void)active_isa();
  const auto kernel = &HWY_DYNAMIC_DISPATCH(AddScaledRows);
  pool.parallel_for(x.rows, [&](int, std::int64_t begin, std::int64_t end) {
    kernel(x, index.data(), factors.data(), sums, begin, end);
  });
}

void rope(tensor::MatrixView x, std::span<const std::int32_t> positions,
          std::span<const float> inverse_frequencies, std::int64_t head_dim, base::ThreadPool& pool,
          float magnitude) {
  (void)active_isa();
  const auto kernel = &HWY_DYNAMIC_DISPATCH(RopeRows);
  pool.parallel_for(x.rows, [&](int, std::int64_t begin, std::int64_t end) {
    kernel(x, positions.data(), inverse_frequencies, static_cast<std::size_t>(head_dim), magnitude,
           begin, end);
  });
}

void gather_rows(tensor::MatrixView x, std::span<const std::int32_t> index, tensor::MatrixView y) {
  const std::size_t bytes = static_cast<std::size_t>(x.cols) * tensor::size_of(x.type);
  for (std::size_t r = 0; r < index.size(); ++r) {
    std::memcpy(y.row_bytes(static_cast<std::int64_t>(r)), x.row_bytes(index[r]), bytes);
  }
}

}  // namespace assay::kernels::cpu
#endif  // HWY_ONCE
