#include "measure/nvml.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "kernels/cuda/runtime.h"
#include "measure/nvml_functions.h"

namespace assay::measure {

/// The opened library with what was found in it.
class NvmlLibrary {
 public:
  NvmlLibrary(void* handle, const nvml::Functions& functions)
      : handle_(handle), functions_(functions) {}
  ~NvmlLibrary() {
    if (functions_.shutdown != nullptr) functions_.shutdown();
    ::dlclose(handle_);
  }
  NvmlLibrary(const NvmlLibrary&) = delete;
  NvmlLibrary& operator=(const NvmlLibrary&) = delete;

  [[nodiscard]] const nvml::Functions& operator*() const { return functions_; }
  [[nodiscard]] std::string error(nvml::Result result) const {
    const char* text =
        functions_.error_string != nullptr ? functions_.error_string(result) : nullptr;
    return text != nullptr ? text : fmt::format("NVML error {}", result);
  }

 private:
  void* handle_;
  nvml::Functions functions_;
};

namespace {

/// The initial process namespace of a machine has this inode (PROC_PID_INIT_INO of the kernel).
constexpr ino_t kInitialPidNamespace = 0xEFFFFFFC;

template <typename Function>
void find(void* handle, Function& function, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (function == nullptr) function = reinterpret_cast<Function>(::dlsym(handle, name));
  }
}

nvml::Functions functions_of(void* handle) {
  nvml::Functions f;
  find(handle, f.init, {"nvmlInit_v2"});
  find(handle, f.shutdown, {"nvmlShutdown"});
  find(handle, f.error_string, {"nvmlErrorString"});
  find(handle, f.driver_version, {"nvmlSystemGetDriverVersion"});
  find(handle, f.count, {"nvmlDeviceGetCount_v2"});
  find(handle, f.by_index, {"nvmlDeviceGetHandleByIndex_v2"});
  find(handle, f.by_uuid, {"nvmlDeviceGetHandleByUUID"});
  find(handle, f.name, {"nvmlDeviceGetName"});
  find(handle, f.uuid, {"nvmlDeviceGetUUID"});
  find(handle, f.total_energy, {"nvmlDeviceGetTotalEnergyConsumption"});
  find(handle, f.power_usage, {"nvmlDeviceGetPowerUsage"});
  find(handle, f.power_limit, {"nvmlDeviceGetEnforcedPowerLimit"});
  find(handle, f.memory, {"nvmlDeviceGetMemoryInfo"});
  find(handle, f.clock, {"nvmlDeviceGetClockInfo"});
  find(handle, f.temperature, {"nvmlDeviceGetTemperature"});
  find(handle, f.clock_reasons,
       {"nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"});
  find(handle, f.processes,
       {"nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2"});
  find(handle, f.mig_mode, {"nvmlDeviceGetMigMode"});
  return f;
}

/// Calls a function that may be absent; true when it filled its result.
template <typename... Parameters, typename... Arguments>
bool call(nvml::Result (*function)(Parameters...), Arguments... arguments) {
  return function != nullptr && function(arguments...) == nvml::kSuccess;
}

std::string text_of(nvml::Result (*function)(nvml::Device, char*, unsigned), nvml::Device device,
                    unsigned size) {
  std::string text(size, '\0');
  if (!call(function, device, text.data(), size)) return {};
  text.resize(std::min(text.find('\0'), text.size()));
  return text;
}

template <typename T, typename Function, typename... Arguments>
std::optional<T> number_of(Function function, Arguments... arguments) {
  T value{};
  if (!call(function, arguments..., &value)) return std::nullopt;
  return value;
}

/// In a container the driver tells process ids of the host, and ours is not among them.
bool ids_are_ours() {
  struct stat found {};
  return ::stat("/proc/self/ns/pid", &found) != 0 || found.st_ino == kInitialPidNamespace;
}

std::vector<GpuProcess> foreign_processes(const nvml::Functions& f, nvml::Device device) {
  if (f.processes == nullptr) return {};
  std::vector<nvml::ProcessInfo> found(64);
  auto count = static_cast<unsigned>(found.size());
  nvml::Result result = f.processes(device, &count, found.data());
  if (result == nvml::kInsufficientSize) {
    count += 64;
    found.resize(count);
    result = f.processes(device, &count, found.data());
  }
  if (result != nvml::kSuccess) return {};
  found.resize(std::min<std::size_t>(count, found.size()));
  const auto own = std::erase_if(found, [](const nvml::ProcessInfo& process) {
    return process.pid == static_cast<unsigned>(::getpid());
  });
  // Under ids of another namespace one of them is taken for ours, if we compute on a GPU.
  const bool hidden = own == 0 && !ids_are_ours() && !kernels::cuda::devices().empty();
  if (hidden && !found.empty()) found.pop_back();
  std::vector<GpuProcess> processes;
  for (const nvml::ProcessInfo& process : found) {
    GpuProcess& other = processes.emplace_back(GpuProcess{.pid = process.pid});
    if (process.used_bytes != nvml::kUnknownBytes) other.bytes = process.used_bytes;
  }
  return processes;
}

template <typename T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

NvmlChoice load(const std::string& file) {
  void* handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    return {nullptr, fmt::format("no NVIDIA driver ({} cannot be opened)", file)};
  }
  const nvml::Functions functions = functions_of(handle);
  if (functions.init == nullptr || functions.by_uuid == nullptr || functions.by_index == nullptr ||
      functions.count == nullptr || functions.uuid == nullptr) {
    ::dlclose(handle);
    return {nullptr, fmt::format("{} is no NVML that is known: a function is missing", file)};
  }
  const nvml::Result result = functions.init();
  if (result != nvml::kSuccess) {
    std::string reason =
        functions.error_string != nullptr ? functions.error_string(result) : std::to_string(result);
    ::dlclose(handle);
    return {nullptr, fmt::format("NVML does not start: {}", reason)};
  }
  return {std::make_shared<const NvmlLibrary>(handle, functions), {}};
}

const char* library_for_tests() {
  const char* forced = std::getenv("ASSAY_NVML_LIBRARY");
  return forced != nullptr && *forced != 0 ? forced : nullptr;
}

/// The words of CUDA_VISIBLE_DEVICES; nothing when it is not set.
std::optional<std::vector<std::string>> visible_devices() {
  const char* value = std::getenv("CUDA_VISIBLE_DEVICES");
  if (value == nullptr) return std::nullopt;
  std::vector<std::string> words;
  std::string_view rest(value);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    words.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return words;
}

bool is_named(const std::vector<NvmlDevice>& all, std::size_t i, const std::string& word) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error == std::errc{} && end == word.data() + word.size()) return number == i;
  return !word.empty() && all[i].uuid().starts_with(word);
}

/// CUDA stops at the first word that names no GPU.
std::vector<std::size_t> visible_indices(const std::vector<NvmlDevice>& all) {
  std::vector<std::size_t> indices;
  const auto words = visible_devices();
  if (!words) {
    for (std::size_t i = 0; i < all.size(); ++i) indices.push_back(i);
    return indices;
  }
  for (const auto& word : *words) {
    const std::size_t before = indices.size();
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (is_named(all, i, word)) indices.push_back(i);
    }
    if (indices.size() != before + 1) break;
  }
  return indices;
}

}  // namespace

NvmlChoice open_nvml() {
  const char* forced = library_for_tests();
  return load(forced != nullptr ? forced : "libnvidia-ml.so.1");
}

std::string driver_version(const NvmlLibrary& library) {
  std::string text(nvml::kDriverVersionSize, '\0');
  if (!call((*library).driver_version, text.data(), nvml::kDriverVersionSize)) return {};
  text.resize(std::min(text.find('\0'), text.size()));
  return text;
}

std::vector<NvmlDevice> gpus(const std::shared_ptr<const NvmlLibrary>& library) {
  const nvml::Functions& f = **library;
  unsigned count = 0;
  std::vector<NvmlDevice> devices;
  if (!call(f.count, &count)) return devices;
  for (unsigned i = 0; i < count; ++i) {
    nvml::Device handle = nullptr;
    if (call(f.by_index, i, &handle)) devices.emplace_back(library, handle);
  }
  return devices;
}

GpuChoice find_gpu(int index) {
  const auto& devices = kernels::cuda::devices();
  // A library for tests has GPUs of its own.
  const bool known = library_for_tests() == nullptr && index >= 0 && index < std::ssize(devices);
  return find_gpu(index, known ? devices[static_cast<std::size_t>(index)].uuid : std::string());
}

GpuChoice find_gpu(int index, const std::string& uuid) {
  const auto [library, reason] = open_nvml();
  if (!library) return {std::nullopt, reason};
  if (!uuid.empty()) {
    nvml::Device handle = nullptr;
    const nvml::Result result = (**library).by_uuid(uuid.c_str(), &handle);
    if (result == nvml::kSuccess) return {NvmlDevice(library, handle), {}};
    return {std::nullopt, fmt::format("NVML does not know {}: {}", uuid, library->error(result))};
  }
  const auto all = gpus(library);
  const auto visible = visible_indices(all);
  if (index < 0 || static_cast<std::size_t>(index) >= visible.size()) {
    return {std::nullopt, fmt::format("there is no GPU {} ({} of {} are visible)", index,
                                      visible.size(), all.size())};
  }
  return {all[visible[static_cast<std::size_t>(index)]], {}};
}

NvmlDevice::NvmlDevice(std::shared_ptr<const NvmlLibrary> library, void* handle)
    : library_(std::move(library)),
      handle_(handle),
      name_(text_of((**library_).name, handle, nvml::kNameSize)),
      uuid_(text_of((**library_).uuid, handle, nvml::kUuidSize)) {}

std::optional<std::uint64_t> NvmlDevice::total_bytes() const {
  const auto memory = number_of<nvml::Memory>((**library_).memory, handle_);
  return memory ? std::optional<std::uint64_t>(memory->total) : std::nullopt;
}

std::optional<double> NvmlDevice::limit_watts() const {
  const auto milliwatts = number_of<unsigned>((**library_).power_limit, handle_);
  return milliwatts ? std::optional<double>(*milliwatts / 1e3) : std::nullopt;
}

bool NvmlDevice::mig() const {
  unsigned current = 0;
  unsigned pending = 0;
  return call((**library_).mig_mode, handle_, &current, &pending) && current == 1;
}

GpuState NvmlDevice::state() const {
  const nvml::Functions& f = **library_;
  GpuState state{.sm_mhz = number_of<unsigned>(f.clock, handle_, nvml::kClockSm),
                 .memory_mhz = number_of<unsigned>(f.clock, handle_, nvml::kClockMemory),
                 .celsius = number_of<unsigned>(f.temperature, handle_, nvml::kTemperatureGpu)};
  if (const auto milliwatts = number_of<unsigned>(f.power_usage, handle_)) {
    state.watts = *milliwatts / 1e3;
  }
  if (const auto memory = number_of<nvml::Memory>(f.memory, handle_)) {
    state.used_bytes = memory->used;
  }
  const auto reasons = number_of<unsigned long long>(f.clock_reasons, handle_).value_or(0);
  for (const auto& reason : nvml::kThrottleReasons) {
    if ((reasons & reason.bit) != 0) state.throttled.emplace_back(reason.words);
  }
  state.foreign = foreign_processes(f, handle_);
  return state;
}

std::optional<double> NvmlDevice::energy(std::string& reason) const {
  const nvml::Functions& f = **library_;
  if (f.total_energy == nullptr) {
    reason = "the driver's NVML has no energy counter";
    return std::nullopt;
  }
  unsigned long long millijoules = 0;
  const nvml::Result result = f.total_energy(handle_, &millijoules);
  if (result == nvml::kSuccess) return double(millijoules) / 1e3;
  reason = fmt::format("{} shows no energy counter: {}", name_, library_->error(result));
  return std::nullopt;
}

Json NvmlDevice::to_json() const {
  return {{"name", name_},
          {"uuid", uuid_},
          {"driver", driver_version(*library_)},
          {"memory_bytes", or_null(total_bytes())},
          {"power_limit_watts", or_null(limit_watts())},
          {"mig", mig()}};
}

Json GpuState::to_json() const {
  Json processes = Json::array();
  for (const GpuProcess& process : foreign) {
    processes.push_back({{"pid", process.pid}, {"bytes", or_null(process.bytes)}});
  }
  return {{"sm_mhz", or_null(sm_mhz)},         {"memory_mhz", or_null(memory_mhz)},
          {"celsius", or_null(celsius)},       {"watts", or_null(watts)},
          {"used_bytes", or_null(used_bytes)}, {"throttled", throttled},
          {"foreign_processes", processes}};
}

}  // namespace assay::measure
