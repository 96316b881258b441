#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "precision/recipe.h"

// How rules select layers.
namespace assay::precision {

/// Blocks by position: "first 5, last 5", "0-3,7", any mix, separated by commas.
class BlockSet {
 public:
  /// Usage error that names `where`.
  [[nodiscard]] static BlockSet parse(std::string_view text, const std::string& where);

  /// The indices below `blocks` that are in the set, ascending, each once. What exceeds the model
  /// is told in `notices`, and that parts overlap.
  [[nodiscard]] std::vector<bool> resolve(int blocks, const std::string& where,
                                          std::vector<std::string>& notices) const;
  /// Canonical text: parts as written, in order, without spaces that have no meaning.
  [[nodiscard]] std::string text() const;

 private:
  enum class Kind { first, last, range };
  struct Part {
    Kind kind = Kind::range;
    int from = 0;  ///< range; else the count
    int to = 0;
  };
  [[nodiscard]] static std::string text_of(const Part& part);
  std::vector<Part> parts_;
};

/// A regular expression (PCRE2) that matches from the start of a name, as Python's re.match.
class Regex {
 public:
  /// Usage error that names `where` and the position in the pattern.
  Regex(const std::string& pattern, const std::string& where);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  [[nodiscard]] bool matches(std::string_view name) const;

 private:
  struct Code;
  std::unique_ptr<Code> code_;
};

/// A rule's `match`: a class, a glob over the whole name (*, ?, [...]), or "re:...".
class NamePattern {
 public:
  NamePattern(const std::string& text, const std::string& where);
  [[nodiscard]] bool matches(const LayerInfo& layer) const;

 private:
  std::optional<LayerClass> class_;
  std::string glob_;
  std::optional<Regex> regex_;
};

/// An entry of llm_int8_skip_modules, with the meaning it has in transformers: a regular expression
/// up to a module's border, or the end of the name.
class SkipPattern {
 public:
  SkipPattern(const std::string& text, const std::string& where);
  [[nodiscard]] bool matches(std::string_view name) const;
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
  Regex regex_;
};

/// The error for a pattern that matches no layer: near class, module and layer names.
[[noreturn]] void fail_no_match(const std::string& pattern, std::span<const LayerInfo> model,
                                const std::string& where);

}  // namespace assay::precision
