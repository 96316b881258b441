// Prints what runtime.h says here: a child process of driver_test.cpp, with another environment.

#include <cstdio>

#include "base/error.h"
#include "kernels/cuda/runtime.h"

int main() {
  using namespace assay::kernels::cuda;
  try {
    std::printf("unavailable: %s\n", unavailable().c_str());
    for (const DeviceInfo& d : devices()) {
      std::printf("%d: %s, %s, %d.%d, %s\n", d.index, d.name.c_str(), d.uuid.c_str(), d.major,
                  d.minor, std::string(name_of(d.path)).c_str());
    }
    for (int i = 0; i < 3; ++i) {
      try {
        (void)device(i);
      } catch (const assay::Error& e) {
        std::printf("device %d: %s\n", i, e.what());
      }
    }
  } catch (const assay::Error& e) {
    std::printf("error %d: %s\n", assay::exit_code(e.code()), e.what());
  }
}
