#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "tensor/float16.h"

namespace assay::tensor {

/// Element type of a dense array. How a *weight* is stored is precision::Encoding.
/// tf32 and f8 (E4M3) are what tensor cores multiply: no array of this program has them.
enum class DType : std::uint8_t { f32, f16, bf16, i32, i8, u8, tf32, f8 };

[[nodiscard]] std::size_t size_of(DType type) noexcept;
/// What holds values that are multiplied in `compute`: f32 for tf32, else the type itself.
[[nodiscard]] constexpr DType held_as(DType compute) noexcept {
  return compute == DType::tf32 ? DType::f32 : compute;
}
/// "fp32", "fp16", "bf16", "int32", "int8", "uint8", "tf32", "fp8".
[[nodiscard]] std::string_view name_of(DType type) noexcept;
/// Accepts fp32/float32/f32 and the like; usage error otherwise.
[[nodiscard]] DType parse_dtype(std::string_view name);

template <typename T>
struct TypeTag {
  using type = T;
};

/// Calls f(TypeTag<T>{}) with the C++ type of a floating DType. The only switch on DType in
/// arithmetic code.
template <typename F>
decltype(auto) dispatch_float(DType type, F&& f) {
  switch (type) {
    case DType::f32:
      return f(TypeTag<float>{});
    case DType::f16:
      return f(TypeTag<Float16>{});
    case DType::bf16:
      return f(TypeTag<BFloat16>{});
    default:
      fail(ErrorCode::internal, "{} is not a floating type", name_of(type));
  }
}

template <typename T>
inline constexpr DType kDTypeOf = DType::f32;
template <>
inline constexpr DType kDTypeOf<Float16> = DType::f16;
template <>
inline constexpr DType kDTypeOf<BFloat16> = DType::bf16;
template <>
inline constexpr DType kDTypeOf<std::int8_t> = DType::i8;
template <>
inline constexpr DType kDTypeOf<std::uint8_t> = DType::u8;
template <>
inline constexpr DType kDTypeOf<std::int32_t> = DType::i32;

}  // namespace assay::tensor
