#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "base/json.h"

namespace assay::text {

/// Reads one JSON object key by key and knows in the end which keys nobody asked for. Errors are
/// bad_data and name the place ("tokenizer.json: model.unk_token").
class Fields {
 public:
  /// `where` names the object; bad_data if `object` is none.
  Fields(const Json& object, std::string where);

  /// The value of `key`; nullptr if it is absent or null.
  [[nodiscard]] const Json* find(const std::string& key);
  /// As find, but bad_data if absent or null.
  [[nodiscard]] const Json& at(const std::string& key);
  [[nodiscard]] bool boolean(const std::string& key, bool otherwise);
  [[nodiscard]] std::string text(const std::string& key);
  [[nodiscard]] std::string text(const std::string& key, std::string_view otherwise);
  [[nodiscard]] std::int64_t integer(const std::string& key, std::int64_t otherwise);
  [[nodiscard]] const Json& array(const std::string& key);

  /// Marks a key as known and of no effect on ids.
  void ignore(const std::string& key) { seen_.insert(key); }
  /// bad_data naming the first key that was never asked for: it might change the ids.
  void finish() const;

  [[nodiscard]] std::string place(const std::string& key) const;
  [[nodiscard]] const std::string& where() const { return where_; }

 private:
  const Json* object_;
  std::string where_;
  std::set<std::string> seen_;
};

/// The string in `value`; bad_data naming `where` if it is none.
[[nodiscard]] const std::string& as_text(const Json& value, const std::string& where);
/// The integer in `value`, in the range of int64.
[[nodiscard]] std::int64_t as_integer(const Json& value, const std::string& where);

}  // namespace assay::text
