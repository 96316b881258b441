#pragma once

#include <string>
#include <string_view>

#include "text/json_fields.h"
#include "text/pre_tokenizer.h"
#include "text/replacement.h"

// What the readers of tokenizer.json's parts share. All errors are bad_data and name the place.
namespace assay::text {

[[noreturn]] void refuse_type(const Fields& fields, const std::string& type,
                              std::string_view known);
/// Sequences within sequences have a limit.
void check_depth(int depth, const std::string& where);
/// "file: key[3]"
[[nodiscard]] std::string element(const Fields& fields, const std::string& key, std::size_t index);

/// bad_data if `text` is no base64.
[[nodiscard]] std::string decode_base64(const std::string& text, const std::string& where);

/// {"String": literal} or {"Regex": pattern}; the content is left empty.
[[nodiscard]] Replacement read_pattern(Fields& fields);
/// A pattern, literals included.
[[nodiscard]] std::shared_ptr<const Regex> read_regex(Fields& fields);
/// The single character that `key` names.
[[nodiscard]] char32_t read_character(Fields& fields, const std::string& key,
                                      std::string_view otherwise);
/// The keys of Metaspace, pre-tokenizer and decoder.
[[nodiscard]] MetaspaceStep read_metaspace(Fields& fields);

}  // namespace assay::text
