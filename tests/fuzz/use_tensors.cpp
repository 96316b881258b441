#include "fuzz/use_tensors.h"

#include <cstring>
#include <stdexcept>

namespace assay::fuzz {

namespace {

std::uint64_t use_rows(const precision::EncodedTensor& matrix) {
  if (matrix.rows == 0 || matrix.cols == 0) return 0;
  std::uint64_t sum = 0;
  std::vector<float> row(static_cast<std::size_t>(matrix.cols));
  for (std::int64_t r = 0; r < matrix.rows; ++r) {
    precision::info(matrix.encoding).decode_row(matrix, r, row);
    std::uint32_t last = 0;
    std::memcpy(&last, &row.back(), sizeof last);
    sum += last;
  }
  return sum;
}

}  // namespace

std::uint64_t use_tensors(const files::TensorFile& file) {
  std::uint64_t sum = file.metadata().dump().size();
  for (const files::StoredTensor& tensor : file.tensors()) {
    if (file.find(tensor.name) != &tensor) throw std::logic_error("a tensor is not found by name");
    for (const std::byte b : tensor.bytes) sum += static_cast<std::uint64_t>(b);
    if (tensor.is_weight) sum += use_rows(file.encoded(tensor));
  }
  return sum;
}

}  // namespace assay::fuzz
