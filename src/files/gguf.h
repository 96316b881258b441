#pragma once

#include "files/tensor_file_builder.h"

namespace assay::files {

/// Reads one little-endian GGUF file of version 2 or 3, by itself even if it is a part of several.
/// Format: ggml's docs/gguf.md. Refused beyond what the format says: arrays of arrays, text that is
/// not UTF-8, tensor names over 64 bytes, alignments over 1 MiB, and metadata over kHeaderBudget.
[[nodiscard]] TensorFile read_gguf(const RawFile& file);

}  // namespace assay::files
