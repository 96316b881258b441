#include "measure/environment.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/thread_pool.h"
#include "kernels/cpu/isa.h"
#include "measure/meter.h"
#include "measure/nvml.h"

namespace assay::measure {
namespace {

namespace fs = std::filesystem;

/// First line of a small kernel file; empty where it cannot be read.
std::string first_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

/// Value in bytes of a "Name:   123 kB" line of a /proc file; -1 where absent.
std::int64_t kilobyte_field(const fs::path& file, std::string_view field) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(field)) continue;
    std::istringstream rest(line.substr(field.size() + 1));
    std::int64_t kilobytes = -1;
    rest >> kilobytes;
    return kilobytes < 0 ? -1 : kilobytes * 1024;
  }
  return -1;
}

std::int64_t number_in(const fs::path& file) {
  const std::string line = first_line(file);
  std::int64_t value = -1;
  const auto result = std::from_chars(line.data(), line.data() + line.size(), value);
  return result.ec == std::errc{} ? value : -1;
}

/// What is left under the memory limits of this process's cgroup and its parents; -1: no limit.
std::int64_t cgroup_headroom() {
  const std::string line = first_line("/proc/self/cgroup");
  if (!line.starts_with("0::")) return -1;
  const fs::path root = "/sys/fs/cgroup";
  std::int64_t headroom = -1;
  fs::path group = root / line.substr(3).erase(0, line.size() > 3 ? 1 : 0);
  while (true) {
    const std::int64_t limit = number_in(group / "memory.max");
    const std::int64_t used = number_in(group / "memory.current");
    if (limit >= 0 && used >= 0) {
      const std::int64_t left = std::max<std::int64_t>(0, limit - used);
      headroom = headroom < 0 ? left : std::min(headroom, left);
    }
    if (group == root || !group.has_relative_path() || group == group.parent_path()) break;
    group = group.parent_path();
  }
  return headroom;
}

Json clock_record() {
  const fs::path policy = "/sys/devices/system/cpu/cpu0/cpufreq";
  if (!fs::exists(policy)) return {{"value", nullptr}, {"reason", "no cpufreq on this machine"}};
  return {{"governor", first_line(policy / "scaling_governor")},
          {"khz", number_in(policy / "scaling_cur_freq")},
          {"max_khz", number_in(policy / "cpuinfo_max_freq")}};
}

/// The GPU that a device text of this process means first: its record, state and reason.
Json gpu_record() {
  const GpuChoice found = find_gpu(0);
  if (!found.gpu) return {{"value", nullptr}, {"reason", found.reason}};
  Json record = found.gpu->to_json();
  record["state"] = found.gpu->state().to_json();
  return record;
}

/// Meters of the CPU and, where there is one, of the GPU.
Json meter_record() {
  Json record = Json::object();
  const auto add = [&](const char* name, const MeterChoice& choice) {
    if (choice.meter) {
      const MeterInfo& info = choice.meter->info();
      record[name] = {{"name", info.name},
                      {"covers", info.covers},
                      {"resolution_joules", info.resolution_joules}};
    } else {
      record[name] = {{"value", nullptr}, {"reason", choice.reason}};
    }
  };
  add("cpu", open_meter({}));
  add("gpu", open_meter({.kind = tensor::DeviceKind::cuda}));
  return record;
}

}  // namespace

Json environment() {
  const auto& cpu = kernels::cpu::cpu_features();
  utsname host{};
  uname(&host);
  return {{"cpu", cpu.name},
          {"cores", sysconf(_SC_NPROCESSORS_ONLN)},
          {"threads_available", base::available_threads()},
          {"isa", std::string(kernels::cpu::name_of(kernels::cpu::active_isa()))},
          {"memory_bytes", kilobyte_field("/proc/meminfo", "MemTotal")},
          {"kernel", std::string(host.sysname) + " " + host.release},
          {"load_average", first_line("/proc/loadavg")},
          {"clock", clock_record()},
          {"gpu", gpu_record()},
          {"energy_meters", meter_record()},
          {"compiler", __VERSION__}};
}

std::int64_t peak_resident_bytes() { return kilobyte_field("/proc/self/status", "VmHWM"); }

std::int64_t available_memory_bytes() {
  const std::int64_t machine = kilobyte_field("/proc/meminfo", "MemAvailable");
  const std::int64_t group = cgroup_headroom();
  return group < 0 ? machine : std::min(machine, group);
}

}  // namespace assay::measure
