#include "cli/screen.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>

#include "base/progress.h"
#include "cli/progress_line.h"
#include "engine/doctor.h"
#include "measure/environment.h"
#include "report/report.h"

namespace assay::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

constexpr double kFirstEstimate = 2;  ///< seconds before a pace is believed

std::string duration_text(double seconds) {
  if (seconds < 99.5) return fmt::format("{:.0f} s", seconds);
  return fmt::format("{:.0f} min", seconds / 60);
}

/// Draws a run: what is measured now, and what is left at the pace so far.
class RunScreen {
 public:
  explicit RunScreen(bool quiet) : line_(quiet) {}

  study::RunEvents events() {
    return {.cell_started =
                [this](const study::Cell& cell, std::size_t index, std::size_t count) {
                  label_ = fmt::format("[{}/{}] {}", index + 1, count, cell.id);
                  left_ = count - index;
                  measured_ = begun_++;  // what was begun before has ended
                  line_.set_estimate(estimate());
                },
            .stage =
                [this](const study::Cell&, const std::string& stage, double fraction) {
                  line_.set_estimate(stage_estimate(stage, fraction) + estimate());
                  line_.update(label_, stage, fraction);
                },
            .row = {},
            .cell_finished = [this](const study::StoredCell& cell,
                                    bool cached) { finished(cell, cached); }};
  }

 private:
  void finished(const study::StoredCell& cell, bool cached) {
    const std::string why = cell.reason.empty() ? "" : ": " + cell.reason;
    line_.note(
        fmt::format("{} {}{}{}", cell.id, cell.status, cached ? " (kept from before)" : "", why));
  }

  /// Time left of a long stage, from how far it has come.
  [[nodiscard]] std::string stage_estimate(const std::string& stage, double fraction) {
    if (stage != stage_ || fraction < stage_from_) {
      stage_ = stage;
      stage_begin_ = Clock::now();
      stage_from_ = fraction;
    }
    const double seconds = seconds_since(stage_begin_);
    if (seconds < kFirstEstimate || fraction <= stage_from_) return "";
    const double left = seconds * (1 - fraction) / (fraction - stage_from_);
    return fmt::format(", {} left", duration_text(left));
  }

  [[nodiscard]] std::string estimate() const {
    if (measured_ == 0) return "";
    const double each = seconds_since(begin_) / double(measured_);
    return fmt::format(", about {} for all", duration_text(each * double(left_)));
  }

  ProgressLine line_;
  Clock::time_point begin_ = Clock::now();
  std::string label_;
  std::string stage_;
  Clock::time_point stage_begin_;
  double stage_from_ = 0.0;
  std::size_t left_ = 0;
  std::size_t begun_ = 0;
  std::size_t measured_ = 0;
};

std::string noise_line(const std::vector<study::StoredCell>& cells) {
  std::string text;
  for (const auto& cell : cells) {
    for (const Json& row : cell.rows) {
      if (!row.contains("metrics") || !row["metrics"].contains("noise_floor")) continue;
      text += fmt::format("{} {} {:.1f} %", text.empty() ? "" : ",", row["test"].get<std::string>(),
                          100 * row["metrics"]["noise_floor"]["value"].get<double>());
    }
  }
  if (text.empty()) return "";
  return "noise floor (the baseline against itself; smaller differences mean nothing):" + text +
         "\n";
}

std::string next_command(const std::vector<study::StoredCell>& cells) {
  if (cells.empty()) return "assay doctor";
  return fmt::format("assay bench -m {} --precision bf16,int8,nf4",
                     cells.front().cell.value("model", "MODEL"));
}

/// Of a record that has a name, or a reason why there is nothing to name.
std::string name_or_none(const Json& record) {
  if (record.contains("name")) return record["name"].get<std::string>();
  return fmt::format("none ({})", record["reason"].get<std::string>());
}

int exit_code_of(const std::vector<study::StoredCell>& cells) {
  if (base::interrupted()) return exit_code(ErrorCode::interrupted);
  const bool all = std::ranges::all_of(cells, [](const auto& cell) { return cell.status == "ok"; });
  if (all) return 0;
  return cells.size() == 1 && cells.front().status == "unsupported"
             ? exit_code(ErrorCode::unsupported)
             : 1;
}

}  // namespace

void add_screen_options(CLI::App& command, ScreenOptions& options) {
  command.add_option("-o,--output", options.output, "table, md, json, jsonl or csv")
      ->check(CLI::IsMember({"table", "md", "json", "jsonl", "csv"}))
      ->capture_default_str();
  command.add_flag("-q,--quiet", options.quiet, "no progress");
  command.add_flag("--verbose", options.verbose, "kernel names and hashes too");
}

std::string render(const std::vector<study::StoredCell>& cells, const study::Store& store,
                   const ScreenOptions& options) {
  const report::ItemSource items = [&](const std::string& key, const std::string& test) {
    return store.items(key, test);
  };
  if (options.output == "json") return report::json(cells, items);
  if (options.output == "jsonl") return report::jsonl(cells);
  if (options.output == "csv") return report::csv(cells);
  return report::table(cells, options.output == "md", options.verbose, items);
}

std::string machine_lines() {
  const Json machine = measure::environment();
  const Json& meters = machine["energy_meters"];
  const bool gpu = machine["gpu"].contains("name");
  std::string text =
      fmt::format("{}, {} threads, {}; GPU: {}; energy: {}{}\n", machine["cpu"].get<std::string>(),
                  machine["threads_available"].get<int>(), machine["isa"].get<std::string>(),
                  name_or_none(machine["gpu"]), name_or_none(meters["cpu"]),
                  gpu ? ", " + name_or_none(meters["gpu"]) : "");
  text += "precisions on cpu:";
  for (const auto& row : engine::diagnose_cpu()) {
    text += fmt::format(" {} {}", row.works ? "✓" : "✗", row.precision);
  }
  return text + "\n";
}

int run_on_screen(const study::Study& study, const study::RunOptions& run,
                  const ScreenOptions& options) {
  if (!options.quiet) fmt::print(stderr, "{}", machine_lines());
  study::Store store(study.store);
  std::vector<study::StoredCell> cells;
  {
    RunScreen screen(options.quiet);
    cells = study::run_study(study, store, run, screen.events());
  }
  fmt::print("{}", render(cells, store, options));
  if (options.output == "table") {
    fmt::print("{}{}\nstore: {}    again from it: assay report {}\nnext: {}\n", noise_line(cells),
               report::answer(cells), study.store.string(), study.store.string(),
               next_command(cells));
  }
  return exit_code_of(cells);
}

}  // namespace assay::cli
