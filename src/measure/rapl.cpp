#include "measure/rapl.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <optional>
#include <vector>

#include "base/descriptor.h"
#include "base/error.h"

namespace assay::measure {
namespace {

namespace fs = std::filesystem;

constexpr double kMicrojoule = 1e-6;
constexpr double kMicrowatt = 1e-6;

std::string line_of(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

std::optional<std::int64_t> number_of(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end == text.data()) return std::nullopt;
  return value;
}

/// The most that a zone may draw by its own constraints; infinity where it has none.
double limit_of(const fs::path& zone) {
  std::int64_t most = 0;
  for (int i = 0; i < 4; ++i) {
    for (const char* field : {"power_limit_uw", "max_power_uw"}) {
      const auto value = number_of(line_of(zone / fmt::format("constraint_{}_{}", i, field)));
      most = std::max(most, value.value_or(0));
    }
  }
  return most > 0 ? double(most) * kMicrowatt : std::numeric_limits<double>::infinity();
}

/// One zone's counter, unwrapped.
class Zone {
 public:
  explicit Zone(const fs::path& folder)
      : file_(folder / "energy_uj"),
        name_(line_of(folder / "name")),
        limit_(limit_of(folder)),
        descriptor_(::open(file_.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (descriptor_.get() < 0) {
      fail(ErrorCode::io, "{} cannot be read: {}{}", file_.string(), std::strerror(errno),
           errno == EACCES ? " (most kernels let only root read it)" : "");
    }
    range_ = number_of(line_of(folder / "max_energy_range_uj")).value_or(0);
    last_ = counter();
  }

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] double limit_watts() const { return limit_; }
  /// Joules since it was opened.
  [[nodiscard]] double read() {
    const std::int64_t now = counter();
    std::int64_t delta = now - last_;
    // A counter that falls by more than half of its range has wrapped; by less, it went backwards.
    if (delta < 0 && range_ > 0 && -delta > range_ / 2) delta += range_;
    last_ = now;
    sum_ += delta;
    return double(sum_) * kMicrojoule;
  }

 private:
  [[nodiscard]] std::int64_t counter() const {
    std::array<char, 32> text{};
    const ssize_t got = ::pread(descriptor_.get(), text.data(), text.size(), 0);
    const auto value = got > 0 ? number_of({text.data(), std::size_t(got)}) : std::nullopt;
    if (!value) fail(ErrorCode::io, "{}: no number can be read from it", file_.string());
    return *value;
  }

  fs::path file_;
  std::string name_;
  double limit_;
  base::Descriptor descriptor_;
  std::int64_t range_ = 0;
  std::int64_t last_ = 0;
  std::int64_t sum_ = 0;
};

class RaplMeter : public EnergyMeter {
 public:
  explicit RaplMeter(std::deque<Zone> zones) : zones_(std::move(zones)) {
    info_ = {.name = "RAPL",
             .covers = "the processor's packages and, where listed, their memory",
             .resolution_joules = kMicrojoule,
             .limit_watts = 0.0};
    for (const Zone& zone : zones_) {
      info_.name += (&zone == &zones_.front() ? " " : " + ") + zone.name();
      info_.limit_watts += zone.limit_watts();
    }
  }
  [[nodiscard]] const MeterInfo& info() const override { return info_; }
  [[nodiscard]] double read() override {
    double joules = 0.0;
    for (Zone& zone : zones_) joules += zone.read();
    return joules;
  }

 private:
  std::deque<Zone> zones_;
  MeterInfo info_;
};

/// Folders of the zones that are summed, in a fixed order.
std::vector<fs::path> zone_folders(const fs::path& root) {
  std::vector<fs::path> folders;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root, error)) {
    const std::string id = entry.path().filename().string();
    if (!id.starts_with("intel-rapl:")) continue;
    const bool inner = std::ranges::count(id, ':') > 1;
    const std::string name = line_of(entry.path() / "name");
    if (inner ? name == "dram" : name.starts_with("package")) folders.push_back(entry.path());
  }
  std::ranges::sort(folders);
  return folders;
}

}  // namespace

fs::path powercap_root() {
  const char* forced = std::getenv("ASSAY_POWERCAP_ROOT");
  return forced != nullptr && *forced != 0 ? forced : "/sys/class/powercap";
}

MeterChoice open_rapl(const fs::path& root) {
  std::error_code error;
  if (!fs::is_directory(root, error)) {
    return {nullptr,
            fmt::format("this machine shows no RAPL counter ({} is not there)", root.string())};
  }
  const auto folders = zone_folders(root);
  if (folders.empty()) {
    return {nullptr,
            fmt::format("this machine shows no RAPL counter (no package in {})", root.string())};
  }
  try {
    std::deque<Zone> zones;
    for (const auto& folder : folders) zones.emplace_back(folder);
    return {std::make_unique<RaplMeter>(std::move(zones)), {}};
  } catch (const Error& problem) {
    return {nullptr, problem.what()};
  }
}

}  // namespace assay::measure
