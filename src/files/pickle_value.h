#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "files/stored_type.h"

namespace assay::files {

/// Number of a value in PickleValues.
using PickleId = std::uint32_t;

/// What one opcode of a torch pickle made.
struct PickleValue {
  enum class Kind : std::uint8_t {
    mark,
    none,
    boolean,
    integer,
    real,
    text,
    tuple,
    list,
    dict,     ///< items: key, value, key, value, ...
    global,   ///< text: "module.name"
    storage,  ///< text: its record's key; type and integer: elements
    tensor    ///< items: storage, offset, sizes (tuple), strides (tuple)
  };

  Kind kind = Kind::none;
  std::uint64_t position = 0;  ///< of the opcode, in the file
  std::int64_t integer = 0;    ///< also of a boolean
  double real = 0.0;
  std::string_view text;  ///< in the mapping
  const StoredType* type = nullptr;
  std::vector<PickleId> items;
};

/// Name of a kind for messages: "a tuple".
[[nodiscard]] std::string_view name_of(PickleValue::Kind kind) noexcept;

/// The type of torch's storage class ("torch.FloatStorage"); nullptr if the global is none.
[[nodiscard]] const StoredType* find_torch_storage(std::string_view global) noexcept;

}  // namespace assay::files
