#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "files/records.h"

namespace assay::tasks {

/// Fields of one JSONL record by name; a dot leads into an object ("choices.text"). Every error is
/// bad_data with file and line.
class ChoiceFields {
 public:
  /// Both must outlive this.
  ChoiceFields(const files::JsonRecord& record, const std::filesystem::path& file)
      : record_(record), file_(file) {}

  /// A text; numbers and flags as JSON writes them.
  [[nodiscard]] std::string text(const std::string& name) const;
  /// At least two texts.
  [[nodiscard]] std::vector<std::string> texts(const std::string& name) const;
  /// Which of the choices is right: a number from 0 (or the same as text), a letter from A, or the
  /// choice's own text.
  [[nodiscard]] int gold(const std::string& name, const std::vector<std::string>& choices) const;
  [[noreturn]] void fail_here(const std::string& what) const;

 private:
  [[nodiscard]] const Json& field(const std::string& name) const;
  [[nodiscard]] std::string as_text(const Json& value, const std::string& name) const;
  const files::JsonRecord& record_;
  const std::filesystem::path& file_;
};

}  // namespace assay::tasks
