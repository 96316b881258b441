#include "files/table_file.h"

#include <charconv>
#include <string_view>

#include "base/io.h"
#include "base/utf8.h"
#include "files/field_error.h"

namespace assay::files {

namespace {

/// Where the two columns stand, of how many.
struct Columns {
  std::size_t text = 0;
  std::size_t label = 0;
  std::size_t count = 0;
};

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> fields;
  while (true) {
    const std::size_t tab = line.find('\t');
    fields.push_back(line.substr(0, tab));
    if (tab == std::string_view::npos) return fields;
    line.remove_prefix(tab + 1);
  }
}

/// Takes the next line, without its end ("\n" or "\r\n"), from the front of `rest`.
std::string_view take_line(std::string_view& rest) {
  const std::size_t end = rest.find('\n');
  std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

class TableReader {
 public:
  explicit TableReader(const std::filesystem::path& path) : path_(path) {}

  std::vector<LabelledText> read() {
    const std::string content = base::read_text(path_);
    std::string_view rest = content;
    if (rest.starts_with("\xef\xbb\xbf")) rest.remove_prefix(3);
    const Columns columns = read_header(take_line(rest));
    std::vector<LabelledText> rows;
    while (!rest.empty()) {
      ++line_;
      rows.push_back(read_row(take_line(rest), columns));
    }
    if (rows.empty()) fail_line("there are no rows under the header");
    return rows;
  }

 private:
  template <typename... Args>
  [[noreturn]] void fail_line(fmt::format_string<Args...> format, Args&&... args) const {
    fail(ErrorCode::bad_data, "{}: line {}: {}", shown(path_), line_,
         fmt::format(format, std::forward<Args>(args)...));
  }

  [[nodiscard]] Columns read_header(std::string_view line) const {
    constexpr std::size_t kNone = static_cast<std::size_t>(-1);
    const std::vector<std::string_view> names = split(line);
    Columns columns{kNone, kNone, names.size()};
    for (std::size_t i = 0; i < names.size(); ++i) {
      const bool text = names[i] == "sentence" || names[i] == "text";
      if (!text && names[i] != "label") continue;
      std::size_t& column = text ? columns.text : columns.label;
      if (column != kNone) fail_line("more than one {} column", text ? "text" : "label");
      column = i;
    }
    if (columns.text == kNone || columns.label == kNone) {
      fail_line(
          "the header must name a column `sentence` or `text` and a column `label`, "
          "separated by tabs; it is '{}'",
          base::printable(line));
    }
    return columns;
  }

  [[nodiscard]] LabelledText read_row(std::string_view line, const Columns& columns) const {
    const std::vector<std::string_view> fields = split(line);
    if (fields.size() != columns.count) {
      fail_line("{} columns, but the header names {}", fields.size(), columns.count);
    }
    const std::string_view text = fields[columns.text];
    if (!base::is_utf8(text)) fail_line("the text is not UTF-8");
    return {std::string(text), read_label(fields[columns.label])};
  }

  [[nodiscard]] int read_label(std::string_view text) const {
    int label = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), label);
    if (error != std::errc() || end != text.data() + text.size() || label < 0) {
      fail_line("the label '{}' is not an integer from 0", base::printable(text, 40));
    }
    return label;
  }

  const std::filesystem::path& path_;
  std::size_t line_ = 1;
};

}  // namespace

std::vector<LabelledText> read_labelled_tsv(const std::filesystem::path& path) {
  return TableReader(path).read();
}

}  // namespace assay::files
