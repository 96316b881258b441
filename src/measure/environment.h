#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"

namespace assay::measure {

/// The machine and build, as it goes into every result: CPU, cores, instruction set used, threads
/// available, memory, kernel, load average, clock governor and frequencies where readable; the GPU
/// (name, UUID, driver, memory, power limit, clocks, temperature, throttle reasons, processes) or
/// why none; the energy meters of both or why none; compiler.
[[nodiscard]] Json environment();

/// Peak resident memory of this process in bytes (VmHWM).
[[nodiscard]] std::int64_t peak_resident_bytes();
/// Free bytes of memory for this process: MemAvailable cut by the cgroup's limit.
[[nodiscard]] std::int64_t available_memory_bytes();

}  // namespace assay::measure
