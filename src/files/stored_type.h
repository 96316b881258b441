#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "precision/encoding.h"

namespace assay::files {

/// One element type of a file format: `block` elements take `bytes` bytes. Every type a format has
/// stands in its table, so that sizes are checked also where this program cannot decode.
struct StoredType {
  std::uint32_t id;  ///< ggml's number; unused in safetensors
  std::string_view name;
  std::uint32_t block;
  std::uint32_t bytes;
  std::optional<precision::Encoding> encoding = std::nullopt;  ///< none: cannot be decoded here
};

/// nullptr for an unknown (or withdrawn) ggml type number.
[[nodiscard]] const StoredType* find_ggml_type(std::uint32_t id) noexcept;
/// nullptr for an unknown safetensors dtype.
[[nodiscard]] const StoredType* find_safetensors_type(std::string_view name) noexcept;

/// True for types that hold no numbers a layer could multiply (integers, booleans).
[[nodiscard]] bool holds_integers(std::string_view type_name) noexcept;

/// Product of non-negative dimensions; none on overflow of int64.
[[nodiscard]] std::optional<std::int64_t> product(std::span<const std::int64_t> shape) noexcept;

/// Bytes of `elements` elements; none if they fill no whole blocks or int64 overflows.
[[nodiscard]] std::optional<std::uint64_t> bytes_of(const StoredType& type,
                                                    std::int64_t elements) noexcept;

/// "[2, 3]".
[[nodiscard]] std::string to_text(std::span<const std::int64_t> shape);

}  // namespace assay::files
