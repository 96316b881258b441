#pragma once

#include <string>

#include "precision/encoding.h"

namespace assay::measure {

/// What the mangled name of a kernel says of it: our kernels are templates over what they multiply.
struct KernelName {
  enum class Work : std::uint8_t {
    product,        ///< of a linear layer
    lookup,         ///< rows of a weight
    quantize_int8,  ///< activations on their way into a product
    quantize_fp8,
    other,   ///< ours: attention, norms, copies
    foreign  ///< nobody's that we know
  };
  Work work = Work::foreign;
  std::string text;  ///< readable, without namespaces: "few_rows<MmaBf16, Nf4, 1>"
  std::string path;  ///< "sm90"
  precision::Encoding encoding = precision::Encoding::f32;  ///< of products and lookups
  tensor::DType compute = tensor::DType::f32;               ///< of products
};

[[nodiscard]] KernelName read_kernel_name(const std::string& mangled);

}  // namespace assay::measure
