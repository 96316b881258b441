#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace assay::report {

/// Columns that a text takes on a terminal: wide characters two, combining ones none. Bytes that
/// are no UTF-8 take one each.
[[nodiscard]] std::size_t display_width(std::string_view text);

/// A grid of texts with a title for each column.
struct Grid {
  struct Column {
    std::string title;
    bool right = false;  ///< numbers stand at the right
  };
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> lines;

  /// Without the columns in which every line is empty.
  [[nodiscard]] Grid compact() const;
  /// For terminals: columns two spaces apart, a rule under the titles.
  [[nodiscard]] std::string plain() const;
  /// A GitHub table; '|' in a text is escaped.
  [[nodiscard]] std::string markdown() const;
};

/// Notes under a table, each once: add() gives the mark to put where the note belongs.
class Notes {
 public:
  [[nodiscard]] std::string add(const std::string& note);
  /// One line a note, with its mark.
  [[nodiscard]] std::string lines(bool markdown) const;

 private:
  std::vector<std::string> notes_;
};

}  // namespace assay::report
