// A libcuda.so.1 that says what the environment tells it to: FAKE_CUDA_VERSION (12080),
// FAKE_CUDA_INIT (a CUresult), FAKE_CUDA_DEVICES ("capability:name" separated by ';').

#include <cuda.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

namespace {

int number(const char* name, int otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::atoi(value);
}

struct Fake {
  int capability = 0;
  std::string name;
};

std::vector<Fake> devices() {
  const char* listed = std::getenv("FAKE_CUDA_DEVICES");
  std::istringstream in(listed == nullptr ? "" : listed);
  std::vector<Fake> all;
  for (std::string one; std::getline(in, one, ';');)
    all.push_back({std::atoi(one.c_str()), one.substr(one.find(':') + 1)});
  return all;
}

}  // namespace

extern "C" {

CUresult cuInit(unsigned) { return static_cast<CUresult>(number("FAKE_CUDA_INIT", 0)); }
CUresult cuDriverGetVersion(int* version) {
  *version = number("FAKE_CUDA_VERSION", CUDA_VERSION);
  return CUDA_SUCCESS;
}
CUresult cuGetErrorString(CUresult, const char** words) {
  *words = "words of the fake driver";
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetCount(int* count) {
  *count = static_cast<int>(devices().size());
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetName(char* name, int size, CUdevice device) {
  std::snprintf(name, static_cast<std::size_t>(size), "%s", devices()[device].name.c_str());
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetUuid_v2(CUuuid* uuid, CUdevice device) {
  for (int i = 0; i < 16; ++i) uuid->bytes[i] = static_cast<char>(0xa0 + i + device);
  return CUDA_SUCCESS;
}
CUresult cuDeviceTotalMem_v2(std::size_t* bytes, CUdevice) {
  *bytes = std::size_t{80} << 30;
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute which, CUdevice device) {
  const int capability = devices()[device].capability;
  *value = which == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR   ? capability / 10
           : which == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR ? capability % 10
                                                                   : 132;
  return CUDA_SUCCESS;
}
}
