#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/hash.h"
#include "kernels/cpu/isa.h"
#include "tensor/tensor.h"

namespace assay::kernels::cpu {

inline constexpr double kEps = 0x1p-24;  ///< half the spacing of f32 at 1
inline constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Runs a body once for every instruction set that is here, and puts the active one back.
template <typename F>
void for_each_isa(const F& body) {
  const Isa before = active_isa();
  for (const Isa isa : available_isas()) {
    force_isa(isa);
    SCOPED_TRACE(std::string(name_of(isa)));
    body();
  }
  force_isa(before);
}

/// Unit roundoff.
inline double unit_roundoff(tensor::DType type) {
  switch (type) {
    case tensor::DType::f32:
      return 0x1p-24;
    case tensor::DType::f16:
      return 0x1p-11;
    default:
      return 0x1p-8;
  }
}

/// Half the spacing of the smallest numbers: what rounding costs near zero.
inline double smallest_error(tensor::DType type) {
  return type == tensor::DType::f16 ? 0x1p-25 : 0x1p-127;
}

inline constexpr tensor::DType kFloatTypes[] = {tensor::DType::f32, tensor::DType::f16,
                                                tensor::DType::bf16};

/// A matrix with three columns more than its view, so that rows are strided and unaligned.
class StridedMatrix {
 public:
  StridedMatrix(tensor::DType type, std::int64_t rows, std::int64_t cols)
      : matrix_(type, rows, cols + kPad, true), cols_(cols) {}

  /// Normal values of deviation `scale`.
  static StridedMatrix random(tensor::DType type, std::int64_t rows, std::int64_t cols,
                              std::uint64_t seed, double scale = 1.0) {
    StridedMatrix m(type, rows, cols);
    base::Random random(seed);
    for (std::int64_t r = 0; r < rows; ++r) {
      std::vector<float> row(static_cast<std::size_t>(cols + kPad));
      for (float& v : row) v = static_cast<float>(random.normal() * scale);
      tensor::store_row(m.matrix_.view(), r, row);
    }
    return m;
  }

  [[nodiscard]] tensor::MatrixView view() const { return matrix_.view().columns(0, cols_); }
  [[nodiscard]] std::vector<float> row(std::int64_t r) const {
    std::vector<float> values(static_cast<std::size_t>(cols_));
    tensor::load_row(view(), r, values);
    return values;
  }
  void set_row(std::int64_t r, const std::vector<float>& values) {
    tensor::store_row(view(), r, values);
  }
  /// What stands beside the view; must survive every kernel.
  [[nodiscard]] std::vector<float> padding() const {
    std::vector<float> all;
    for (std::int64_t r = 0; r < matrix_.rows(); ++r) {
      std::vector<float> values(kPad);
      tensor::load_row(matrix_.view().columns(cols_, kPad), r, values);
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  }
  [[nodiscard]] StridedMatrix copy() const {
    StridedMatrix other(matrix_.type(), matrix_.rows(), cols_);
    std::memcpy(other.matrix_.view().data, matrix_.view().data, matrix_.bytes());
    return other;
  }
  [[nodiscard]] bool same_bits(const StridedMatrix& other) const {
    return matrix_.bytes() == other.matrix_.bytes() &&
           std::memcmp(matrix_.view().data, other.matrix_.view().data, matrix_.bytes()) == 0;
  }

 private:
  static constexpr std::int64_t kPad = 3;
  tensor::Matrix matrix_;
  std::int64_t cols_;
};

/// |value - wanted| within one rounding of the type plus `slack`.
inline void expect_rounded(float value, double wanted, tensor::DType type, double slack) {
  const double allowed = unit_roundoff(type) * std::abs(wanted) + smallest_error(type) + slack;
  EXPECT_LE(std::abs(static_cast<double>(value) - wanted), allowed)
      << value << " instead of " << wanted << " in " << tensor::name_of(type);
}

}  // namespace assay::kernels::cpu
