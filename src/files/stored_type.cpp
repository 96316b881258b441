#include "files/stored_type.h"

#include <algorithm>
#include <array>

namespace assay::files {

namespace {

using precision::Encoding;

// Numbers, blocks and sizes of ggml's type table. The missing numbers (4, 5, 31 to 33, 36 to 38)
// are types that ggml withdrew.
constexpr std::array kGgmlTypes = {
    StoredType{0, "F32", 1, 4, Encoding::f32},
    StoredType{1, "F16", 1, 2, Encoding::f16},
    StoredType{2, "Q4_0", 32, 18, Encoding::q4_0},
    StoredType{3, "Q4_1", 32, 20, Encoding::q4_1},
    StoredType{6, "Q5_0", 32, 22, Encoding::q5_0},
    StoredType{7, "Q5_1", 32, 24, Encoding::q5_1},
    StoredType{8, "Q8_0", 32, 34, Encoding::q8_0},
    StoredType{9, "Q8_1", 32, 36},
    StoredType{10, "Q2_K", 256, 84, Encoding::q2_k},
    StoredType{11, "Q3_K", 256, 110, Encoding::q3_k},
    StoredType{12, "Q4_K", 256, 144, Encoding::q4_k},
    StoredType{13, "Q5_K", 256, 176, Encoding::q5_k},
    StoredType{14, "Q6_K", 256, 210, Encoding::q6_k},
    StoredType{15, "Q8_K", 256, 292},
    StoredType{16, "IQ2_XXS", 256, 66},
    StoredType{17, "IQ2_XS", 256, 74},
    StoredType{18, "IQ3_XXS", 256, 98},
    StoredType{19, "IQ1_S", 256, 50},
    StoredType{20, "IQ4_NL", 32, 18, Encoding::iq4_nl},
    StoredType{21, "IQ3_S", 256, 110},
    StoredType{22, "IQ2_S", 256, 82},
    StoredType{23, "IQ4_XS", 256, 136, Encoding::iq4_xs},
    StoredType{24, "I8", 1, 1},
    StoredType{25, "I16", 1, 2},
    StoredType{26, "I32", 1, 4},
    StoredType{27, "I64", 1, 8},
    StoredType{28, "F64", 1, 8},
    StoredType{29, "IQ1_M", 256, 56},
    StoredType{30, "BF16", 1, 2, Encoding::bf16},
    StoredType{34, "TQ1_0", 256, 54},
    StoredType{35, "TQ2_0", 256, 66},
    StoredType{39, "MXFP4", 32, 17, Encoding::mxfp4},
    StoredType{40, "NVFP4", 64, 36},
    StoredType{41, "Q1_0", 128, 18},
};

// Types below one byte are given as the smallest group that fills whole bytes, which is exactly
// the reference's rule that a tensor's bits must be a multiple of eight.
constexpr std::array kSafetensorsTypes = {
    StoredType{0, "F32", 1, 4, Encoding::f32},
    StoredType{0, "F16", 1, 2, Encoding::f16},
    StoredType{0, "BF16", 1, 2, Encoding::bf16},
    StoredType{0, "F64", 1, 8},
    StoredType{0, "C64", 1, 8},
    StoredType{0, "I64", 1, 8},
    StoredType{0, "I32", 1, 4},
    StoredType{0, "I16", 1, 2},
    StoredType{0, "I8", 1, 1},
    StoredType{0, "U64", 1, 8},
    StoredType{0, "U32", 1, 4},
    StoredType{0, "U16", 1, 2},
    StoredType{0, "U8", 1, 1},
    StoredType{0, "BOOL", 1, 1},
    StoredType{0, "F8_E4M3", 1, 1},
    StoredType{0, "F8_E5M2", 1, 1},
    StoredType{0, "F8_E8M0", 1, 1},
    StoredType{0, "F8_E4M3FNUZ", 1, 1},
    StoredType{0, "F8_E5M2FNUZ", 1, 1},
    StoredType{0, "F6_E2M3", 4, 3},
    StoredType{0, "F6_E3M2", 4, 3},
    StoredType{0, "F4", 2, 1},
};

}  // namespace

const StoredType* find_ggml_type(std::uint32_t id) noexcept {
  const auto* found =
      std::find_if(kGgmlTypes.begin(), kGgmlTypes.end(), [&](const auto& t) { return t.id == id; });
  return found == kGgmlTypes.end() ? nullptr : &*found;
}

const StoredType* find_safetensors_type(std::string_view name) noexcept {
  const auto* found = std::find_if(kSafetensorsTypes.begin(), kSafetensorsTypes.end(),
                                   [&](const auto& t) { return t.name == name; });
  return found == kSafetensorsTypes.end() ? nullptr : &*found;
}

bool holds_integers(std::string_view type_name) noexcept {
  const bool number = type_name.size() <= 3 && (type_name[0] == 'I' || type_name[0] == 'U');
  return number || type_name == "BOOL";
}

std::optional<std::int64_t> product(std::span<const std::int64_t> shape) noexcept {
  std::int64_t count = 1;
  for (const std::int64_t dimension : shape) {
    if (__builtin_mul_overflow(count, dimension, &count)) return std::nullopt;
  }
  return count;
}

std::optional<std::uint64_t> bytes_of(const StoredType& type, std::int64_t elements) noexcept {
  if (elements % type.block != 0) return std::nullopt;
  std::int64_t bytes = 0;
  if (__builtin_mul_overflow(elements / type.block, std::int64_t{type.bytes}, &bytes)) {
    return std::nullopt;
  }
  return static_cast<std::uint64_t>(bytes);
}

std::string to_text(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (const std::int64_t dimension : shape) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(dimension);
  }
  return text + "]";
}

}  // namespace assay::files
