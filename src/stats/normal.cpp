#include "stats/normal.h"

#include <cmath>
#include <numbers>

#include "base/error.h"

namespace assay::stats {

double normal_cdf(double z) { return 0.5 * std::erfc(-z / std::numbers::sqrt2); }

double normal_quantile(double p) {
  if (!(p > 0.0 && p < 1.0)) fail(ErrorCode::internal, "no normal quantile of {}", p);
  // The lower tail keeps its digits, so the upper half is mirrored; 38.5 is where the cdf is
  // 5e-324.
  if (p > 0.5) return -normal_quantile(1.0 - p);
  double low = -38.5;
  double high = 0.0;
  while (true) {
    const double middle = 0.5 * (low + high);
    if (middle <= low || middle >= high) return middle;
    (normal_cdf(middle) < p ? low : high) = middle;
  }
}

}  // namespace assay::stats
