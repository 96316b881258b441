#pragma once

#include <cstdint>

// The part of NVML's interface that is used here, as its documentation declares it. Symbols are
// found by name when the library is opened; one that is absent is null.
namespace assay::measure::nvml {

using Result = int;
constexpr Result kSuccess = 0;
constexpr Result kNotSupported = 3;
constexpr Result kNoPermission = 4;
constexpr Result kInsufficientSize = 7;
constexpr Result kFunctionNotFound = 13;
constexpr Result kGpuIsLost = 15;

using Device = void*;

constexpr unsigned kClockSm = 1;
constexpr unsigned kClockMemory = 2;
constexpr unsigned kTemperatureGpu = 0;
constexpr unsigned kNameSize = 96;
constexpr unsigned kUuidSize = 96;
constexpr unsigned kDriverVersionSize = 80;

struct Memory {
  unsigned long long total;
  unsigned long long free;
  unsigned long long used;
};

/// nvmlProcessInfo_v2_t, which version 3 of the call fills too.
struct ProcessInfo {
  unsigned pid;
  unsigned long long used_bytes;
  unsigned gpu_instance;
  unsigned compute_instance;
};
constexpr unsigned long long kUnknownBytes = ~0ULL;

struct Functions {
  Result (*init)() = nullptr;
  Result (*shutdown)() = nullptr;
  const char* (*error_string)(Result) = nullptr;
  Result (*driver_version)(char*, unsigned) = nullptr;
  Result (*count)(unsigned*) = nullptr;
  Result (*by_index)(unsigned, Device*) = nullptr;
  Result (*by_uuid)(const char*, Device*) = nullptr;
  Result (*name)(Device, char*, unsigned) = nullptr;
  Result (*uuid)(Device, char*, unsigned) = nullptr;
  Result (*total_energy)(Device, unsigned long long*) = nullptr;  // mJ
  Result (*power_usage)(Device, unsigned*) = nullptr;             // mW
  Result (*power_limit)(Device, unsigned*) = nullptr;             // mW
  Result (*memory)(Device, Memory*) = nullptr;
  Result (*clock)(Device, unsigned, unsigned*) = nullptr;  // MHz
  Result (*temperature)(Device, unsigned, unsigned*) = nullptr;
  Result (*clock_reasons)(Device, unsigned long long*) = nullptr;
  Result (*processes)(Device, unsigned*, ProcessInfo*) = nullptr;
  Result (*mig_mode)(Device, unsigned*, unsigned*) = nullptr;
};

/// Reasons for which a GPU runs slower than it could at this load.
struct ClockReason {
  unsigned long long bit;
  const char* words;
};
constexpr ClockReason kThrottleReasons[] = {{0x04, "power cap"},       {0x08, "hardware slowdown"},
                                            {0x10, "sync boost"},      {0x20, "heat (software)"},
                                            {0x40, "heat (hardware)"}, {0x80, "power brake"}};

}  // namespace assay::measure::nvml
