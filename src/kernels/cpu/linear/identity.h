#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include "kernels/cpu/linear.h"

// Names and identities of the linear kernels, made when a kernel is compiled: in code for one
// instruction set they are constants and no function of this file exists.
namespace assay::kernels::cpu {

using precision::Activation;
using precision::Encoding;
using precision::KernelIdentity;
using tensor::DType;

/// As name_of() has them, for use in constants; a test compares the two.
inline constexpr std::array<std::string_view, precision::kEncodingCount> kEncodingNames = {
    "f32",  "f16",  "bf16",  "int8",     "nf4",    "fp4",  "q4_0", "q4_1",
    "q8_0", "int4", "uint8", "fp8_e4m3", "q5_0",   "q5_1", "q2_k", "q3_k",
    "q4_k", "q5_k", "q6_k",  "iq4_nl",   "iq4_xs", "mxfp4"};
inline constexpr std::array<std::string_view, 5> kIsaNames = {"portable", "avx2", "avx512",
                                                              "avx512_vnni_bf16", "amx"};

/// Activations that become int8 themselves.
constexpr bool is_integer(Activation activation) {
  return activation == Activation::int8_dynamic || activation == Activation::int8_static;
}

consteval std::string_view compute_name(DType type) {
  return type == DType::f32 ? "fp32" : type == DType::f16 ? "fp16" : "bf16";
}

template <Encoding E, Activation A, DType C, Isa I>
consteval std::array<char, 64> linear_name() {
  std::array<char, 64> text{};
  std::size_t used = 0;
  const auto append = [&](std::string_view part) {
    for (const char c : part) text[used++] = c;
  };
  append("linear_");
  if (E != Encoding::f32 && E != Encoding::f16 && E != Encoding::bf16) {
    append(kEncodingNames[static_cast<std::size_t>(E)]);
    append("_");
  }
  append(A == Activation::int8_dynamic  ? "dynamic"
         : A == Activation::int8_static ? "static"
                                        : compute_name(C));
  append("_");
  append(kIsaNames[static_cast<std::size_t>(I)]);
  return text;
}

template <Encoding E, Activation A, DType C, Isa I>
inline constexpr std::array<char, 64> kLinearName = linear_name<E, A, C, I>();

/// Identity of the kernel that multiplies E in compute type C with instruction set I. With int8
/// activations both operands are int8.
template <Encoding E, Activation A, DType C, Isa I>
consteval KernelIdentity linear_identity() {
  const bool integer = is_integer(A);
  return {.kernel = kLinearName<E, A, C, I>.data(),
          .encoding = E,
          .activation = A,
          .compute = integer ? DType::i8 : C,
          .accumulate = integer ? "int32" : "fp32",
          .path = kIsaNames[static_cast<std::size_t>(I)],
          .device = tensor::DeviceKind::cpu};
}

/// A kernel as one instruction set's translation unit offers it.
struct CompiledLinear {
  KernelIdentity identity;
  KernelIdentity (*run)(LinearCall& call);
};

/// What is compiled for each instruction set; empty where none is.
[[nodiscard]] std::span<const CompiledLinear> native_kernels(Isa isa);
[[nodiscard]] std::span<const CompiledLinear> int8_kernels(Isa isa);
[[nodiscard]] std::span<const CompiledLinear> vnni_kernels();
[[nodiscard]] std::span<const CompiledLinear> amx_kernels();
/// Those of precision::kBlockForms, for any instruction set.
[[nodiscard]] std::span<const CompiledLinear> block_kernels(Isa isa);
[[nodiscard]] std::span<const CompiledLinear> vnni_block_kernels();
[[nodiscard]] std::span<const CompiledLinear> amx_block_kernels();

}  // namespace assay::kernels::cpu
