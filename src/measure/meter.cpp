#include "measure/meter.h"

#include <fmt/format.h>

#include "base/error.h"
#include "measure/nvml.h"
#include "measure/rapl.h"

namespace assay::measure {
namespace {

/// NVML's total-energy counter of one GPU (Volta and later), in mJ since the driver was loaded.
class NvmlMeter : public EnergyMeter {
 public:
  NvmlMeter(NvmlDevice gpu, double begin) : gpu_(std::move(gpu)), begin_(begin) {
    info_ = {.name = "NVML total energy of " + gpu_.uuid(),
             .covers = "the whole GPU with its memory; not the host",
             .resolution_joules = 1e-3};
    if (const auto limit = gpu_.limit_watts()) info_.limit_watts = *limit;
  }
  [[nodiscard]] const MeterInfo& info() const override { return info_; }
  [[nodiscard]] double read() override {
    std::string reason;
    const auto joules = gpu_.energy(reason);
    if (!joules) fail(ErrorCode::io, "{}", reason);
    return *joules - begin_;
  }

 private:
  NvmlDevice gpu_;
  double begin_;
  MeterInfo info_;
};

}  // namespace

MeterChoice open_meter(const tensor::Device& device) {
  if (device.kind == tensor::DeviceKind::cpu) return open_rapl(powercap_root());
  auto [gpu, reason] = find_gpu(device.index);
  if (!gpu) return {nullptr, reason};
  if (gpu->mig()) {
    return {nullptr, gpu->name() + " is divided (MIG): its counter is of all instances together"};
  }
  const auto begin = gpu->energy(reason);
  if (!begin) return {nullptr, reason};
  return {std::make_unique<NvmlMeter>(*gpu, *begin), {}};
}

}  // namespace assay::measure
