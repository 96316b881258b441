#pragma once

#include "files/pickle_value.h"
#include "files/tensor_file_builder.h"

namespace assay::files {

/// A tensor as torch describes it: a strided window on a storage of `elements` elements.
struct StridedTensor {
  const StoredType* type = nullptr;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;  ///< in elements
  std::int64_t offset = 0;            ///< in elements
  std::int64_t elements = 0;          ///< of the storage
};

/// What is wrong with the window; empty if it lies within its storage, and, where it is not
/// contiguous, has no more elements than the storage (a copy cannot grow).
[[nodiscard]] std::string check_window(const StridedTensor& tensor);

/// True if the elements lie one after another in row-major order.
[[nodiscard]] bool is_contiguous(const StridedTensor& tensor) noexcept;

/// Its elements in row-major order. `storage` holds all of the storage's bytes; the window has been
/// checked.
[[nodiscard]] tensor::Buffer gather(const StridedTensor& tensor,
                                    std::span<const std::byte> storage);

}  // namespace assay::files
