#pragma once

#include <limits>
#include <span>
#include <string>

namespace assay::measure {

/// One look at an energy counter: seconds of the steady clock, joules since the meter was opened.
struct CounterReading {
  double seconds = 0.0;
  double joules = 0.0;
};

/// When one iteration ran, by the same clock. In order, and none overlaps another.
struct IterationSpan {
  double begin = 0.0;
  double end = 0.0;
};

struct WindowRules {
  /// Steps of the counter left out at the start: the first one holds some of the time before.
  int settling_steps = 1;
  int min_steps = 20;          ///< at least so many from the first to the last
  double stall_seconds = 2.0;  ///< a counter that stands still for longer while work runs is broken
  double limit_watts = std::numeric_limits<double>::infinity();  ///< most that the device can draw
};

/// What a counter says about iterations that ran without pause.
struct EnergyWindow {
  int steps = 0;            ///< from the first step that counts to the last
  double begin = 0.0;       ///< when the first was, by the readings' clock
  double end = 0.0;         ///< and the last
  double joules = 0.0;      ///< between these two
  double iterations = 0.0;  ///< completed between these two, the parts at both ends by their time
  std::string problem;      ///< why the window is void; empty: it is not

  /// An iteration's energy is known to one step of the counter.
  [[nodiscard]] double step_joules() const { return steps > 0 ? joules / steps : 0.0; }
  [[nodiscard]] double seconds() const { return end - begin; }
  [[nodiscard]] double watts() const { return end > begin ? joules / seconds() : 0.0; }
};

/// Joules between the first and the last step of the counter that fall into the work, and the
/// iterations that were completed between them. A step is where a reading differs from the one
/// before it; it is placed in the middle of the two. Void when the counter goes backwards, stands
/// still, draws more than the limit (a tenth of it is left to the device's own regulator), or moves
/// in fewer steps than the rules want. Pure.
[[nodiscard]] EnergyWindow energy_window(std::span<const CounterReading> readings,
                                         std::span<const IterationSpan> iterations,
                                         const WindowRules& rules);

/// Power between the first and last step of readings taken while nothing ran; `problem` as above.
/// `settling_steps` are left out, as above.
[[nodiscard]] EnergyWindow idle_window(std::span<const CounterReading> readings,
                                       const WindowRules& rules);

}  // namespace assay::measure
