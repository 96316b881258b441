#include "precision/match.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "base/io.h"
#include "base/names.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace assay::precision {
namespace {

constexpr std::array<LayerClass, 4> kClasses = {LayerClass::mlp, LayerClass::attention,
                                                LayerClass::embeddings, LayerClass::head};
/// Rules come from files of others: a pattern gives up rather than run for minutes.
constexpr std::uint32_t kMatchLimit = 100'000;

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// A block number or count: digits only, at most a million.
std::optional<int> number(std::string_view text) {
  text = trimmed(text);
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool good = error == std::errc() && end == text.data() + text.size() && value >= 0 &&
                    value <= 1'000'000 && !text.empty();
  return good ? std::optional(value) : std::nullopt;
}

/// Letters, digits, '_' and '.' of a pattern: what can be compared with names.
std::string literal_part(const std::string& pattern) {
  std::string text;
  const std::size_t start = pattern.starts_with("re:") ? 3 : 0;
  for (const char c : pattern.substr(start)) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.') text += c;
  }
  const std::size_t first = text.find_first_not_of('.');
  return first == std::string::npos ? std::string() : text.substr(first);
}

}  // namespace

BlockSet BlockSet::parse(std::string_view text, const std::string& where) {
  BlockSet set;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    const std::string_view part = trimmed(text.substr(begin, comma - begin));
    begin = comma + 1;
    std::optional<int> from;
    std::optional<int> to;
    Kind kind = Kind::range;
    if (part.starts_with("first ") || part.starts_with("last ")) {
      kind = part.starts_with("first ") ? Kind::first : Kind::last;
      from = to = number(part.substr(part.find(' ')));
      if (from == 0) from.reset();
    } else {
      const std::size_t dash = part.find('-');
      from = number(part.substr(0, dash));
      to = dash == std::string_view::npos ? from : number(part.substr(dash + 1));
    }
    if (!from || !to || *from > *to) {
      fail(ErrorCode::usage, "{}: '{}' selects no layers; write \"first 5, last 5\" or \"0-3,7\"",
           where, base::printable(part.empty() ? text : part));
    }
    set.parts_.push_back({kind, *from, *to});
  }
  return set;
}

std::string BlockSet::text_of(const Part& part) {
  if (part.kind == Kind::first) return fmt::format("first {}", part.from);
  if (part.kind == Kind::last) return fmt::format("last {}", part.from);
  if (part.from == part.to) return std::to_string(part.from);
  return fmt::format("{}-{}", part.from, part.to);
}

std::string BlockSet::text() const {
  std::string text;
  for (const Part& part : parts_) text += (text.empty() ? "" : ",") + text_of(part);
  return text;
}

std::vector<bool> BlockSet::resolve(int blocks, const std::string& where,
                                    std::vector<std::string>& notices) const {
  std::vector<bool> chosen(static_cast<std::size_t>(blocks), false);
  int twice = 0;
  for (const Part& part : parts_) {
    int begin = part.kind == Kind::last ? blocks - part.from : part.from;
    int end = part.kind == Kind::range ? part.to + 1 : blocks;
    if (part.kind == Kind::first) {
      begin = 0;
      end = part.from;
    }
    if (begin < 0 || end > blocks) {
      notices.push_back(
          fmt::format("{}: '{}' exceeds the model's {} blocks", where, text_of(part), blocks));
    }
    for (int i = std::max(begin, 0); i < std::min(end, blocks); ++i) {
      if (chosen[static_cast<std::size_t>(i)]) ++twice;
      chosen[static_cast<std::size_t>(i)] = true;
    }
  }
  if (twice > 0) {
    notices.push_back(fmt::format("{}: '{}' overlaps in {} of the model's {} blocks", where, text(),
                                  twice, blocks));
  }
  return chosen;
}

struct Regex::Code {
  pcre2_code* code = nullptr;
  pcre2_match_data* match = nullptr;
  pcre2_match_context* context = nullptr;
  Code() = default;
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
  ~Code() {
    pcre2_match_context_free(context);
    pcre2_match_data_free(match);
    pcre2_code_free(code);
  }
};

Regex::Regex(const std::string& pattern, const std::string& where)
    : code_(std::make_unique<Code>()) {
  int error = 0;
  PCRE2_SIZE at = 0;
  code_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                              PCRE2_ANCHORED | PCRE2_NEVER_BACKSLASH_C, &error, &at, nullptr);
  if (code_->code == nullptr) {
    std::array<PCRE2_UCHAR, 160> message{};
    pcre2_get_error_message(error, message.data(), message.size());
    fail(ErrorCode::usage, "{}: the regular expression '{}' is wrong at character {}: {}", where,
         base::printable(pattern), at, reinterpret_cast<const char*>(message.data()));
  }
  code_->match = pcre2_match_data_create_from_pattern(code_->code, nullptr);
  code_->context = pcre2_match_context_create(nullptr);
  if (code_->match == nullptr || code_->context == nullptr) {
    fail(ErrorCode::out_of_memory, "cannot allocate a regular expression");
  }
  pcre2_set_match_limit(code_->context, kMatchLimit);
}

Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

bool Regex::matches(std::string_view name) const {
  const int found = pcre2_match(code_->code, reinterpret_cast<PCRE2_SPTR>(name.data()), name.size(),
                                0, 0, code_->match, code_->context);
  if (found >= 0) return true;
  if (found == PCRE2_ERROR_NOMATCH) return false;
  fail(ErrorCode::usage,
       "a regular expression takes too long on '{}'; write it without nested "
       "repetitions",
       base::printable(name));
}

NamePattern::NamePattern(const std::string& text, const std::string& where) {
  for (const LayerClass c : kClasses) {
    if (name_of(c) == text) class_ = c;
  }
  if (class_) return;
  if (text.starts_with("re:")) {
    regex_.emplace(text.substr(3), where);
  } else {
    glob_ = text;
  }
}

bool NamePattern::matches(const LayerInfo& layer) const {
  if (class_) return layer.layer_class == *class_;
  if (regex_) return regex_->matches(layer.name);
  return fnmatch(glob_.c_str(), layer.name.c_str(), 0) == 0;
}

SkipPattern::SkipPattern(const std::string& text, const std::string& where)
    : text_(text), regex_("(?:" + text + R"re()(?:(?<=\.)|(?=\.|$)))re", where) {}

bool SkipPattern::matches(std::string_view name) const {
  return regex_.matches(name) || name.ends_with(text_);
}

void fail_no_match(const std::string& pattern, std::span<const LayerInfo> model,
                   const std::string& where) {
  std::set<std::string> classes;
  std::set<std::string> modules;
  for (const LayerInfo& layer : model) {
    if (layer.layer_class != LayerClass::other) classes.emplace(name_of(layer.layer_class));
    modules.insert(layer.name.substr(layer.name.rfind('.') + 1));
  }
  std::vector<std::string> known(classes.begin(), classes.end());
  known.insert(known.end(), modules.begin(), modules.end());
  for (const LayerInfo& layer : model) known.push_back(layer.name);
  std::string near = base::did_you_mean(literal_part(pattern), known);
  if (near.empty()) {
    std::vector<std::string> some(modules.begin(), modules.end());
    some.resize(std::min<std::size_t>(some.size(), 12));
    near = fmt::format("; the model has {} and the modules {}", fmt::join(classes, ", "),
                       base::printable(fmt::format("{}", fmt::join(some, ", "))));
  }
  fail(ErrorCode::usage, "{}: '{}' matches no layer of the model{}", where,
       base::printable(pattern), near);
}

}  // namespace assay::precision
