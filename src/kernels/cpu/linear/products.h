#pragma once

#include <algorithm>

#include "base/error.h"
#include "kernels/cpu/linear.h"
#include "kernels/cpu/linear/layout.h"
#include "kernels/cpu/linear/panel_ops.h"

// The panels of all products of a call, counted through.
namespace assay::kernels::cpu {

struct PanelPlace {
  LinearProduct product;
  std::int64_t panel;  ///< of its weight
};

[[nodiscard]] inline std::int64_t all_panels(const LinearCall& call) {
  std::int64_t count = panel_count(call.weight.n);
  for (const LinearProduct& other : call.others) count += panel_count(other.weight.n);
  return count;
}

[[nodiscard]] inline PanelPlace find_panel(const LinearCall& call, std::int64_t panel) {
  std::int64_t own = panel_count(call.weight.n);
  if (panel < own) return {{call.weight, call.y, call.bias}, panel};
  for (const LinearProduct& other : call.others) {
    panel -= own;
    own = panel_count(other.weight.n);
    if (panel < own) return {other, panel};
  }
  fail(ErrorCode::internal, "panel {} lies beyond the last of a product", panel);
}

/// Rows whose sums stay in the first cache until they are rounded.
inline constexpr std::int64_t kSummedRows = 96;

/// Below so many rows a panel is read as fast as memory gives it anyway.
inline constexpr std::int64_t kReadAheadRows = 17;

/// The panel behind this one in its weight, if it is worth reading ahead.
[[nodiscard]] inline Ahead panel_ahead(const PanelPlace& place, const std::byte* codes,
                                       std::int64_t bytes, std::int64_t rows) {
  const bool last = place.panel + 1 >= panel_count(place.product.weight.n);
  return last || rows < kReadAheadRows ? Ahead{} : Ahead{codes + bytes, bytes};
}

/// How outputs are divided: item i is panel i / groups, rows of group i % groups. Few panels leave
/// threads without work unless rows are divided too.
struct Division {
  std::int64_t panels;
  std::int64_t rows;
  std::int64_t group_rows;
  std::int64_t groups;

  explicit Division(const LinearCall& call)
      : panels(all_panels(call)),
        rows(call.x.rows),
        group_rows(panels >= std::int64_t{4} * call.pool.threads() ? 256 : 48),
        groups((rows + group_rows - 1) / group_rows) {}

  [[nodiscard]] std::int64_t items() const { return panels * groups; }
  [[nodiscard]] std::int64_t first_row(std::int64_t item) const {
    return item % groups * group_rows;
  }
  [[nodiscard]] std::int64_t row_count(std::int64_t item) const {
    return std::min(group_rows, rows - first_row(item));
  }
};

}  // namespace assay::kernels::cpu
