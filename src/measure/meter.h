#pragma once

#include <limits>
#include <memory>
#include <string>

#include "tensor/tensor.h"

namespace assay::measure {

/// What a meter is and what it can see.
struct MeterInfo {
  std::string name;                ///< "RAPL package-0 + dram", "NVML total energy of GPU-5f..."
  std::string covers;              ///< "the processor's packages and memory", "the whole GPU"
  double resolution_joules = 0.0;  ///< unit in which the counter counts
  double limit_watts = std::numeric_limits<double>::infinity();  ///< most that it may ever show
};

/// A counter of energy that only grows. Used by one thread at a time.
class EnergyMeter {
 public:
  virtual ~EnergyMeter() = default;
  [[nodiscard]] virtual const MeterInfo& info() const = 0;
  /// Joules since the meter was opened. io error when the counter cannot be read any more.
  [[nodiscard]] virtual double read() = 0;
};

/// A meter, or the reason why there is none.
struct MeterChoice {
  std::unique_ptr<EnergyMeter> meter;
  std::string reason;
};

/// The meter of what runs on a device: RAPL for the CPU, NVML's total energy for a GPU.
[[nodiscard]] MeterChoice open_meter(const tensor::Device& device);

}  // namespace assay::measure
