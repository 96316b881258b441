#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace assay::kernels::cuda {

/// Kernels of one name that a Witness saw end.
struct WitnessedKernel {
  std::string name;  ///< mangled, as in tensor_core_uses()
  std::int64_t launches = 0;
};

/// A second witness of what runs on the devices, independent of our ledger: NVIDIA's CUPTI, which
/// is opened when the first one is made. One at a time. It must be there before a graph is
/// instantiated, or the graph's kernels are not seen; and it costs time, so that a witnessed run
/// measures nothing.
class Witness {
 public:
  /// Empty, or in one line why there is none: without CUDA or CUPTI's headers at build time; no
  /// libcupti; one of another major version. Looks at ASSAY_CUPTI (a file), then where the loader
  /// looks, then in CUDA's folders under /usr/local/cuda, then in $VIRTUAL_ENV's nvidia packages.
  [[nodiscard]] static const std::string& unavailable();

  Witness();  ///< unsupported with that line
  ~Witness();
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;

  /// Kernels that ended since the beginning, by name in order. Synchronize the streams before.
  /// Throws internal if CUPTI lost records.
  [[nodiscard]] std::vector<WitnessedKernel> seen();
};

}  // namespace assay::kernels::cuda
