#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace assay::measure {

/// What only the code that computes on a GPU knows of it. Whoever links that code sets it once, at
/// the start; a build without it leaves all empty, and what depends on it is null with the reason.
struct DeviceProbe {
  /// "GPU-5f1c..." of cuda:index; empty: not known.
  std::function<std::string(int index)> uuid;
  /// Most bytes that this process's allocator held on cuda:index since it was last reset.
  std::function<std::optional<std::int64_t>(int index)> peak_bytes;
  std::function<void(int index)> reset_peak;
};

[[nodiscard]] const DeviceProbe& device_probe();
void set_device_probe(DeviceProbe probe);

}  // namespace assay::measure
