#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "measure/energy_window.h"
#include "measure/meter.h"
#include "measure/nvml.h"

namespace assay::measure {

/// Seconds of the steady clock, for readings and iterations alike.
[[nodiscard]] double clock_seconds();

/// A device while it is watched: its meter, or the reason why there is none, and for a GPU its
/// circumstances.
struct WatchedDevice {
  tensor::Device device;
  std::unique_ptr<EnergyMeter> meter = nullptr;
  std::string reason = {};
  std::optional<NvmlDevice> gpu = std::nullopt;
};

/// Reads meters beside work that is timed (docs/measuring.md, "Energy"). Windows are begun and
/// ended by whoever runs the work; a thread of its own reads the counters every 5 ms or slower, and
/// the state of GPUs every 100 ms. Without any meter and GPU there is no thread and one window.
class Metering {
 public:
  explicit Metering(std::vector<WatchedDevice> devices);
  ~Metering();
  Metering(const Metering&) = delete;
  Metering& operator=(const Metering&) = delete;

  /// Power while nothing runs: for at least a second and ten steps of the counter. `tick` is called
  /// now and then; what it throws ends the measurement.
  void measure_idle(const std::function<void()>& tick);

  /// How many windows the work is to be divided into; more than one only where a meter needs it.
  [[nodiscard]] int windows() const;
  /// Waits until this window's start is shifted against the counter's step, and begins to read.
  void begin_window(int index);
  /// Whether the counters have moved often enough since, or will not.
  [[nodiscard]] bool enough() const;
  /// Ends the window that held these iterations.
  void end_window(std::span<const IterationSpan> iterations);
  /// Forgets the windows of the row before; the idle power stays.
  void forget_windows();

  /// Of the windows so far, for one of `units` units of work in an iteration: {"value", "unit",
  /// "error" (one step of the counter), "meter", "windows": [value of each], "iterations",
  /// "steps", "seconds", "watts"}; net also "idle_watts". Null with the reason where there is no
  /// meter or where its counter is not to be believed.
  [[nodiscard]] Json gross(double units, const std::string& unit) const;
  [[nodiscard]] Json net(double units, const std::string& unit) const;

  /// Of the GPUs during the windows: {"throttled": [why], "foreign_processes": [pid], "sm_mhz":
  /// [low, high], "memory_mhz", "celsius", "used_bytes" (the most, by all processes)} for each;
  /// null without one.
  [[nodiscard]] Json conditions() const;
  /// What of that belongs beside a row in words.
  [[nodiscard]] std::vector<std::string> marks() const;

 private:
  struct Watched;
  class Reader;
  [[nodiscard]] std::string problem(bool net) const;
  [[nodiscard]] Json energy(double units, const std::string& unit, bool net) const;

  std::deque<Watched> watched_;
  std::unique_ptr<Reader> reader_;
};

/// A device with its meter and, if it is a GPU, with its NVML device.
[[nodiscard]] WatchedDevice watch(const tensor::Device& device);

}  // namespace assay::measure
