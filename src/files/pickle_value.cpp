#include "files/pickle_value.h"

#include <array>

namespace assay::files {

std::string_view name_of(PickleValue::Kind kind) noexcept {
  constexpr std::array<std::string_view, 12> kNames = {
      "a mark",  "None",   "a truth value", "an integer",   "a number",  "a text",
      "a tuple", "a list", "a dictionary",  "a class name", "a storage", "a tensor"};
  return kNames[static_cast<std::size_t>(kind)];
}

const StoredType* find_torch_storage(std::string_view global) noexcept {
  struct Storage {
    std::string_view global;
    std::string_view type;
  };
  constexpr std::array kStorages = {
      Storage{"torch.FloatStorage", "F32"},       Storage{"torch.HalfStorage", "F16"},
      Storage{"torch.BFloat16Storage", "BF16"},   Storage{"torch.DoubleStorage", "F64"},
      Storage{"torch.LongStorage", "I64"},        Storage{"torch.IntStorage", "I32"},
      Storage{"torch.ShortStorage", "I16"},       Storage{"torch.CharStorage", "I8"},
      Storage{"torch.ByteStorage", "U8"},         Storage{"torch.BoolStorage", "BOOL"},
      Storage{"torch.ComplexFloatStorage", "C64"}};
  for (const Storage& storage : kStorages) {
    if (storage.global == global) return find_safetensors_type(storage.type);
  }
  return nullptr;
}

}  // namespace assay::files
