#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/regex.h"

#include <pcre2.h>

#include <array>

#include "base/error.h"

namespace assay::text {
namespace pcre {

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};

}  // namespace pcre

namespace {

using pcre::Deleter;
using MatchData = std::unique_ptr<pcre2_match_data, Deleter<pcre2_match_data_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Deleter<pcre2_match_context_free>>;
using CompileContext = std::unique_ptr<pcre2_compile_context, Deleter<pcre2_compile_context_free>>;

std::string message_of(int code) {
  std::array<PCRE2_UCHAR, 160> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

/// Backtracking remembers a few hundred bytes for each character at the most.
std::uint32_t heap_kib(std::size_t length) {
  constexpr std::size_t kMost = std::size_t{1} << 20;
  return static_cast<std::uint32_t>(std::min(kMost, (std::size_t{16} << 10) + length / 2));
}

/// A run of spaces costs a pattern like \s*[\r\n]+ a few steps for each character, so the limit
/// grows with the text; catastrophic patterns reach it all the same.
std::uint32_t match_limit(std::size_t length) {
  constexpr std::size_t kMost = 0xFFFFFFFF;
  return static_cast<std::uint32_t>(std::min(kMost, 1'000'000 + 16 * length));
}

}  // namespace

struct Regex::Code {
  std::unique_ptr<pcre2_code, pcre::Deleter<pcre2_code_free>> compiled;
  std::string where;
};

Regex::Regex(std::string_view pattern, const std::string& where) : code_(std::make_unique<Code>()) {
  const CompileContext context(pcre2_compile_context_create(nullptr));
  if (!context) fail(ErrorCode::out_of_memory, "{}: no memory for the splitting pattern", where);
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  pcre2_set_max_pattern_length(context.get(), kLongestPattern);
  int error = 0;
  std::size_t position = 0;
  // Ruby's ^ and $ stand at every line.
  constexpr std::uint32_t kOptions =
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
  code_->compiled.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                      kOptions, &error, &position, context.get()));
  if (!code_->compiled) {
    fail(ErrorCode::bad_data, "{}: the splitting pattern is malformed at character {}: {}", where,
         position, message_of(error));
  }
  code_->where = where;
  // A refusal (no executable memory) leaves the interpreter, which finds the same matches.
  static_cast<void>(pcre2_jit_compile(code_->compiled.get(), PCRE2_JIT_COMPLETE));
}

Regex::~Regex() = default;

void Regex::find_all(std::string_view text, std::vector<Range>& matches) const {
  const auto* code = code_->compiled.get();
  const MatchData data(pcre2_match_data_create_from_pattern(code, nullptr));
  const MatchContext context(pcre2_match_context_create(nullptr));
  if (!data || !context) fail(ErrorCode::out_of_memory, "{}: no memory to split", code_->where);
  pcre2_set_match_limit(context.get(), match_limit(text.size()));
  pcre2_set_depth_limit(context.get(), match_limit(text.size()));
  pcre2_set_heap_limit(context.get(), heap_kib(text.size()));
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  const auto match = [&](std::size_t from, std::uint32_t options) {
    return pcre2_match(code, subject, text.size(), from, PCRE2_NO_UTF_CHECK | options, data.get(),
                       context.get());
  };
  std::size_t previous_end = std::string_view::npos;
  for (std::size_t from = 0; from <= text.size();) {
    int result = match(from, 0);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) result = match(from, PCRE2_NO_JIT);
    if (result == PCRE2_ERROR_NOMATCH) return;
    if (result < 0) {
      fail(ErrorCode::bad_data, "{}: the splitting pattern failed on a text of {} bytes: {}",
           code_->where, text.size(), message_of(result));
    }
    const auto* ends = pcre2_get_ovector_pointer(data.get());
    const Range found{ends[0], ends[1]};
    if (found.end <= found.begin) {  // an empty match: step over one character
      if (found.begin != previous_end && found.end == found.begin) matches.push_back(found);
      from = std::max(from, found.begin);
      if (from >= text.size()) return;
      static_cast<void>(next_code_point(text, from));
      continue;
    }
    matches.push_back(found);
    previous_end = from = found.end;
  }
}

}  // namespace assay::text
