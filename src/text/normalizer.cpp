#include "text/normalizer.h"

#include <algorithm>

#include "text/bert_classes.h"
#include "text/growth.h"

namespace assay::text {
namespace {

std::u32string clean_text(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (const char32_t c : text) {
    if (c == 0 || c == 0xFFFD || is_bert_control(c)) continue;
    out.push_back(is_white_space(c) ? U' ' : c);
  }
  return out;
}

std::u32string space_chinese(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (const char32_t c : text) {
    if (is_bert_chinese(c)) {
      out.push_back(U' ');
      out.push_back(c);
      out.push_back(U' ');
    } else {
      out.push_back(c);
    }
  }
  return out;
}

std::u32string lower(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (const char32_t c : text) append_lower(out, c);
  return out;
}

/// For text of ASCII alone, where only cleaning and lower case have anything to do.
std::string bert_ascii(const BertNormalizer& step, std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (char c : text) {
    if (step.clean_text) {
      const bool space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
      if (!space && (c < 0x20 || c == 0x7F)) continue;
      if (space) c = ' ';
    }
    if (step.lowercase && c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    out.push_back(c);
  }
  return out;
}

std::string apply(const BertNormalizer& step, std::string_view text) {
  if (std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; })) {
    return bert_ascii(step, text);
  }
  std::u32string work = to_utf32(text);
  if (step.clean_text) work = clean_text(work);
  if (step.chinese_spaces) work = space_chinese(work);
  if (step.strip_accents) {
    work = normalize_form(work, UnicodeForm::nfd);
    std::erase_if(work, is_bert_mark);
  }
  if (step.lowercase) work = lower(work);
  return to_utf8(work);
}

std::string apply(UnicodeForm form, std::string_view text) {
  return to_utf8(normalize_form(to_utf32(text), form));
}

std::string apply(Lowercase /*step*/, std::string_view text) {
  return to_utf8(lower(to_utf32(text)));
}

std::string apply(StripAccents /*step*/, std::string_view text) {
  std::u32string work = to_utf32(text);
  std::erase_if(work, is_mark);
  return to_utf8(work);
}

bool is_nmt_control(char32_t c) {
  return (c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F ||
         c == 0x8F || c == 0x9F;
}

bool is_nmt_space(char32_t c) {
  return c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 ||
         (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF ||
         c == 0xFFFD;
}

std::string apply(Nmt /*step*/, std::string_view text) {
  std::u32string work = to_utf32(text);
  std::erase_if(work, is_nmt_control);
  std::ranges::replace_if(work, is_nmt_space, U' ');
  return to_utf8(work);
}

std::string apply(const Precompiled& step, std::string_view text) { return step.map->apply(text); }

std::string apply(const Prepend& step, std::string_view text) {
  return text.empty() ? std::string() : step.text + std::string(text);
}

std::string apply(const Replacement& step, std::string_view text) { return replace(step, text); }

std::string apply(const StripSpaces& step, std::string_view text) {
  std::size_t begin = 0;
  std::size_t end = text.size();
  for (std::size_t at = 0; step.left && at < end && is_white_space(next_code_point(text, at));) {
    begin = at;
  }
  for (std::size_t at = end;
       step.right && at > begin && is_white_space(previous_code_point(text, at));) {
    end = at;
  }
  return std::string(text.substr(begin, end - begin));
}

}  // namespace

std::string normalize(const Normalizer& normalizer, std::string_view text) {
  std::string out(text);
  for (const NormalizerStep& step : normalizer) {
    out = std::visit([&](const auto& s) { return apply(s, std::string_view(out)); }, step);
    check_growth(text.size(), out.size());
  }
  return out;
}

}  // namespace assay::text
