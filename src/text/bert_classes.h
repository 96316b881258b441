#pragma once

namespace assay::text {

/// Character classes of BERT's tokenizer. The reference implementation takes general categories
/// from Unicode 8.0 (2015): characters assigned later have no class there, whatever they became.
/// These functions give the same answers, so that the ids are the same.

/// Removed when text is cleaned: categories Cc, Cf and Co, except tab, newline, carriage return.
[[nodiscard]] bool is_bert_control(char32_t code_point);
/// Removed with the accents: category Mn.
[[nodiscard]] bool is_bert_mark(char32_t code_point);
/// A token of its own: categories P*, and all ASCII punctuation and symbols.
[[nodiscard]] bool is_bert_punctuation(char32_t code_point);
/// Gets spaces around it: the CJK ideograph blocks, not kana or hangul.
[[nodiscard]] bool is_bert_chinese(char32_t code_point);

}  // namespace assay::text
