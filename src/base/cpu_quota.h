#pragma once

#include <filesystem>
#include <limits>

namespace assay::base {

inline constexpr double kNoCpuQuota = std::numeric_limits<double>::infinity();

/// CPUs that the cgroups of this process allow (1.5 = one and a half), or kNoCpuQuota. Version 2
/// (cpu.max) and version 1 (cpu.cfs_quota_us) are read for the own group and all its ancestors; the
/// smallest counts. `root` stands before every path read, for tests.
[[nodiscard]] double cpu_quota(const std::filesystem::path& root = "/");

}  // namespace assay::base
