#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/unicode.h"

namespace assay::text {

/// Bytes of a pattern of PCRE2's; one of tokenizer.json counts with the members of its classes.
inline constexpr std::size_t kLongestPattern = std::size_t{1} << 16;

/// A pattern in the dialect of tokenizer.json (Oniguruma's Ruby syntax, Unicode classes) as one of
/// PCRE2's. What the two read differently is rewritten (\s, \w, \uXXXX, (?m)) or refused as
/// bad_data with `where` and the position ([a&&b], nested sets, \h, {1,3}+), never read with
/// another meaning. Stops at kLongestPattern.
[[nodiscard]] std::string translate_pattern(std::string_view pattern, const std::string& where);

/// The pattern that matches `literal` and nothing else.
[[nodiscard]] std::string literal_pattern(std::string_view literal);

/// A compiled splitting pattern (PCRE2 with Unicode properties, JIT where the system allows it).
/// Immutable; may be used by several threads at once.
class Regex {
 public:
  /// `pattern` is PCRE2's dialect. bad_data with `where` and the position if it does not compile.
  Regex(std::string_view pattern, const std::string& where);
  ~Regex();
  Regex(const Regex&) = delete;
  Regex& operator=(const Regex&) = delete;

  /// Appends all matches in `text` (valid UTF-8), left to right, not overlapping; positions count
  /// from the start of `text`. bad_data if the pattern exceeds its limits on this text, which takes
  /// a pattern with exponential backtracking.
  void find_all(std::string_view text, std::vector<Range>& matches) const;

 private:
  struct Code;
  std::unique_ptr<Code> code_;
};

}  // namespace assay::text
