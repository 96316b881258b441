#pragma once

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <vector>

#include "kernels/cpu/linear_testing.h"

// What linear layers are compared with, on any device.
namespace assay::kernels::cpu::testing {

/// Weights as the kernel multiplies them: dequantized, then rounded to the compute type. int8 and
/// fp8 codes are exact in every type; their scale is applied in f32.
inline Values operands(const precision::EncodedTensor& weight, DType compute) {
  Values values = decoded(weight);
  if (weight.encoding == Encoding::int8 || weight.encoding == Encoding::fp8_e4m3) return values;
  for (float& v : values) v = rounded_to(compute, v);
  return values;
}

/// y and the bound of its error: k + 6 steps of f32 on sums of magnitudes, one of the output,
/// and denormals that count as zero in bf16 products.
struct Reference {
  std::vector<double> y;
  std::vector<double> bound;
};

/// Error of one step of an f32 sum, relative to the magnitudes: one rounding; on tensor cores a
/// truncation of each product, and one of every eight products' sum.
inline constexpr double kOneRounding = 0x1p-24;
inline constexpr double kTensorCoreStep = 1.125 * 0x1p-23;

/// Of operands that are in the type of the product already.
inline Reference product_reference(const Values& w, const Values& in, std::int64_t k,
                                   const CallOptions& options, double step) {
  const auto n = static_cast<std::int64_t>(w.size()) / k;
  Reference result;
  for (std::int64_t r = 0; r < options.m; ++r) {
    for (std::int64_t c = 0; c < n; ++c) {
      double sum = 0, magnitude = 0, inputs = 0;
      for (std::int64_t i = 0; i < k; ++i) {
        const double a = in[r * k + i];
        sum += a * w[c * k + i];
        magnitude += std::fabs(a * w[c * k + i]);
        inputs += std::fabs(a) + std::fabs(w[c * k + i]);
      }
      const double bias = options.bias.empty() ? 0.0 : options.bias[c];
      const double steps = static_cast<double>(k) + 6;
      result.y.push_back(sum + bias);
      result.bound.push_back((magnitude + std::fabs(bias)) * steps * step +
                             std::fabs(sum + bias) * half_ulp(options.y_type) + inputs * FLT_MIN +
                             0x1p-24 * FLT_MIN + (options.y_type == DType::f16 ? 0x1p-25 : 0.0));
    }
  }
  return result;
}

inline Reference reference(const precision::EncodedTensor& weight, const Values& x,
                           const CallOptions& options, DType compute, double step = kOneRounding) {
  Values in = x;
  for (float& v : in) v = rounded_to(compute, rounded_to(options.x_type, v));
  return product_reference(operands(weight, compute), in, weight.cols, options, step);
}

/// LLM.int8() by its definition, in integers and double; with CallOptions::activation_range, int8
/// with that range for every row.
struct Int8Reference {
  std::vector<double> y;
  std::vector<double> bound;
  std::int64_t outlier_columns = 0;
};

/// One row: codes, outliers as they are, the row's scale.
struct QuantizedRow {
  std::vector<std::int64_t> codes;
  double absmax;
};

/// range: the magnitude of code 127; 0: the row's own largest.
inline QuantizedRow quantize(const float* x, std::int64_t k, const std::vector<bool>& outlier,
                             float range) {
  float absmax = range;
  for (std::int64_t i = 0; i < k && range == 0.0F; ++i) {
    if (!outlier[i]) absmax = std::max(absmax, std::fabs(x[i]));
  }
  const float factor = absmax > 0.0F ? std::min(127.0F / absmax, FLT_MAX) : 0.0F;
  QuantizedRow row{std::vector<std::int64_t>(k), absmax};
  for (std::int64_t i = 0; i < k; ++i) {
    const float inside = range == 0.0F ? x[i] : std::min(std::max(x[i], -range), range);
    if (!outlier[i]) row.codes[i] = static_cast<std::int64_t>(std::nearbyint(inside * factor));
  }
  return row;
}

inline Int8Reference int8_reference(const precision::EncodedTensor& weight, const Values& x,
                                    const CallOptions& options, double step = kOneRounding) {
  const std::int64_t k = weight.cols;
  Values in = x;
  for (float& v : in) v = rounded_to(options.x_type, v);
  std::vector<bool> outlier(k);
  if (options.fixed_outliers != nullptr) {
    for (const std::int32_t column : *options.fixed_outliers) outlier[column] = true;
  }
  for (std::size_t i = 0; i < in.size() && options.fixed_outliers == nullptr; ++i) {
    if (options.threshold > 0.0F && std::fabs(in[i]) >= options.threshold) outlier[i % k] = true;
  }
  Int8Reference result;
  result.outlier_columns = std::count(outlier.begin(), outlier.end(), true);
  const auto* codes = reinterpret_cast<const std::int8_t*>(weight.codes.bytes.data());
  for (std::int64_t r = 0; r < options.m; ++r) {
    const QuantizedRow row = quantize(in.data() + r * k, k, outlier, options.activation_range);
    for (std::int64_t c = 0; c < weight.rows; ++c) {
      std::int64_t sum = 0;
      double apart = 0, magnitude = 0;
      for (std::int64_t i = 0; i < k; ++i) {
        sum += row.codes[i] * codes[c * k + i];
        if (!outlier[i]) continue;
        const double product =
            in[r * k + i] * (codes[c * k + i] * double{weight.scales[c]} / 127.0);
        apart += product;
        magnitude += std::fabs(product);
      }
      const double bias = options.bias.empty() ? 0.0 : options.bias[c];
      const double main = static_cast<double>(sum) * row.absmax * weight.scales[c] / 16129.0;
      const double y = main + apart + bias;
      result.y.push_back(y);
      result.bound.push_back((std::fabs(main) + magnitude + std::fabs(bias)) *
                                 static_cast<double>(result.outlier_columns + 8) * step +
                             std::fabs(y) * half_ulp(options.y_type) + FLT_MIN);
    }
  }
  return result;
}

}  // namespace assay::kernels::cpu::testing
