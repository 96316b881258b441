#include "text/added_tokens.h"

#include <algorithm>

#include "base/error.h"
#include "base/io.h"

namespace assay::text {
namespace {

constexpr std::size_t kLongestContent = 1024;

bool word_before(std::string_view text, std::size_t position) {
  return position > 0 && is_word(previous_code_point(text, position));
}

bool word_behind(std::string_view text, std::size_t position) {
  return position < text.size() && is_word(next_code_point(text, position));
}

std::size_t strip_left(std::string_view text, std::size_t position, std::size_t floor) {
  while (position > floor) {
    std::size_t before = position;
    if (!is_white_space(previous_code_point(text, before))) break;
    position = before;
  }
  return position;
}

std::size_t strip_right(std::string_view text, std::size_t position) {
  while (position < text.size()) {
    std::size_t behind = position;
    if (!is_white_space(next_code_point(text, behind))) break;
    position = behind;
  }
  return position;
}

}  // namespace

TokenMatcher::TokenMatcher(std::vector<Pattern> patterns) : patterns_(std::move(patterns)) {
  std::ranges::stable_sort(patterns_, {}, &Pattern::content);
  for (const Pattern& pattern : patterns_) {
    first_bytes_.set(static_cast<unsigned char>(pattern.content.front()));
  }
}

/// Of the patterns in `range`, which agree in `depth` bytes, those that go on with `byte`.
Range TokenMatcher::narrow(Range range, std::size_t depth, char byte) const {
  const auto at = [&](const Pattern& pattern) {
    return depth < pattern.content.size()
               ? static_cast<int>(static_cast<unsigned char>(pattern.content[depth]))
               : -1;
  };
  const auto begin = patterns_.begin() + static_cast<std::ptrdiff_t>(range.begin);
  const auto end = patterns_.begin() + static_cast<std::ptrdiff_t>(range.end);
  const int wanted = static_cast<unsigned char>(byte);
  const auto first =
      std::partition_point(begin, end, [&](const auto& p) { return at(p) < wanted; });
  const auto last =
      std::partition_point(first, end, [&](const auto& p) { return at(p) == wanted; });
  const auto index = [&](auto it) { return static_cast<std::size_t>(it - patterns_.begin()); };
  return {index(first), index(last)};
}

template <typename Accept>
void TokenMatcher::matches_at(std::string_view text, std::size_t position, Accept&& accept) const {
  if (!first_bytes_.test(static_cast<unsigned char>(text[position]))) return;
  Range range{0, patterns_.size()};
  for (std::size_t depth = 0; position + depth < text.size(); ++depth) {
    range = narrow(range, depth, text[position + depth]);
    if (range.size() == 0) return;
    // Sorted: the pattern that ends here, if any, is the first.
    if (patterns_[range.begin].content.size() == depth + 1) accept(patterns_[range.begin]);
  }
}

AddedTokens::AddedTokens(std::vector<AddedToken> tokens, const Normalizer& normalizer,
                         MatchOrder order, const std::string& where)
    : tokens_(std::move(tokens)), order_(order) {
  std::vector<TokenMatcher::Pattern> raw;
  std::vector<TokenMatcher::Pattern> normalized;
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    const AddedToken& token = tokens_[i];
    if (token.content.empty() || token.content.size() > kLongestContent) {
      fail(ErrorCode::bad_data, "{}: the token of id {} has {} bytes; 1 to {} are allowed", where,
           token.id, token.content.size(), kLongestContent);
    }
    if (!by_id_.emplace(token.id, i).second || !by_content_.emplace(token.content, i).second) {
      fail(ErrorCode::bad_data, "{}: '{}' with id {} is a duplicate", where,
           base::printable(token.content), token.id);
    }
    if (!token.normalized) {
      raw.push_back({token.content, i});
    } else if (auto content = normalize(normalizer, token.content); !content.empty()) {
      normalized.push_back({std::move(content), i});
    }
  }
  raw_ = TokenMatcher(std::move(raw));
  normalized_ = TokenMatcher(std::move(normalized));
}

const AddedToken* AddedTokens::find(TokenId id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &tokens_[found->second];
}

const AddedToken* AddedTokens::find(std::string_view content) const {
  const auto found = by_content_.find(content);
  return found == by_content_.end() ? nullptr : &tokens_[found->second];
}

std::vector<AddedTokens::Occurrence> AddedTokens::leftmost(std::string_view text,
                                                           const TokenMatcher& matcher,
                                                           bool parse_special) const {
  std::vector<Occurrence> out;
  std::size_t floor = 0;  // end of the last accepted token, stripped white space included
  for (std::size_t position = 0; position < text.size();) {
    const TokenMatcher::Pattern* best = nullptr;
    matcher.matches_at(text, position, [&](const auto& pattern) { best = &pattern; });
    if (best == nullptr) {
      ++position;
      continue;
    }
    Range range{position, position + best->content.size()};
    // A match that is refused below is passed over as a whole, as the reference does.
    position = range.end;
    const AddedToken& token = tokens_[best->token];
    if (token.special && !parse_special) continue;
    if (token.single_word && (word_before(text, range.begin) || word_behind(text, range.end))) {
      continue;
    }
    if (range.begin < floor) continue;
    if (token.lstrip) range.begin = strip_left(text, range.begin, floor);
    if (token.rstrip) range.end = strip_right(text, range.end);
    out.push_back({range, best->token});
    floor = range.end;
  }
  return out;
}

std::vector<AddedTokens::Occurrence> AddedTokens::longest(std::string_view text,
                                                          const TokenMatcher& matcher,
                                                          bool parse_special) const {
  std::vector<Occurrence> all;
  for (std::size_t position = 0; position < text.size(); ++position) {
    matcher.matches_at(text, position, [&](const auto& pattern) {
      if (tokens_[pattern.token].special && !parse_special) return;
      all.push_back({{position, position + pattern.content.size()}, pattern.token});
    });
  }
  std::ranges::stable_sort(all, [](const Occurrence& a, const Occurrence& b) {
    return a.range.size() > b.range.size();
  });
  std::vector<Occurrence> out;
  std::vector<bool> taken(all.empty() ? 0 : text.size());
  for (const Occurrence& one : all) {
    // Longer ones were placed before, so an overlap shows at an end.
    if (taken[one.range.begin] || taken[one.range.end - 1]) continue;
    std::fill(taken.begin() + static_cast<std::ptrdiff_t>(one.range.begin),
              taken.begin() + static_cast<std::ptrdiff_t>(one.range.end), true);
    out.push_back(one);
  }
  std::ranges::sort(out, {}, [](const Occurrence& one) { return one.range.begin; });
  return out;
}

std::vector<Segment> AddedTokens::split(std::string_view text, bool normalized,
                                        bool parse_special) const {
  const TokenMatcher& matcher = normalized ? normalized_ : raw_;
  std::vector<Segment> segments;
  std::size_t previous = 0;
  if (!matcher.empty()) {
    const auto occurrences = order_ == MatchOrder::leftmost_longest
                                 ? leftmost(text, matcher, parse_special)
                                 : longest(text, matcher, parse_special);
    for (const Occurrence& one : occurrences) {
      if (previous < one.range.begin) segments.push_back({{previous, one.range.begin}, {}});
      segments.push_back({one.range, tokens_[one.token].id});
      previous = one.range.end;
    }
  }
  if (previous < text.size()) segments.push_back({{previous, text.size()}, {}});
  return segments;
}

}  // namespace assay::text
