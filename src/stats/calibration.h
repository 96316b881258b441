#pragma once

#include <cstdint>
#include <span>

namespace assay::stats {

/// Expected calibration error: the distance between confidence and accuracy in `bins` of equal
/// width over (0, 1] (a bin takes its upper end), weighted by items (Guo et al. 2017, equation 3).
/// Confidences in [0, 1], `correct` of the same length with 1 for right and 0 for wrong, at least
/// one item.
[[nodiscard]] double expected_calibration_error(std::span<const double> confidence,
                                                std::span<const std::uint8_t> correct,
                                                int bins = 15);

}  // namespace assay::stats
