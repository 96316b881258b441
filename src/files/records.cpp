#include "files/records.h"

#include <string_view>

#include "base/io.h"
#include "base/utf8.h"
#include "files/field_error.h"

namespace assay::files {
namespace {

class CsvReader {
 public:
  CsvReader(const std::filesystem::path& path, std::string_view text) : path_(path), text_(text) {}

  std::vector<CsvRecord> read() {
    std::vector<CsvRecord> records;
    while (at_ < text_.size()) {
      CsvRecord record = read_record();
      if (record.fields.size() > 1 || !record.fields.front().empty()) {
        records.push_back(std::move(record));
      }
    }
    return records;
  }

 private:
  template <typename... Args>
  [[noreturn]] void fail_line(std::size_t line, fmt::format_string<Args...> format,
                              Args&&... args) const {
    fail(ErrorCode::bad_data, "{}: line {}: {}", shown(path_), line,
         fmt::format(format, std::forward<Args>(args)...));
  }
  [[nodiscard]] bool at_line_end() const {
    return at_ >= text_.size() || text_[at_] == '\n' || text_.substr(at_).starts_with("\r\n");
  }
  void take_line_end() {
    if (at_ < text_.size() && text_[at_] == '\r') ++at_;
    if (at_ < text_.size()) ++at_;
    ++line_;
  }

  CsvRecord read_record() {
    CsvRecord record{.fields = {}, .line = line_};
    while (true) {
      record.fields.push_back(text_.substr(at_).starts_with('"') ? quoted() : plain());
      if (!base::is_utf8(record.fields.back())) fail_line(record.line, "the text is not UTF-8");
      if (at_line_end()) break;
      ++at_;  // the separator
    }
    take_line_end();
    return record;
  }

  std::string plain() {
    const std::size_t begin = at_;
    while (!at_line_end() && text_[at_] != ',') ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  std::string quoted() {
    const std::size_t opened = line_;
    std::string field;
    for (++at_;; ++at_) {
      if (at_ >= text_.size()) fail_line(opened, "a quote is opened here and never closed");
      if (text_[at_] == '"') {
        if (!text_.substr(at_ + 1).starts_with('"')) break;
        ++at_;
      }
      if (text_[at_] == '\n') ++line_;
      field += text_[at_];
    }
    ++at_;
    if (!at_line_end() && text_[at_] != ',') fail_line(line_, "text behind a closing quote");
    return field;
  }

  const std::filesystem::path& path_;
  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
};

std::string_view without_mark(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  return text;
}

}  // namespace

std::vector<CsvRecord> read_csv(const std::filesystem::path& path) {
  const std::string content = base::read_text(path);
  return CsvReader(path, without_mark(content)).read();
}

std::vector<JsonRecord> read_jsonl(const std::filesystem::path& path) {
  const std::string content = base::read_text(path);
  std::string_view rest = without_mark(content);
  std::vector<JsonRecord> records;
  for (std::size_t line = 1; !rest.empty(); ++line) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view text = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string place = fmt::format("{}: line {}", shown(path), line);
    if (!base::is_utf8(text)) fail(ErrorCode::bad_data, "{}: the text is not UTF-8", place);
    records.push_back({base::parse_json(text, place), line});
    if (!records.back().value.is_object()) {
      fail(ErrorCode::bad_data, "{}: a JSON object is needed", place);
    }
  }
  if (records.empty()) fail(ErrorCode::bad_data, "{}: there is nothing in it", shown(path));
  return records;
}

}  // namespace assay::files
