#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

// NVIDIA's management library as a meter and as a witness of the circumstances. It comes with the
// driver and is opened at run time (libnvidia-ml.so.1, or what ASSAY_NVML_LIBRARY names); its few
// functions are declared in nvml.cpp. A function that the library lacks, or that the device does
// not support, leaves its value empty. Builds without CUDA have it too.
namespace assay::measure {

/// A process that computes on a GPU.
struct GpuProcess {
  std::uint32_t pid = 0;
  std::optional<std::uint64_t> bytes;
};

/// A GPU now; what cannot be read is empty.
struct GpuState {
  std::optional<std::uint32_t> sm_mhz;
  std::optional<std::uint32_t> memory_mhz;
  std::optional<std::uint32_t> celsius;
  std::optional<double> watts;
  std::optional<std::uint64_t> used_bytes;  ///< by all processes
  std::vector<std::string> throttled;       ///< why clocks are held down: "power cap", ...
  std::vector<GpuProcess> foreign;          ///< computing processes other than this one

  [[nodiscard]] Json to_json() const;
};

class NvmlLibrary;

/// One GPU of the library; keeps it open.
class NvmlDevice {
 public:
  NvmlDevice(std::shared_ptr<const NvmlLibrary> library, void* handle);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::string& uuid() const { return uuid_; }
  [[nodiscard]] std::optional<std::uint64_t> total_bytes() const;
  [[nodiscard]] std::optional<double> limit_watts() const;  ///< enforced power limit
  [[nodiscard]] bool mig() const;                           ///< divided into instances
  [[nodiscard]] GpuState state() const;
  /// Joules since the driver was loaded; empty, with `reason`, where there is no such counter.
  [[nodiscard]] std::optional<double> energy(std::string& reason) const;
  /// {"name", "uuid", "driver", "memory_bytes", "power_limit_watts", "mig"}.
  [[nodiscard]] Json to_json() const;

 private:
  std::shared_ptr<const NvmlLibrary> library_;
  void* handle_;
  std::string name_;
  std::string uuid_;
};

/// The opened library, or the reason why there is none.
struct NvmlChoice {
  std::shared_ptr<const NvmlLibrary> library;
  std::string reason;
};
[[nodiscard]] NvmlChoice open_nvml();

[[nodiscard]] std::string driver_version(const NvmlLibrary& library);
[[nodiscard]] std::vector<NvmlDevice> gpus(const std::shared_ptr<const NvmlLibrary>& library);

struct GpuChoice {
  std::optional<NvmlDevice> gpu;
  std::string reason;
};
/// Device "cuda:`index`" of this process: the GPU whose UUID CUDA tells, and where there is no CUDA
/// the index-th that CUDA_VISIBLE_DEVICES leaves, by index or by (the beginning of a) UUID. Empty
/// with a reason where there is none.
[[nodiscard]] GpuChoice find_gpu(int index);
/// The same with the UUID that CUDA tells; empty: none.
[[nodiscard]] GpuChoice find_gpu(int index, const std::string& uuid);

}  // namespace assay::measure
