// A library with NVML's interface and made-up GPUs, for tests. ASSAY_FAKE_NVML says what it plays,
// as "key=value" pairs with ';' between them, read when it is initialized:
//   gpus=1          how many; their UUIDs are GPU-00000000-fake, GPU-00000001-fake, ...
//   watts=300       that each draws
//   step=100        ms between two steps of the energy counter
//   energy=steady   or backward (falls by 100 J half a second after the start), stalled (moves for
//                   half a second only), unsupported, wild (1 MW)
//   limit=700       W
//   mig=0           1: divided into instances
//   throttle=0      bits of nvmlDeviceGetCurrentClocksEventReasons
//   foreign=0       id of a process that computes on the first GPU; the caller always does
//   init=0          result of nvmlInit_v2
// With FAKE_NVML_OLD defined it lacks the newer functions, as an old driver's library does.
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "measure/nvml_functions.h"

namespace {

using namespace assay::measure::nvml;
using Clock = std::chrono::steady_clock;

std::map<std::string, std::string> g_settings;
Clock::time_point g_start;

double number(const std::string& key, double fallback) {
  const auto found = g_settings.find(key);
  return found == g_settings.end() ? fallback : std::atof(found->second.c_str());
}

std::string word(const std::string& key) {
  const auto found = g_settings.find(key);
  return found == g_settings.end() ? "" : found->second;
}

void read_settings() {
  g_settings.clear();
  const char* text = std::getenv("ASSAY_FAKE_NVML");
  std::string rest = text == nullptr ? "" : text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(';'), rest.size());
    const std::string pair = rest.substr(0, end);
    const std::size_t equals = pair.find('=');
    if (equals != std::string::npos) g_settings[pair.substr(0, equals)] = pair.substr(equals + 1);
    rest.erase(0, end + 1);
  }
}

int gpu_count() { return static_cast<int>(number("gpus", 1)); }
/// Handles are the index plus one.
int index_of(Device device) {
  return static_cast<int>(reinterpret_cast<std::uintptr_t>(device)) - 1;
}
Device handle_of(int index) { return reinterpret_cast<Device>(std::uintptr_t(index) + 1); }

std::string uuid_of(int index) {
  char text[kUuidSize];
  std::snprintf(text, sizeof text, "GPU-%08d-fake", index);
  return text;
}

Result copy(const std::string& from, char* to, unsigned size) {
  if (from.size() + 1 > size) return kInsufficientSize;
  std::memcpy(to, from.c_str(), from.size() + 1);
  return kSuccess;
}

[[maybe_unused]] double joules_now() {
  const double step = number("step", 100) / 1e3;
  double t =
      std::floor(std::chrono::duration<double>(Clock::now() - g_start).count() / step) * step;
  const std::string mode = word("energy");
  if (mode == "stalled") t = std::min(t, 0.5);
  const double watts = mode == "wild" ? 1e6 : number("watts", 300);
  return 1e6 + watts * t - (mode == "backward" && t > 0.5 ? 100 : 0);
}

}  // namespace

extern "C" {

Result nvmlInit_v2() {
  read_settings();
  g_start = Clock::now();
  return static_cast<Result>(number("init", 0));
}
Result nvmlShutdown() { return kSuccess; }
const char* nvmlErrorString(Result result) {
  if (result == kNotSupported) return "Not Supported";
  if (result == kGpuIsLost) return "GPU is lost";
  return "some error";
}
Result nvmlSystemGetDriverVersion(char* text, unsigned size) { return copy("999.1", text, size); }
Result nvmlDeviceGetCount_v2(unsigned* count) {
  *count = static_cast<unsigned>(gpu_count());
  return kSuccess;
}
Result nvmlDeviceGetHandleByIndex_v2(unsigned index, Device* device) {
  if (index >= static_cast<unsigned>(gpu_count())) return 2;
  *device = handle_of(static_cast<int>(index));
  return kSuccess;
}
Result nvmlDeviceGetHandleByUUID(const char* uuid, Device* device) {
  for (int i = 0; i < gpu_count(); ++i) {
    if (uuid_of(i) != uuid) continue;
    *device = handle_of(i);
    return kSuccess;
  }
  return 6;
}
Result nvmlDeviceGetName(Device, char* text, unsigned size) { return copy("Fake GPU", text, size); }
Result nvmlDeviceGetUUID(Device device, char* text, unsigned size) {
  return copy(uuid_of(index_of(device)), text, size);
}
Result nvmlDeviceGetPowerUsage(Device, unsigned* milliwatts) {
  *milliwatts = static_cast<unsigned>(number("watts", 300) * 1e3);
  return kSuccess;
}
Result nvmlDeviceGetEnforcedPowerLimit(Device, unsigned* milliwatts) {
  *milliwatts = static_cast<unsigned>(number("limit", 700) * 1e3);
  return kSuccess;
}
Result nvmlDeviceGetMemoryInfo(Device, Memory* memory) {
  *memory = {80ULL << 30, 79ULL << 30, 1ULL << 30};
  return kSuccess;
}
Result nvmlDeviceGetClockInfo(Device, unsigned type, unsigned* mhz) {
  *mhz = type == kClockMemory ? 2619 : 1980;
  return kSuccess;
}
Result nvmlDeviceGetTemperature(Device, unsigned, unsigned* celsius) {
  *celsius = 41;
  return kSuccess;
}

#ifndef FAKE_NVML_OLD
Result nvmlDeviceGetTotalEnergyConsumption(Device, unsigned long long* millijoules) {
  if (word("energy") == "unsupported") return kNotSupported;
  *millijoules = static_cast<unsigned long long>(joules_now() * 1e3);
  return kSuccess;
}
Result nvmlDeviceGetCurrentClocksEventReasons(Device, unsigned long long* reasons) {
  *reasons = static_cast<unsigned long long>(number("throttle", 0));
  return kSuccess;
}
Result nvmlDeviceGetComputeRunningProcesses_v3(Device device, unsigned* count,
                                               ProcessInfo* processes) {
  const auto foreign = static_cast<unsigned>(number("foreign", 0));
  const unsigned found = foreign != 0 && index_of(device) == 0 ? 2 : 1;
  const bool fits = *count >= found;
  *count = found;
  if (!fits) return kInsufficientSize;
  processes[0] = {static_cast<unsigned>(::getpid()), 1ULL << 30, 0, 0};
  if (found == 2) processes[1] = {foreign, kUnknownBytes, 0, 0};
  return kSuccess;
}
Result nvmlDeviceGetMigMode(Device, unsigned* current, unsigned* pending) {
  *current = *pending = static_cast<unsigned>(number("mig", 0));
  return kSuccess;
}
#endif

}  // extern "C"
