#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace assay::models {

/// Checked access to a flat object of untrusted keys. Every error is bad_data and names the source
/// ("config.json") and the key. A key whose value is null counts as absent.
class ConfigReader {
 public:
  ConfigReader(const Json& object, std::string source);

  [[nodiscard]] const Json* find(std::string_view key) const;
  /// There, though it may be null.
  [[nodiscard]] bool contains(std::string_view key) const { return object_.contains(key); }
  [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t lowest,
                                     std::int64_t highest,
                                     std::optional<std::int64_t> fallback = std::nullopt) const;
  /// A finite number in [lowest, highest].
  [[nodiscard]] double number(std::string_view key, double lowest, double highest,
                              std::optional<double> fallback = std::nullopt) const;
  [[nodiscard]] std::string text(std::string_view key,
                                 std::optional<std::string> fallback = std::nullopt) const;
  [[nodiscard]] bool flag(std::string_view key, bool fallback) const;

  /// Throws bad_data "<source>: '<key>' <problem>".
  [[noreturn]] void refuse(std::string_view key, std::string_view problem) const;
  /// The value as one short line, for messages.
  [[nodiscard]] static std::string shown(const Json& value);
  [[nodiscard]] const std::string& source() const { return source_; }

 private:
  const Json& object_;
  std::string source_;
};

}  // namespace assay::models
