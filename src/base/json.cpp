#include "base/json.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "base/io.h"
#include "base/json_events.h"

namespace assay::base {

namespace {

constexpr int kMaxDepth = 64;
constexpr std::size_t kMaxString = std::size_t{8} << 20;
constexpr std::size_t kMaxRun = std::size_t{1} << 20;
constexpr std::size_t kMaxValues = std::size_t{8} << 20;

/// The parser keeps every token and every gap whole, several times over in an error message; so
/// their lengths, and the depth, are bounded before it starts.
void check_limits(std::string_view text, const std::string& source, std::size_t offset) {
  constexpr std::string_view kStructure = "\"{}[],:";
  int depth = 0;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t begin = i;
    const char c = text[i++];
    if (c == '"') {
      while (i < text.size() && text[i] != '"') i += text[i] == '\\' ? 2 : 1;
      if (i - begin > kMaxString) {
        fail(ErrorCode::bad_data, "{} at byte {}: a string of more than {} bytes", source,
             offset + begin, kMaxString);
      }
      ++i;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) {
        fail(ErrorCode::bad_data, "{} at byte {}: nested deeper than {}", source, offset + begin,
             kMaxDepth);
      }
    } else if (c == '}' || c == ']') {
      --depth;
    } else if (c != ',' && c != ':') {
      while (i < text.size() && kStructure.find(text[i]) == std::string_view::npos) ++i;
      if (i - begin > kMaxRun) {
        fail(ErrorCode::bad_data, "{} at byte {}: a number, word or gap of more than {} bytes",
             source, offset + begin, kMaxRun);
      }
    }
  }
}

/// Tells outside how far the parser has read, which its callbacks do not.
class TrackedIterator {
 public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  TrackedIterator(const char* at, const char** consumed) : at_(at), consumed_(consumed) {}
  reference operator*() const { return *at_; }
  TrackedIterator& operator++() {
    *consumed_ = ++at_;
    return *this;
  }
  TrackedIterator operator++(int) {
    TrackedIterator old = *this;
    ++*this;
    return old;
  }
  friend bool operator==(const TrackedIterator& a, const TrackedIterator& b) {
    return a.at_ == b.at_;
  }

 private:
  const char* at_;
  const char** consumed_;
};

/// Start of the string literal whose closing quote is the last character of `text`.
std::size_t literal_start(std::string_view text) {
  std::size_t quote = text.size() - 1;
  while (quote > 0) {
    quote = text.find_last_of('"', quote - 1);
    if (quote == std::string_view::npos || quote == 0) return 0;
    const std::size_t before = text.find_last_not_of('\\', quote - 1);
    const std::size_t escapes = before == std::string_view::npos ? quote : quote - 1 - before;
    if (escapes % 2 == 0) return quote;
  }
  return 0;
}

/// nlohmann's SAX interface on one side, JsonEvents on the other.
class Bridge {
 public:
  Bridge(std::string_view text, const std::string& source, JsonEvents& events, std::size_t offset)
      : text_(text), source_(source), events_(events), offset_(offset) {}

  void run() {
    consumed_ = text_.data();
    Json::sax_parse(TrackedIterator(text_.data(), &consumed_),
                    TrackedIterator(text_.data() + text_.size(), &consumed_), this);
  }

  bool null() { return scalar(nullptr); }
  bool boolean(bool value) { return scalar(value); }
  bool number_integer(std::int64_t value) { return scalar(value); }
  bool number_unsigned(std::uint64_t value) { return scalar(value); }
  bool number_float(double value, const std::string& /*text*/) { return scalar(value); }
  // Copied, not moved: the parser would have to grow its buffer anew, and leave its slack to us.
  bool string(const std::string& value) { return scalar(value); }
  bool binary(Json::binary_t& /*value*/) { return false; }
  bool start_object(std::size_t /*size*/) {
    events_.begin_object();
    return true;
  }
  bool key(const std::string& name) {
    const auto end = static_cast<std::size_t>(consumed_ - text_.data());
    events_.key(std::string(name), offset_ + literal_start(text_.substr(0, end)));
    return true;
  }
  bool end_object() {
    events_.end_object();
    return true;
  }
  bool start_array(std::size_t /*size*/) {
    events_.begin_array();
    return true;
  }
  bool end_array() {
    events_.end_array();
    return true;
  }
  [[noreturn]] bool parse_error(std::size_t position, const std::string& /*token*/,
                                const Json::exception& error) {
    std::string_view what = error.what();
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error ..."
    const std::size_t id = what.find("] ");
    if (id != std::string_view::npos) what.remove_prefix(id + 2);
    const std::size_t column = what.find("column ");
    const std::size_t colon = column == std::string_view::npos ? column : what.find(": ", column);
    if (colon != std::string_view::npos) what.remove_prefix(colon + 2);
    const std::size_t at = std::min(position == 0 ? 0 : position - 1, text_.size());
    fail(ErrorCode::bad_data, "{} at byte {}: not valid JSON: {}", source_, offset_ + at,
         printable(what, 200));
  }

 private:
  bool scalar(Json value) {
    events_.scalar(std::move(value));
    return true;
  }

  std::string_view text_;
  const std::string& source_;
  JsonEvents& events_;
  std::size_t offset_;
  const char* consumed_ = nullptr;
};

/// Builds the document, one open container on the stack per level.
class Document : public JsonEvents {
 public:
  explicit Document(const std::string& source) : source_(source) {}

  void begin_object() override { open_.push_back(place(Json::object())); }
  void end_object() override { open_.pop_back(); }
  void begin_array() override { open_.push_back(place(Json::array())); }
  void end_array() override { open_.pop_back(); }
  void scalar(Json&& value) override { place(std::move(value)); }
  void key(std::string&& name, std::size_t position) override {
    auto& members = open_.back()->get_ref<Json::object_t&>();
    const auto [member, inserted] = members.try_emplace(std::move(name));
    if (!inserted) {
      fail(ErrorCode::bad_data, "{}: field '{}' at byte {}: the key is there twice", source_,
           printable(member->first), position);
    }
    member_ = &member->second;
  }

  Json take() { return std::move(root_); }

 private:
  Json* place(Json value) {
    if (++count_ > kMaxValues) {
      fail(ErrorCode::bad_data, "{}: holds more than {} values", source_, kMaxValues);
    }
    Json* slot = &root_;
    if (!open_.empty() && open_.back()->is_array()) {
      auto& elements = open_.back()->get_ref<Json::array_t&>();
      elements.push_back(std::move(value));
      return &elements.back();
    }
    if (!open_.empty()) slot = member_;
    *slot = std::move(value);
    return slot;
  }

  const std::string& source_;
  Json root_;
  std::vector<Json*> open_;
  Json* member_ = nullptr;
  std::size_t count_ = 0;
};

}  // namespace

void read_json_events(std::string_view text, const std::string& source, JsonEvents& events,
                      std::size_t offset) {
  const std::size_t last = text.find_last_not_of(" \t\r\n");
  text = text.substr(0, last == std::string_view::npos ? 0 : last + 1);
  check_limits(text, source, offset);
  Bridge(text, source, events, offset).run();
}

Json parse_json(std::string_view text, const std::string& source) {
  const std::string shown = printable(source, 1000);
  Document document(shown);
  read_json_events(text, shown + ":", document);
  return document.take();
}

Json read_json(const std::filesystem::path& file, std::size_t max_bytes) {
  return parse_json(read_text(file, max_bytes), file.native());
}

}  // namespace assay::base
