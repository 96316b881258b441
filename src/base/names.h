#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace assay::base {

/// Up to `most` of `known` that are nearest to `wanted` by edit distance, best first; for error
/// messages ("did you mean ...").
[[nodiscard]] std::vector<std::string> near_names(std::string_view wanted,
                                                  std::span<const std::string> known,
                                                  std::size_t most = 3);

/// "; did you mean a, b or c?" or an empty text.
[[nodiscard]] std::string did_you_mean(std::string_view wanted, std::span<const std::string> known);

}  // namespace assay::base
