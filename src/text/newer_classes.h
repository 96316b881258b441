#pragma once

#include <string>
#include <string_view>

namespace assay::text {

/// What the reference's patterns find in a general category ("L", "Lu", ...) beyond Unicode 14.0,
/// by which PCRE2 10.42 goes: as members of a PCRE2 set. Empty for anything else.
[[nodiscard]] std::string newer_members(std::string_view category);

}  // namespace assay::text
