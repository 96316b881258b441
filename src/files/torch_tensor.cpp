#include "files/torch_tensor.h"

#include <algorithm>
#include <cstring>

namespace assay::files {

namespace {

/// Index of the window's last element; none on overflow.
std::optional<std::int64_t> last_index(const StridedTensor& tensor) {
  std::int64_t last = tensor.offset;
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    std::int64_t reach = 0;
    if (__builtin_mul_overflow(tensor.shape[i] - 1, tensor.strides[i], &reach) ||
        __builtin_add_overflow(last, reach, &last)) {
      return std::nullopt;
    }
  }
  return last;
}

}  // namespace

std::string check_window(const StridedTensor& tensor) {
  const auto negative = [](std::int64_t n) { return n < 0; };
  if (std::any_of(tensor.shape.begin(), tensor.shape.end(), negative)) {
    return fmt::format("negative size in {}", to_text(tensor.shape));
  }
  if (std::any_of(tensor.strides.begin(), tensor.strides.end(), negative)) {
    return fmt::format("negative stride in {}", to_text(tensor.strides));
  }
  const auto count = product(tensor.shape);
  if (!count) return fmt::format("shape {} overflows", to_text(tensor.shape));
  if (tensor.offset < 0 || tensor.offset > tensor.elements) {
    return fmt::format("offset {} lies beyond the {} elements of its storage", tensor.offset,
                       tensor.elements);
  }
  if (*count == 0) return {};
  const auto last = last_index(tensor);
  if (!last || *last >= tensor.elements) {
    return fmt::format(
        "shape {} with strides {} at {} reaches beyond the {} elements of its storage",
        to_text(tensor.shape), to_text(tensor.strides), tensor.offset, tensor.elements);
  }
  if (*count > tensor.elements && !is_contiguous(tensor)) {
    return fmt::format("shape {} repeats the {} elements of its storage, which is not supported",
                       to_text(tensor.shape), tensor.elements);
  }
  return {};
}

bool is_contiguous(const StridedTensor& tensor) noexcept {
  if (std::find(tensor.shape.begin(), tensor.shape.end(), 0) != tensor.shape.end()) return true;
  std::int64_t expected = 1;
  for (std::size_t i = tensor.shape.size(); i-- > 0;) {
    if (tensor.shape[i] == 1) continue;
    if (tensor.strides[i] != expected) return false;
    expected *= tensor.shape[i];
  }
  return true;
}

tensor::Buffer gather(const StridedTensor& tensor, std::span<const std::byte> storage) {
  const std::size_t width = tensor.type->bytes;
  const auto count = static_cast<std::size_t>(*product(tensor.shape));
  tensor::Buffer buffer(count * width);
  std::vector<std::int64_t> at(tensor.shape.size(), 0);
  std::int64_t from = tensor.offset;
  for (std::size_t to = 0; to < count; ++to) {
    std::memcpy(buffer.data() + to * width, storage.data() + static_cast<std::size_t>(from) * width,
                width);
    // The next index in row-major order.
    for (std::size_t i = at.size(); i-- > 0;) {
      if (tensor.shape[i] == 1) continue;  // its stride is never taken and may be any number
      from += tensor.strides[i];
      if (++at[i] < tensor.shape[i]) break;
      from -= tensor.strides[i] * tensor.shape[i];
      at[i] = 0;
    }
  }
  return buffer;
}

}  // namespace assay::files
