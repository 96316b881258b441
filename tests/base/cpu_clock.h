#pragma once

#include <ctime>

namespace assay::testing {

/// Seconds of processor time since it was made: what a test may limit, since a busy machine does
/// not lengthen them.
class CpuClock {
 public:
  [[nodiscard]] double seconds() const {
    return static_cast<double>(std::clock() - begin_) / CLOCKS_PER_SEC;
  }

 private:
  std::clock_t begin_ = std::clock();
};

}  // namespace assay::testing
