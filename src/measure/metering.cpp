#include "measure/metering.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <set>
#include <thread>

#include "base/error.h"

namespace assay::measure {
namespace {

constexpr auto kReadInterval = std::chrono::milliseconds(5);
constexpr int kReadsPerLook = 20;  ///< at the state of a GPU
/// A reading that took so much longer than three of the fastest has no known time.
constexpr double kSlowRead = 1e-3;
constexpr int kWindows = 3;  ///< with starts a third of a step apart
constexpr int kIdleSteps = 10;
constexpr double kIdleSeconds = 1.0;
constexpr double kShiftable = 0.02;  ///< shorter steps than this need no shifted starts
constexpr WindowRules kRules;

/// Windows of one device together.
struct Sums {
  explicit Sums(std::span<const EnergyWindow> windows) {
    for (const EnergyWindow& window : windows) {
      steps += window.steps;
      joules += window.joules;
      step_joules += window.step_joules();
      iterations += window.iterations;
      seconds += window.seconds();
    }
  }
  int steps = 0;
  double joules = 0.0;
  double step_joules = 0.0;  ///< what one step of each is worth: the error
  double iterations = 0.0;
  double seconds = 0.0;
};

void sleep_seconds(double seconds) {
  if (seconds > 0) std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

}  // namespace

double clock_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// A device with what was read of it; written by the reading thread while that runs.
struct Metering::Watched {
  /// Lowest and highest value seen.
  struct Range {
    std::optional<std::uint32_t> low;
    std::optional<std::uint32_t> high;
    void add(const std::optional<std::uint32_t>& value) {
      if (!value) return;
      low = std::min(low.value_or(*value), *value);
      high = std::max(high.value_or(*value), *value);
    }
    [[nodiscard]] Json to_json() const { return low ? Json{*low, *high} : Json(nullptr); }
  };

  /// What was seen of a GPU while windows were open.
  struct Seen {
    std::set<std::string> throttled;
    std::set<std::uint32_t> foreign;
    Range sm_mhz;
    Range memory_mhz;
    Range celsius;
    std::uint64_t used_bytes = 0;  ///< most, by all processes
    void add(const GpuState& state) {
      throttled.insert(state.throttled.begin(), state.throttled.end());
      for (const GpuProcess& process : state.foreign) foreign.insert(process.pid);
      sm_mhz.add(state.sm_mhz);
      memory_mhz.add(state.memory_mhz);
      celsius.add(state.celsius);
      used_bytes = std::max(used_bytes, state.used_bytes.value_or(0));
    }
  };

  WatchedDevice what;
  std::vector<CounterReading> readings = {};
  std::string broken = {};  ///< why the counter could not be read in this window
  int steps = 0;
  double moved = 0.0;                                        ///< when it last did
  double fastest = std::numeric_limits<double>::infinity();  ///< seconds that a reading takes
  EnergyWindow idle = {};
  std::vector<EnergyWindow> windows = {};
  Seen seen = {};

  void read() {
    if (!what.meter || !broken.empty()) return;
    const double before = clock_seconds();
    double joules = 0.0;
    try {
      joules = what.meter->read();
    } catch (const Error& error) {
      broken = error.what();
      return;
    }
    const double after = clock_seconds();
    fastest = std::min(fastest, after - before);
    if (after - before > 3 * fastest + kSlowRead) return;
    if (!readings.empty() && readings.back().joules != joules) {
      ++steps;
      moved = after;
    }
    readings.push_back({(before + after) / 2, joules});
  }
  void clear() {
    readings.clear();
    broken.clear();
    steps = 0;
    moved = clock_seconds();
  }
  /// It has moved often enough, or there is no use in waiting for it.
  [[nodiscard]] bool enough(int wanted) const {
    const bool void_already = !windows.empty() && !windows.back().problem.empty();
    return !what.meter || !broken.empty() || void_already || steps >= wanted ||
           clock_seconds() - moved > kRules.stall_seconds;
  }
  [[nodiscard]] WindowRules rules() const {
    WindowRules rules = kRules;
    rules.limit_watts = what.meter->info().limit_watts;
    return rules;
  }
};

/// The thread that reads.
class Metering::Reader {
 public:
  Reader(std::deque<Watched>& watched, int wanted)
      : watched_(watched), wanted_(wanted), thread_([this](const std::stop_token& stop) {
          while (!stop.stop_requested()) look();
        }) {}
  [[nodiscard]] bool enough() const { return enough_.load(); }

 private:
  void look() {
    const bool state = reads_++ % kReadsPerLook == 0;
    bool enough = true;
    for (Watched& device : watched_) {
      device.read();
      if (state && device.what.gpu) device.seen.add(device.what.gpu->state());
      enough = enough && device.enough(wanted_);
    }
    enough_.store(enough);
    std::this_thread::sleep_for(kReadInterval);
  }
  std::deque<Watched>& watched_;
  int wanted_;
  int reads_ = 0;
  std::atomic<bool> enough_ = false;
  std::jthread thread_;
};

Metering::Metering(std::vector<WatchedDevice> devices) {
  for (WatchedDevice& device : devices) watched_.push_back({.what = std::move(device)});
}

Metering::~Metering() = default;

void Metering::measure_idle(const std::function<void()>& tick) {
  const bool metered =
      std::ranges::any_of(watched_, [](const Watched& d) { return !!d.what.meter; });
  if (!metered) return;
  for (Watched& device : watched_) device.clear();
  const double begin = clock_seconds();
  {
    const Reader reader(watched_, kIdleSteps + kRules.settling_steps + 1);
    while (!reader.enough() || clock_seconds() - begin < kIdleSeconds) {
      sleep_seconds(0.05);
      if (tick) tick();
    }
  }
  for (Watched& device : watched_) {
    if (!device.what.meter) continue;
    WindowRules rules = device.rules();
    rules.min_steps = kIdleSteps;
    device.idle = idle_window(device.readings, rules);
    if (!device.broken.empty()) device.idle.problem = device.broken;
    device.seen = {};
  }
}

int Metering::windows() const {
  const bool metered =
      std::ranges::any_of(watched_, [](const Watched& d) { return !!d.what.meter; });
  return metered ? kWindows : 1;
}

void Metering::begin_window(int index) {
  bool reading = false;
  double step = 0.0;
  Watched* slowest = nullptr;
  for (Watched& device : watched_) {
    reading = reading || device.what.meter || device.what.gpu;
    const double own = device.idle.steps > 0 ? device.idle.seconds() / device.idle.steps : 0.0;
    if (own <= step) continue;
    step = own;
    slowest = &device;
  }
  if (index > 0 && step > kShiftable) {
    slowest->clear();
    while (slowest->steps == 0 && slowest->broken.empty() &&
           clock_seconds() - slowest->moved < 2 * step) {
      sleep_seconds(std::chrono::duration<double>(kReadInterval).count());
      slowest->read();
    }
    sleep_seconds(step * index / kWindows);
  }
  for (Watched& device : watched_) device.clear();
  // One step more than the rules want may pass before the work begins.
  if (reading) {
    reader_ = std::make_unique<Reader>(watched_, kRules.min_steps + kRules.settling_steps + 2);
  }
}

bool Metering::enough() const { return !reader_ || reader_->enough(); }

void Metering::end_window(std::span<const IterationSpan> iterations) {
  reader_.reset();
  for (Watched& device : watched_) {
    if (!device.what.meter) continue;
    auto& window =
        device.windows.emplace_back(energy_window(device.readings, iterations, device.rules()));
    if (!device.broken.empty()) window.problem = device.broken;
  }
}

void Metering::forget_windows() {
  for (Watched& device : watched_) {
    device.windows.clear();
    device.seen = {};
  }
}

/// The first reason why there is no figure.
std::string Metering::problem(bool net) const {
  if (watched_.empty()) return "nothing is watched";
  for (const Watched& device : watched_) {
    const std::string name =
        watched_.size() > 1 ? tensor::to_string(device.what.device) + ": " : std::string();
    if (!device.what.meter) return name + device.what.reason;
    if (device.windows.empty()) return name + "nothing was measured";
    for (const EnergyWindow& window : device.windows) {
      if (!window.problem.empty()) return name + window.problem;
    }
    if (net && !device.idle.problem.empty()) {
      return name + "idle power: " + device.idle.problem;
    }
    if (net && device.idle.steps == 0) return name + "idle power was not measured";
  }
  return {};
}

Json Metering::energy(double units, const std::string& unit, bool net) const {
  if (const std::string reason = problem(net); !reason.empty()) {
    return {{"value", nullptr}, {"unit", unit}, {"reason", reason}};
  }
  double value = 0.0;
  double error = 0.0;
  double watts = 0.0;
  double idle_watts = 0.0;
  std::vector<double> each(watched_.front().windows.size(), 0.0);
  std::vector<std::string> names;
  for (const Watched& device : watched_) {
    const double idle = net ? device.idle.watts() : 0.0;
    const double idle_error = net ? device.idle.step_joules() / device.idle.seconds() : 0.0;
    const Sums sum(device.windows);
    value += (sum.joules - idle * sum.seconds) / sum.iterations / units;
    error += (sum.step_joules + idle_error * sum.seconds) / sum.iterations / units;
    watts += sum.joules / sum.seconds;
    idle_watts += idle;
    names.push_back(device.what.meter->info().name);
    for (std::size_t w = 0; w < each.size(); ++w) {
      const EnergyWindow& window = device.windows[w];
      each[w] += (window.joules - idle * window.seconds()) / window.iterations / units;
    }
  }
  const Sums first(watched_.front().windows);
  Json result = {{"value", value},
                 {"unit", unit},
                 {"error", error},
                 {"meter", fmt::format("{}", fmt::join(names, " + "))},
                 {"windows", each},
                 {"steps", first.steps},
                 {"iterations", first.iterations},
                 {"seconds", first.seconds},
                 {"watts", watts}};
  if (net) result["idle_watts"] = idle_watts;
  return result;
}

Json Metering::gross(double units, const std::string& unit) const {
  return energy(units, unit, false);
}

Json Metering::net(double units, const std::string& unit) const {
  return energy(units, unit, true);
}

Json Metering::conditions() const {
  Json gpus = Json::array();
  for (const Watched& device : watched_) {
    if (!device.what.gpu) continue;
    gpus.push_back({{"device", tensor::to_string(device.what.device)},
                    {"uuid", device.what.gpu->uuid()},
                    {"throttled", device.seen.throttled},
                    {"foreign_processes", device.seen.foreign},
                    {"sm_mhz", device.seen.sm_mhz.to_json()},
                    {"memory_mhz", device.seen.memory_mhz.to_json()},
                    {"celsius", device.seen.celsius.to_json()},
                    {"used_bytes", device.seen.used_bytes}});
  }
  return gpus.empty() ? Json(nullptr) : gpus;
}

std::vector<std::string> Metering::marks() const {
  std::vector<std::string> marks;
  for (const Watched& device : watched_) {
    const std::string name = tensor::to_string(device.what.device);
    if (!device.seen.throttled.empty()) {
      marks.push_back(fmt::format("{} was throttled meanwhile: {}", name,
                                  fmt::join(device.seen.throttled, ", ")));
    }
    if (!device.seen.foreign.empty()) {
      marks.push_back(fmt::format("{} was shared meanwhile: process {} computed on it", name,
                                  fmt::join(device.seen.foreign, ", ")));
    }
  }
  return marks;
}

WatchedDevice watch(const tensor::Device& device) {
  WatchedDevice result{.device = device};
  auto [meter, reason] = open_meter(device);
  result.meter = std::move(meter);
  result.reason = std::move(reason);
  if (device.kind == tensor::DeviceKind::cuda) result.gpu = find_gpu(device.index).gpu;
  return result;
}

}  // namespace assay::measure
