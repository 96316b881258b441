#include "base/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <sstream>
#include <utility>
#include <vector>

#include "base/io.h"
#include "base/utf8.h"

namespace assay::base {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{1} << 20;
/// With all aliases expanded: more than any file has without them, and room for those that are
/// meant.
constexpr std::size_t kFreeNodes = 10'000;
constexpr std::size_t kNodesPerByte = 2;
constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxPointers = std::size_t{16} << 20;

/// A place in the document, for messages.
struct Place {
  const std::string& source;
  int line;
};

template <typename... Args>
[[noreturn]] void fail_at(const Place& place, fmt::format_string<Args...> format, Args&&... args) {
  fail(ErrorCode::usage, "{} line {}: {}", place.source, place.line,
       fmt::format(format, std::forward<Args>(args)...));
}

bool one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  for (const std::string_view word : words) {
    if (text == word) return true;
  }
  return false;
}

std::size_t digits_from(std::string_view text, std::size_t at) {
  const std::size_t end = text.find_first_not_of("0123456789", at);
  return (end == std::string_view::npos ? text.size() : end) - at;
}

/// [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?, the core schema's floats;
/// `integer` tells whether it is [-+]? [0-9]+ only.
bool is_decimal(std::string_view text, bool& integer) {
  std::size_t at = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  const std::size_t whole = digits_from(text, at);
  at += whole;
  integer = whole > 0 && at == text.size();
  std::size_t fraction = 0;
  if (at < text.size() && text[at] == '.') {
    fraction = digits_from(text, ++at);
    at += fraction;
  }
  if (whole + fraction == 0) return false;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
    const std::size_t exponent = digits_from(text, at);
    if (exponent == 0) return false;
    at += exponent;
  }
  return at == text.size();
}

Json integer_value(const std::string& text, int base, const Place& place) {
  errno = 0;
  char* end = nullptr;
  const char* first = text.c_str() + (base == 10 ? 0 : 2);
  const long long value = std::strtoll(first, &end, base);
  if (errno != 0) fail_at(place, "the number {} is out of range", printable(text));
  return value;
}

Json plain_value(const std::string& text, const Place& place) {
  if (one_of(text, {"", "~", "null", "Null", "NULL"})) return nullptr;
  if (one_of(text, {"true", "True", "TRUE"})) return true;
  if (one_of(text, {"false", "False", "FALSE"})) return false;
  const std::string_view view = text;
  const std::string_view rest = view.substr(std::min<std::size_t>(2, view.size()));
  if (view.substr(0, 2) == "0x" && !rest.empty() &&
      rest.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos) {
    return integer_value(text, 16, place);
  }
  if (view.substr(0, 2) == "0o" && !rest.empty() &&
      rest.find_first_not_of("01234567") == std::string_view::npos) {
    return integer_value(text, 8, place);
  }
  const std::string_view magnitude =
      view.substr(!view.empty() && (view[0] == '-' || view[0] == '+') ? 1 : 0);
  if (one_of(magnitude, {".inf", ".Inf", ".INF"}) || one_of(view, {".nan", ".NaN", ".NAN"})) {
    fail_at(place, "{} is not a finite number", text);
  }
  bool integer = false;
  if (!is_decimal(view, integer)) return text;
  if (integer) return integer_value(text, 10, place);
  const double value = std::strtod(text.c_str(), nullptr);
  if (!std::isfinite(value)) fail_at(place, "the number {} is out of range", printable(text));
  return value;
}

std::size_t depth_of(const Json& value) {
  std::size_t deepest = 0;
  if (value.is_structured()) {
    for (const Json& child : value) deepest = std::max(deepest, depth_of(child));
  }
  return value.is_structured() ? deepest + 1 : 0;
}

std::string pointer_token(std::string_view key) {
  std::string token = "/";
  for (const char c : key) {
    if (c == '~') {
      token += "~0";
    } else if (c == '/') {
      token += "~1";
    } else {
      token += c;
    }
  }
  return token;
}

/// Builds the JSON from the parser's events, so that every node keeps its place.
class Builder : public YAML::EventHandler {
 public:
  Builder(const std::string& source, std::size_t bytes)
      : source_(source), most_nodes_(kFreeNodes + kNodesPerByte * bytes) {}

  YamlDocument take() && { return std::move(document_); }

  void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    begin_node(mark, "null");
    add(nullptr, anchor, 1);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    const Place at = place(mark);
    if (!is_utf8(value)) fail_at(at, "'{}' is not UTF-8", printable(value));
    if (awaits_key()) {
      take_key(value, at);
      return;
    }
    begin_node(mark, "a value");
    const bool text = tag == "!" || tag == "tag:yaml.org,2002:str";
    if (!text && tag != "?") fail_at(at, "the tag {} is not known", printable(tag));
    // A string weighs by its length, or aliases of a long one would not be bounded.
    add(text ? Json(value) : plain_value(value, at), anchor, 1 + value.size() / 32);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    begin_node(mark, "an alias");
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) fail_at(place(mark), "an alias inside of its own anchor");
    const Anchor target = found->second;
    if (frames_.size() + target.depth > kMaxDepth) {
      fail_at(place(mark), "nested deeper than {} by an alias", kMaxDepth);
    }
    add(target.value, 0, target.weight);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open(mark, tag, anchor, Json::array());
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    open(mark, tag, anchor, Json::object());
  }
  void OnMapEnd() override { close(); }

 private:
  struct Frame {
    Json value;
    std::string pointer;
    YAML::anchor_t anchor = 0;
    std::string key;
    bool has_key = false;
    int key_line = 0;
    std::size_t weight_before = 0;
  };
  struct Anchor {
    Json value;
    std::size_t weight = 0;
    std::size_t depth = 0;
  };

  [[nodiscard]] Place place(const YAML::Mark& mark) {
    last_line_ = mark.line + 1;
    return {source_, last_line_};
  }
  [[nodiscard]] bool awaits_key() const {
    return !frames_.empty() && frames_.back().value.is_object() && !frames_.back().has_key;
  }

  void take_key(const std::string& key, const Place& at) {
    Frame& frame = frames_.back();
    if (frame.value.contains(key)) fail_at(at, "the key '{}' stands twice", printable(key));
    frame.key = key;
    frame.has_key = true;
    frame.key_line = at.line;
  }

  /// Pointer of the node that starts here; notes its line.
  std::string begin_node(const YAML::Mark& mark, const char* what) {
    const Place at = place(mark);
    if (awaits_key()) fail_at(at, "a key must be a plain word, not {}", what);
    std::string pointer;
    int line = at.line;
    if (!frames_.empty()) {
      const Frame& frame = frames_.back();
      const bool in_map = frame.value.is_object();
      pointer =
          frame.pointer + pointer_token(in_map ? frame.key : std::to_string(frame.value.size()));
      if (in_map) line = frame.key_line;
    }
    // Every node's pointer repeats the keys above it, which may be long.
    pointer_bytes_ += pointer.size();
    if (pointer_bytes_ > kMaxPointers) fail_at(at, "too many values under keys as long as these");
    document_.lines.emplace(pointer, line);
    return pointer;
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Json empty) {
    const std::string pointer = begin_node(mark, "a list or mapping");
    const Place at = place(mark);
    if (tag != "?" && tag != "!" && !tag.empty()) {
      fail_at(at, "the tag {} is not known", printable(tag));
    }
    if (frames_.size() >= kMaxDepth) fail_at(at, "nested deeper than {}", kMaxDepth);
    Frame frame;
    frame.value = std::move(empty);
    frame.pointer = pointer;
    frame.anchor = anchor;
    frame.weight_before = weight_;
    frames_.push_back(std::move(frame));
  }

  void close() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    add(std::move(frame.value), frame.anchor, 1, weight_ - frame.weight_before);
  }

  /// Hangs a complete node into its parent. `inside`: weight of its children, counted already.
  void add(Json value, YAML::anchor_t anchor, std::size_t weight, std::size_t inside = 0) {
    weight_ += weight;
    if (anchor != 0) weight_ += weight + inside;  // its copy
    if (weight_ > most_nodes_) {
      fail_at({source_, last_line_}, "more than {} nodes with all aliases expanded", most_nodes_);
    }
    if (anchor != 0) anchors_[anchor] = {value, weight + inside, depth_of(value)};
    if (frames_.empty()) {
      document_.value = std::move(value);
      return;
    }
    Frame& parent = frames_.back();
    if (parent.value.is_array()) {
      parent.value.push_back(std::move(value));
    } else {
      parent.value[parent.key] = std::move(value);
      parent.has_key = false;
    }
  }

  const std::string& source_;
  std::size_t most_nodes_;
  YamlDocument document_;
  std::vector<Frame> frames_;
  std::map<YAML::anchor_t, Anchor> anchors_;
  std::size_t weight_ = 0;
  std::size_t pointer_bytes_ = 0;
  int last_line_ = 1;
};

}  // namespace

int YamlDocument::line(const std::string& pointer) const {
  for (std::string at = pointer;; at.resize(at.rfind('/'))) {
    const auto found = lines.find(at);
    if (found != lines.end()) return found->second;
    if (at.empty() || at.rfind('/') == std::string::npos) return 1;
  }
}

YamlDocument parse_yaml(std::string_view text, const std::string& source) {
  if (text.size() > kMaxBytes) {
    fail(ErrorCode::usage, "{}: more than {} bytes of YAML", source, kMaxBytes);
  }
  std::istringstream stream{std::string(text)};
  Builder builder(source, text.size());
  try {
    YAML::Parser parser(stream);
    parser.HandleNextDocument(builder);
    Builder second(source, text.size());
    if (parser.HandleNextDocument(second)) {
      fail(ErrorCode::usage, "{}: one YAML document expected, there is a second one", source);
    }
  } catch (const YAML::Exception& error) {
    const int line = error.mark.is_null() ? 1 : error.mark.line + 1;
    fail_at({source, line}, "{}", printable(error.msg));
  }
  return std::move(builder).take();
}

YamlDocument read_yaml(const std::filesystem::path& file) {
  return parse_yaml(read_text(file, kMaxBytes), file.string());
}

}  // namespace assay::base
