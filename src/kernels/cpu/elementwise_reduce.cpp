// Reductions over a row of logits or a whole matrix.

#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/highway_targets.h"
#include "kernels/cpu/isa.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/elementwise_reduce.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "hwy/contrib/math/math-inl.h"
#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace assay::kernels::cpu::HWY_NAMESPACE {
namespace {

/// Largest of n > 0 values; a NaN anywhere gives NaN.
float MaxOf(const float* x, std::size_t n) {
  const FloatTag d;
  const std::size_t lanes = hn::Lanes(d);
  auto largest = hn::Set(d, -std::numeric_limits<float>::infinity());
  auto poison = hn::Zero(d);
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto v = hn::LoadU(d, x + i);
    largest = hn::Max(largest, v);
    poison = hn::Or(poison, hn::VecFromMask(d, hn::IsNaN(v)));
  }
  float result = hn::GetLane(hn::MaxOfLanes(d, largest));
  bool nan = !hn::AllFalse(d, hn::MaskFromVec(poison));
  for (; i < n; ++i) {
    result = std::max(result, x[i]);
    nan = nan || std::isnan(x[i]);
  }
  return nan ? std::numeric_limits<float>::quiet_NaN() : result;
}

double LogSumExp(const float* x, std::size_t n) {
  if (n == 0) return -std::numeric_limits<double>::infinity();
  const float largest = MaxOf(x, n);
  if (!std::isfinite(largest)) return static_cast<double>(largest);
  const auto base = static_cast<double>(largest);
  double total = 0;
  std::size_t i = 0;
#if HWY_HAVE_FLOAT64
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> df;
  const auto bases = hn::Set(d, base);
  const std::size_t lanes = hn::Lanes(d);
  auto even = hn::Zero(d);
  auto odd = hn::Zero(d);
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    const auto a = hn::PromoteTo(d, hn::LoadU(df, x + i));
    const auto b = hn::PromoteTo(d, hn::LoadU(df, x + i + lanes));
    even = hn::Add(even, hn::Exp(d, hn::Sub(a, bases)));
    odd = hn::Add(odd, hn::Exp(d, hn::Sub(b, bases)));
  }
  total = hn::GetLane(hn::SumOfLanes(d, hn::Add(even, odd)));
#endif
  for (; i < n; ++i) total += std::exp(static_cast<double>(x[i]) - base);
  return base + std::log(total);
}

std::int64_t ArgMax(const float* x, std::size_t n) {
  if (n == 0) return -1;
  const FloatTag d;
  const std::size_t lanes = hn::Lanes(d);
  auto largest = hn::Set(d, -std::numeric_limits<float>::infinity());
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) largest = hn::Max(hn::LoadU(d, x + i), largest);
  float best = hn::GetLane(hn::MaxOfLanes(d, largest));
  for (; i < n; ++i) best = x[i] > best ? x[i] : best;
  const auto wanted = hn::Set(d, best);
  for (i = 0; i + lanes <= n; i += lanes) {
    const std::intptr_t lane = hn::FindFirstTrue(d, hn::Eq(hn::LoadU(d, x + i), wanted));
    if (lane >= 0) return static_cast<std::int64_t>(i) + lane;
  }
  for (; i < n; ++i) {
    if (x[i] == best) return static_cast<std::int64_t>(i);
  }
  return 0;
}

bool RowsFinite(const tensor::MatrixView& x) {
  const FloatTag d;
  const auto cols = static_cast<std::size_t>(x.cols);
  auto sum = hn::Zero(d);  // x * 0 is 0, or NaN for NaN and infinity
  Chunk chunk;
  for (std::int64_t row = 0; row < x.rows; ++row) {
    for (std::size_t begin = 0; begin < cols; begin += kChunk) {
      const std::size_t n = std::min(kChunk, cols - begin);
      const float* values = Load(x, row, begin, n, chunk);
      for (std::size_t i = 0; i < n; i += hn::Lanes(d)) {
        sum = hn::MulAdd(hn::LoadU(d, values + i), hn::Zero(d), sum);
      }
    }
  }
  return hn::AllTrue(d, hn::Eq(sum, hn::Zero(d)));
}

}  // namespace
}  // namespace assay::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace assay::kernels::cpu {

HWY_EXPORT(LogSumExp);
HWY_EXPORT(ArgMax);
HWY_EXPORT(RowsFinite);

double log_sum_exp(std::span<const float> x) {
  (void)active_isa();
  return HWY_DYNAMIC_DISPATCH(LogSumExp)(x.data(), x.size());
}

std::int64_t argmax(std::span<const float> x) {
  (void)active_isa();
  return HWY_DYNAMIC_DISPATCH(ArgMax)(x.data(), x.size());
}

bool all_finite(tensor::MatrixView x) {
  (void)active_isa();
  return HWY_DYNAMIC_DISPATCH(RowsFinite)(x);
}

}  // namespace assay::kernels::cpu
#endif  // HWY_ONCE
