#pragma once

#include "files/gguf_cursor.h"

namespace assay::files {

/// Smallest pair: the key's length, one byte of key, the type, one byte of value.
inline constexpr std::uint64_t kSmallestPair = 8 + 1 + 4 + 1;

struct GgufMetadata {
  Json values = Json::object();  ///< arrays become JSON arrays
  std::uint64_t alignment = 32;  ///< general.alignment
};

/// Reads `count` key-value pairs. What they take is charged to `builder` before it is allocated.
[[nodiscard]] GgufMetadata read_gguf_metadata(GgufCursor& cursor, std::uint64_t count,
                                              TensorFileBuilder& builder);

}  // namespace assay::files
