#include "tensor/dtype.h"

namespace assay::tensor {

std::size_t size_of(DType type) noexcept {
  switch (type) {
    case DType::f32:
    case DType::i32:
    case DType::tf32:
      return 4;
    case DType::f16:
    case DType::bf16:
      return 2;
    default:
      return 1;
  }
}

std::string_view name_of(DType type) noexcept {
  switch (type) {
    case DType::f32:
      return "fp32";
    case DType::f16:
      return "fp16";
    case DType::bf16:
      return "bf16";
    case DType::i32:
      return "int32";
    case DType::i8:
      return "int8";
    case DType::tf32:
      return "tf32";
    case DType::f8:
      return "fp8";
    default:
      return "uint8";
  }
}

DType parse_dtype(std::string_view name) {
  constexpr std::string_view kTorch = "torch.";
  if (name.substr(0, kTorch.size()) == kTorch) name.remove_prefix(kTorch.size());
  if (name == "fp32" || name == "float32" || name == "f32" || name == "float") return DType::f32;
  if (name == "fp16" || name == "float16" || name == "f16" || name == "half") return DType::f16;
  if (name == "bf16" || name == "bfloat16") return DType::bf16;
  if (name == "int8" || name == "i8") return DType::i8;
  if (name == "uint8" || name == "u8") return DType::u8;
  if (name == "int32" || name == "i32") return DType::i32;
  fail(ErrorCode::usage, "unknown number type '{}'; known are fp32, fp16, bf16", name);
}

}  // namespace assay::tensor
