#pragma once

#include <string_view>

#include "tensor/tensor.h"

namespace assay::ops {

/// Internal error that names the op unless the shapes are equal.
void check_same_shape(std::string_view op, const tensor::MatrixView& x,
                      const tensor::MatrixView& y);
/// Internal error unless `size` is `wanted`; `what` says of what.
void check_size(std::string_view op, std::string_view what, std::size_t size, std::int64_t wanted);

}  // namespace assay::ops
