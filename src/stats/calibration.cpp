#include "stats/calibration.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"

namespace assay::stats {

double expected_calibration_error(std::span<const double> confidence,
                                  std::span<const std::uint8_t> correct, int bins) {
  if (confidence.empty() || confidence.size() != correct.size() || bins < 1) {
    fail(ErrorCode::internal, "{} confidences of {} items in {} bins", confidence.size(),
         correct.size(), bins);
  }
  std::vector<double> gap(static_cast<std::size_t>(bins));  // sum of confidence - correct
  for (std::size_t i = 0; i < confidence.size(); ++i) {
    if (!(confidence[i] >= 0.0 && confidence[i] <= 1.0)) {
      fail(ErrorCode::internal, "a confidence of {}", confidence[i]);
    }
    const int bin = std::clamp(static_cast<int>(std::ceil(confidence[i] * bins)) - 1, 0, bins - 1);
    gap[static_cast<std::size_t>(bin)] += confidence[i] - double{correct[i] != 0 ? 1.0 : 0.0};
  }
  double error = 0.0;
  for (const double g : gap) error += std::abs(g);
  return error / static_cast<double>(confidence.size());
}

}  // namespace assay::stats
