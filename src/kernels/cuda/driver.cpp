#include "kernels/cuda/driver.h"

#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "base/error.h"
#include "kernels/cuda/compiled_paths.h"

namespace assay::kernels::cuda {
namespace {

/// The driver's functions that are needed before there is a context.
struct Driver {
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  decltype(&::cuInit) init = symbol<decltype(&::cuInit)>("cuInit");
  decltype(&::cuDriverGetVersion) version =
      symbol<decltype(&::cuDriverGetVersion)>("cuDriverGetVersion");
  decltype(&::cuGetErrorString) error_string =
      symbol<decltype(&::cuGetErrorString)>("cuGetErrorString");
  decltype(&::cuDeviceGetCount) count = symbol<decltype(&::cuDeviceGetCount)>("cuDeviceGetCount");
  decltype(&::cuDeviceGetName) name = symbol<decltype(&::cuDeviceGetName)>("cuDeviceGetName");
  decltype(&::cuDeviceGetUuid) uuid = symbol<decltype(&::cuDeviceGetUuid)>("cuDeviceGetUuid_v2");
  decltype(&::cuDeviceTotalMem) memory =
      symbol<decltype(&::cuDeviceTotalMem)>("cuDeviceTotalMem_v2");
  decltype(&::cuDeviceGetAttribute) attribute =
      symbol<decltype(&::cuDeviceGetAttribute)>("cuDeviceGetAttribute");

  [[nodiscard]] bool complete() const {
    return init && version && error_string && count && name && uuid && memory && attribute;
  }
  [[nodiscard]] int get(CUdevice_attribute which, int device) const {
    int value = 0;
    (void)attribute(&value, which, device);
    return value;
  }

 private:
  template <typename F>
  F symbol(const char* name_of_it) {
    return library == nullptr ? nullptr : reinterpret_cast<F>(dlsym(library, name_of_it));
  }
};

std::string dotted(int cuda_version) {
  return fmt::format("{}.{}", cuda_version / 1000, cuda_version % 1000 / 10);
}

/// "580.65.06", from the kernel's module or from NVML; empty when neither answers.
std::string driver_release() {
  std::ifstream file("/proc/driver/nvidia/version");
  for (std::string word; file >> word;) {
    const bool digits = word.find_first_not_of("0123456789.") == std::string::npos;
    if (digits && word.find('.') != std::string::npos) return word;
  }
  void* nvml = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (nvml == nullptr) return {};
  const auto init = reinterpret_cast<int (*)()>(dlsym(nvml, "nvmlInit_v2"));
  const auto get =
      reinterpret_cast<int (*)(char*, unsigned)>(dlsym(nvml, "nvmlSystemGetDriverVersion"));
  const auto shutdown = reinterpret_cast<int (*)()>(dlsym(nvml, "nvmlShutdown"));
  char text[96] = "";
  if (init && get && shutdown && init() == 0) {
    if (get(text, sizeof text) != 0) text[0] = '\0';
    shutdown();
  }
  return text;
}

std::string words_of(const Driver& driver, CUresult result) {
  const char* words = nullptr;
  if (driver.error_string(result, &words) != CUDA_SUCCESS || words == nullptr) words = "no words";
  return fmt::format("{} (error {})", words, static_cast<int>(result));
}

/// " (CUDA_VISIBLE_DEVICES is '3')", or nothing when it is not set.
std::string visible_devices() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return visible == nullptr ? "" : fmt::format(" (CUDA_VISIBLE_DEVICES is '{}')", visible);
}

/// Empty when a driver of this version can run a program that is built with `needed`: from CUDA 11
/// on any driver of the same major version can (NVIDIA's "minor version compatibility").
std::string too_old(int supported, int needed) {
  if (supported / 1000 >= needed / 1000) return {};
  const std::string release = driver_release();
  return fmt::format(
      "the NVIDIA driver{} is too old: it supports CUDA {}, this build needs CUDA {}; "
      "update the driver{}",
      release.empty() ? "" : " " + release, dotted(supported), dotted(needed / 1000 * 1000),
      supported >= 12000 ? ", or build with nvcc of CUDA " + dotted(supported) : "");
}

std::string uuid_text(const CUuuid& uuid, bool mig) {
  std::string text = mig ? "MIG-" : "GPU-";
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", static_cast<unsigned char>(uuid.bytes[i]));
  }
  return text;
}

DeviceInfo describe(const Driver& driver, int index) {
  DeviceInfo info;
  info.index = index;
  char name[256] = "";
  (void)driver.name(name, sizeof name, index);
  info.name = name;
  CUuuid uuid = {};
  (void)driver.uuid(&uuid, index);
  info.uuid = uuid_text(uuid, info.name.find(" MIG ") != std::string::npos);
  info.major = driver.get(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, index);
  info.minor = driver.get(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, index);
  info.multiprocessors = driver.get(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, index);
  info.l2_bytes = driver.get(CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, index);
  info.shared_per_block = driver.get(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, index);
  std::size_t memory = 0;
  (void)driver.memory(&memory, index);
  info.memory = static_cast<std::int64_t>(memory);
  return info;
}

/// Empty, or why the driver cannot be used at all; starts it.
std::string start(const Driver& driver) {
  if (driver.library == nullptr) return "no NVIDIA driver: libcuda.so.1 cannot be opened";
  if (!driver.complete()) return "the NVIDIA driver is too old: libcuda.so.1 lacks functions";
  int version = 0;
  (void)driver.version(&version);
  if (std::string old = too_old(version, CUDART_VERSION); !old.empty()) return old;
  const CUresult result = driver.init(0);
  if (result == CUDA_ERROR_NO_DEVICE) return "no CUDA device is visible" + visible_devices();
  if (result != CUDA_SUCCESS)
    return "the NVIDIA driver does not start: " + words_of(driver, result) + visible_devices();
  return {};
}

std::string names_of(const std::vector<Path>& paths) {
  std::string names;
  for (const Path path : paths) names += (names.empty() ? "" : ", ") + std::string(name_of(path));
  return names;
}

bool runs_on(Path path, int capability) {
  switch (path) {
    case Path::sm75:
      return capability >= 75;
    case Path::sm80:
      return capability >= 80;
    case Path::sm90:
      return capability == 90;
  }
  return false;
}

}  // namespace

std::string_view name_of(Path path) noexcept {
  constexpr std::string_view kNames[] = {"sm75", "sm80", "sm90"};
  return kNames[static_cast<int>(path)];
}

std::vector<Path> compiled_paths() {
#define ASSAY_CUDA_VALUE(name) Path::name,
  return {ASSAY_CUDA_EACH_PATH(ASSAY_CUDA_VALUE)};
#undef ASSAY_CUDA_VALUE
}

bool choose_path(int capability, const std::vector<Path>& compiled, const std::string& forced,
                 Path* path, std::string* why) {
  for (auto at = compiled.rbegin(); at != compiled.rend(); ++at) {
    if (!forced.empty() && forced != name_of(*at)) continue;
    if (!runs_on(*at, capability)) continue;
    *path = *at;
    return true;
  }
  *why = fmt::format("compute capability {}.{}: this build has code of {}{}", capability / 10,
                     capability % 10, names_of(compiled),
                     forced.empty() ? "" : fmt::format(", {} is asked for", forced));
  return false;
}

namespace {

std::string forced_path() {
  const char* value = std::getenv("ASSAY_CUDA_PATH");
  if (value == nullptr || *value == '\0') return {};
  for (const Path path : compiled_paths())
    if (name_of(path) == value) return value;
  fail(ErrorCode::usage, "ASSAY_CUDA_PATH={}: this build has {}", value,
       names_of(compiled_paths()));
}

}  // namespace

DriverReport ask_driver() {
  static const Driver driver;
  const std::string forced = forced_path();
  DriverReport report;
  report.unavailable = start(driver);
  if (!report.unavailable.empty()) return report;
  int count = 0;
  if (const CUresult result = driver.count(&count); result != CUDA_SUCCESS) {
    report.unavailable = "the devices cannot be counted: " + words_of(driver, result);
    return report;
  }
  for (int i = 0; i < count; ++i) {
    DeviceInfo info = describe(driver, i);
    std::string why;
    if (choose_path(info.capability(), compiled_paths(), forced, &info.path, &why)) {
      report.devices.push_back(std::move(info));
    } else if (!forced.empty()) {
      fail(ErrorCode::usage, "ASSAY_CUDA_PATH={}: cuda:{} ({}) has {}", forced, i, info.name, why);
    } else {
      report.refused.emplace_back(i, fmt::format("cuda:{} ({}) has {}", i, info.name, why));
    }
  }
  if (count == 0) report.unavailable = "no CUDA device is visible" + visible_devices();
  if (report.devices.empty() && !report.refused.empty())
    report.unavailable = report.refused.front().second;
  return report;
}

}  // namespace assay::kernels::cuda
