#pragma once

#include <filesystem>
#include <vector>

#include "engine/model.h"

namespace assay::engine {

/// At most `count` token sequences of a data file. Pre-tokenized ids (files::is_pretokenized) are
/// taken as they are; of .tsv, .csv and .jsonl an encoder gets the labelled texts; any other file
/// is text: for encoders its non-empty lines, for decoders consecutive windows of `length` tokens.
/// What is longer than the model's positions is cut. Errors: io; bad_data if there is not one
/// sequence, or for an id outside the model's vocabulary.
[[nodiscard]] std::vector<std::vector<TokenId>> read_samples(const ModelSource& source,
                                                             const std::filesystem::path& file,
                                                             int count, int length);

}  // namespace assay::engine
