#pragma once

namespace assay::stats {

/// Probability that a standard normal variable is at most z.
[[nodiscard]] double normal_cdf(double z);
/// The z with normal_cdf(z) = p; p in (0, 1), else an internal error.
[[nodiscard]] double normal_quantile(double p);

}  // namespace assay::stats
