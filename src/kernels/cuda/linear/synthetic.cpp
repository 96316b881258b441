#include <vector>

#include "base/error.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/linear/layout.h"
#include "kernels/cuda/linear/paths.h"

// Synthetic weights made where they are used: nothing of them is on the host.
namespace assay::kernels::cuda {
namespace linear {
namespace {

using precision::Encoding;
using precision::SyntheticPatch;
using precision::SyntheticTensor;
using tensor::Buffer;

template <typename T>
Buffer uploaded(const std::vector<T>& values, tensor::Device device, Stream& stream) {
  Buffer buffer(values.size() * sizeof(T), device);
  upload(stream, buffer.data(), values.data(), buffer.size());
  return buffer;
}

void apply(const SyntheticPatch& patch, const SyntheticTensor& tensor, std::uint16_t* elements,
           tensor::Device device, Stream& stream) {
  std::vector<std::uint16_t> values;
  for (const float value : patch.values) values.push_back(tensor::BFloat16(value).bits);
  const Buffer rows = uploaded(patch.rows, device, stream);
  const Buffer columns = uploaded(patch.columns, device, stream);
  const Buffer bits = uploaded(values, device, stream);
  Patching call;
  call.stream = ready(stream);
  call.elements = elements;
  call.cols = tensor.cols;
  call.rows = patch.rows.empty() ? nullptr : rows.as<std::int64_t>();
  call.row_count = patch.rows.empty() ? tensor.rows : std::ssize(patch.rows);
  call.columns = columns.as<std::int64_t>();
  call.values = bits.as<std::uint16_t>();
  call.column_count = std::ssize(patch.columns);
  if (call.row_count * call.column_count == 0) return;
  code_of(stream).patch(call);
  check_launch("patching a synthetic weight");
  stream.synchronize();  // before the lists are given back
}

void synthesize(const SyntheticTensor& tensor, std::uint16_t* elements, tensor::Device device,
                Stream& stream) {
  Synthesis call;
  call.stream = ready(stream);
  call.key = tensor.key.key;
  call.word = tensor.key.stream;
  call.scale = tensor.scale;
  call.elements = elements;
  call.count = tensor.rows * tensor.cols;
  code_of(stream).synthesize(call);
  check_launch("making a synthetic weight");
  for (const SyntheticPatch& patch : tensor.patches) {
    apply(patch, tensor, elements, device, stream);
  }
}

}  // namespace
}  // namespace linear

PackedWeight synthesize_on_device(const precision::SyntheticTensor& tensor,
                                  precision::Encoding encoding, bool double_quant,
                                  const LinearKernel& kernel, Stream& stream) {
  const tensor::Device device{tensor::DeviceKind::cuda, stream.device().index};
  const std::int64_t row_bytes = linear::packed_row_bytes(precision::Encoding::bf16, tensor.cols);
  if (tensor.vector) fail(ErrorCode::internal, "{} is no matrix", tensor.name);
  if (encoding == precision::Encoding::bf16 && row_bytes == tensor.cols * 2) {
    if (kernel.identity.encoding != encoding) {
      fail(ErrorCode::internal, "bf16 is not packed for {}", kernel.identity.kernel);
    }
    PackedWeight packed;
    packed.n = tensor.rows;
    packed.k = tensor.cols;
    packed.device = device;
    packed.codes = tensor::Buffer(static_cast<std::size_t>(tensor.rows * row_bytes), device);
    linear::synthesize(tensor, packed.codes.as<std::uint16_t>(), device, stream);
    stream.synchronize();
    return packed;
  }
  const tensor::Matrix made(tensor::DType::bf16, tensor.rows, tensor.cols, device);
  const tensor::MatrixView view = made.view();
  if (view.stride != tensor.cols) fail(ErrorCode::internal, "a matrix with padded rows");
  linear::synthesize(tensor, static_cast<std::uint16_t*>(view.data), device, stream);
  PackedWeight packed = encode_on_device(view, encoding, double_quant, kernel, stream);
  stream.synchronize();  // `made` ends here
  return packed;
}

}  // namespace assay::kernels::cuda
