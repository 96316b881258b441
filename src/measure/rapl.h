#pragma once

#include <filesystem>

#include "measure/meter.h"

namespace assay::measure {

/// Where the kernel shows its power zones: /sys/class/powercap, or ASSAY_POWERCAP_ROOT (for tests).
[[nodiscard]] std::filesystem::path powercap_root();

/// Intel's and AMD's RAPL counters below `root`: every package ("intel-rapl:N") and its memory
/// ("intel-rapl:N:M" called dram), summed. A package's cores are part of it, and so are platform
/// zones of packages; neither is added. Counters wrap around at max_energy_range_uj. The reason
/// says what is missing or why it cannot be read.
[[nodiscard]] MeterChoice open_rapl(const std::filesystem::path& root);

}  // namespace assay::measure
