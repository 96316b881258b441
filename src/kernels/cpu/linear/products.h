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

/// Whether a pass over so few elements of x is done before a second thread would have woken.
[[nodiscard]] constexpr bool is_serial(std::int64_t elements) { return elements < 1 << 14; }

/// Rows of x that stay in the second cache while all panels pass by.
inline constexpr std::int64_t kNearBytes = std::int64_t{5} << 18;

/// How outputs are divided into items: a panel and a group of rows. Few panels leave threads
/// without work unless rows are divided too. Where x is larger than the second cache, a group meets
/// all panels before the next one begins: panels are read once for a group, which is less than x
/// once for a panel.
struct Division {
  std::int64_t panels;
  std::int64_t rows;
  bool rows_first;  ///< items count through the panels of a group, not the groups of a panel
  std::int64_t group_rows;
  std::int64_t groups;

  /// row_bytes: of x as it is multiplied. decoded: panels are decoded for every item.
  Division(const LinearCall& call, std::int64_t row_bytes, bool decoded)
      : panels(all_panels(call)),
        rows(call.x.rows),
        rows_first(rows * row_bytes > kNearBytes),
        group_rows(rows_of_group(call, row_bytes, decoded)),
        groups((rows + group_rows - 1) / group_rows) {}

  [[nodiscard]] std::int64_t items() const { return panels * groups; }
  [[nodiscard]] std::int64_t panel(std::int64_t item) const {
    return rows_first ? item % panels : item / groups;
  }
  [[nodiscard]] std::int64_t first_row(std::int64_t item) const {
    return (rows_first ? item / panels : item % groups) * group_rows;
  }
  [[nodiscard]] std::int64_t row_count(std::int64_t item) const {
    return std::min(group_rows, rows - first_row(item));
  }

 private:
  [[nodiscard]] std::int64_t rows_of_group(const LinearCall& call, std::int64_t row_bytes,
                                           bool decoded) const {
    constexpr std::int64_t kFew = 48, kMany = 256;
    if (panels < std::int64_t{4} * call.pool.threads()) return kFew;
    if (!rows_first || decoded) return kMany;
    const std::int64_t near = kNearBytes / row_bytes / kSummedRows * kSummedRows;
    return std::clamp(near, kSummedRows, kMany);
  }
};

}  // namespace assay::kernels::cpu
