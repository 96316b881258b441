#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "text/regex.h"

namespace assay::text {

/// Every occurrence of a literal, or every match of a pattern, becomes `content`.
struct Replacement {
  std::string literal;  ///< used where there is no pattern; an empty one occurs nowhere
  std::shared_ptr<const Regex> pattern;
  std::string content;
};

/// For a pattern, bytes of `text` that are no UTF-8 become U+FFFD first.
[[nodiscard]] std::string replace(const Replacement& step, std::string_view text);

}  // namespace assay::text
