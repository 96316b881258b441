#include <algorithm>

#include "models/config_limits.h"
#include "models/config_variants.h"

namespace assay::models {
namespace {

/// Blocks that layer_types calls full have no window.
void heed_layer_types(const ConfigReader& reader, const Json& types, ModelConfig& config) {
  if (!types.is_array() || std::ssize(types) != config.blocks) {
    reader.refuse("layer_types", fmt::format("must be a list of {} texts", config.blocks));
  }
  for (std::size_t i = 0; i < types.size(); ++i) {
    const Json& type = types[i];
    if (type == "full_attention") {
      config.windows[i] = 0;
    } else if (type != "sliding_attention") {
      reader.refuse("layer_types", fmt::format("has {}, which is not implemented; known are "
                                               "full_attention and sliding_attention",
                                               ConfigReader::shown(type)));
    }
  }
}

std::int64_t window_of(const ConfigReader& reader, const Family& family) {
  const std::string_view total = family.period.total;
  if (!total.empty()) {
    // Half of it to either side, and the position itself.
    return reader.integer(total, 1, kMaxPositions, family.default_window) / 2 + 1;
  }
  const bool null = reader.contains("sliding_window") && reader.find("sliding_window") == nullptr;
  if (null && family.window == WindowRule::periodic) {
    reader.refuse("sliding_window", "is null, which is not implemented for this family");
  }
  const std::int64_t fallback = reader.contains("sliding_window") ? 0 : family.default_window;
  return reader.integer("sliding_window", 1, kMaxPositions, fallback);
}

}  // namespace

void set_periodic_windows(const Family& family, std::int64_t window, std::int64_t period,
                          ModelConfig& config) {
  config.windows.assign(static_cast<std::size_t>(config.blocks), window);
  const std::int64_t first = family.period.full_first ? 0 : period - 1;
  for (std::int64_t i = first; i < config.blocks; i += period) {
    config.windows[static_cast<std::size_t>(i)] = 0;
  }
}

void read_windows(const ConfigReader& reader, const Family& family, ModelConfig& config) {
  if (family.window == WindowRule::none) return;
  const bool by_layer = family.window == WindowRule::by_layer;
  if (by_layer && !reader.flag("use_sliding_window", false)) return;
  const std::int64_t window = window_of(reader, family);
  if (window == 0) return;
  config.windows.assign(static_cast<std::size_t>(config.blocks), window);
  if (family.window == WindowRule::every_block) return;
  if (const Json* types = reader.find("layer_types"); types != nullptr) {
    heed_layer_types(reader, *types, config);
  } else if (by_layer) {
    const std::int64_t full = reader.integer("max_window_layers", 0, kMaxBlocks, 28);
    std::fill_n(config.windows.begin(), std::min(full, config.blocks), 0);
  } else {
    const WindowPeriod& period = family.period;
    set_periodic_windows(family, window,
                         period.key.empty()
                             ? period.blocks
                             : reader.integer(period.key, 1, kMaxBlocks, period.blocks),
                         config);
  }
}

}  // namespace assay::models
