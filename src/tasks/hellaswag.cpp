#include <algorithm>

#include "files/records.h"
#include "tasks/choice_fields.h"
#include "tasks/multiple_choice.h"
#include "text/unicode.h"

namespace assay::tasks {
namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

/// Python's re.sub(r"\[.*?\]", "", text): the shortest, not across lines.
std::string without_brackets(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::size_t open = std::min(text.find('['), text.size());
    result += text.substr(0, open);
    text.remove_prefix(open);
    if (text.empty()) break;
    const std::size_t close = text.find_first_of("]\n");
    const bool closed = close != std::string_view::npos && text[close] == ']';
    if (!closed) result += '[';
    text.remove_prefix(closed ? close + 1 : 1);
  }
  return result;
}

/// Python's str.capitalize, with simple case mappings: the first character in title case, the rest
/// in lower case.
std::string capitalize(std::string_view text) {
  std::u32string result;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = text::next_code_point(text, at);
    if (result.empty()) {
      result += text::to_title(c);
    } else {
      text::append_lower(result, c);
    }
  }
  return text::to_utf8(result);
}

}  // namespace

std::string hellaswag_text(std::string_view text) {
  std::string result(strip(text));
  replace_all(result, " [title]", ". ");
  result = without_brackets(result);
  replace_all(result, "  ", " ");
  return result;
}

ChoiceData read_hellaswag(const std::filesystem::path& file, int limit) {
  ChoiceData data{.task = "hellaswag", .items = {}, .source = file.string()};
  for (const files::JsonRecord& record : files::read_jsonl(file)) {
    if (limit > 0 && std::ssize(data.items) == limit) break;
    const ChoiceFields fields(record, file);
    ChoiceItem item;
    const bool ready = record.value.contains("query");
    if (ready) {
      item.context = fields.text("query");
    } else {
      item.context = hellaswag_text(fields.text("activity_label") + ": " + fields.text("ctx_a") +
                                    " " + capitalize(fields.text("ctx_b")));
    }
    for (const std::string& ending : fields.texts("endings")) {
      item.choices.push_back(ready ? ending : hellaswag_text(ending));
    }
    item.gold = fields.gold("label", item.choices);
    data.items.push_back(std::move(item));
  }
  return data;
}

}  // namespace assay::tasks
