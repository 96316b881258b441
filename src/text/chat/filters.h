#pragma once

#include <span>

#include "text/chat/run.h"

namespace assay::text::chat {

struct FilterRow {
  std::string_view name;
  Value (*call)(Run&, const Value&, const Arguments&);
};

[[nodiscard]] std::span<const FilterRow> text_filters();
[[nodiscard]] std::span<const FilterRow> number_filters();
[[nodiscard]] std::span<const FilterRow> list_filters();
[[nodiscard]] std::span<const FilterRow> selecting_filters();

/// "a.b.0" looked up in `value` step by step; `value` itself where `path` is null.
[[nodiscard]] Value at_path(Run& run, const Value& value, const Value* path);
/// Texts in lower case, everything else as it is.
[[nodiscard]] Value without_case(Run& run, const Value& value);

}  // namespace assay::text::chat
