#pragma once

#include "text/tokenizer.h"

namespace assay::fuzz {

/// Encodes and decodes short texts of many kinds, and looks at every piece. An Error of the
/// splitting pattern's limits is the file's.
void use_tokenizer(const text::Tokenizer& tokenizer);

}  // namespace assay::fuzz
