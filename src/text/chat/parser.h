#pragma once

#include <string>
#include <string_view>

#include "text/chat/ast.h"

namespace assay::text::chat {

/// The statements of a template. bad_data naming `name` and the line: malformed, nested deeper than
/// kMaxSyntaxDepth, or with a tag that chat templates have no use for (include, extends, ...).
[[nodiscard]] Block parse_template(std::string_view source, const std::string& name);

}  // namespace assay::text::chat
