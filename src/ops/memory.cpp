#include "ops/memory.h"

#include <cstring>

#include "kernels/cpu/elementwise.h"
#include "kernels/cuda/elementwise.h"
#include "ops/check.h"

namespace assay::ops {

Vector::Vector(std::vector<float> values, tensor::Device device, Context& context) {
  if (device.kind == tensor::DeviceKind::cpu) {
    values_ = std::move(values);
    view_ = values_;
    return;
  }
  const std::size_t bytes = values.size() * sizeof(float);
  buffer_ = tensor::Buffer(bytes, device);
  CudaQueue& queue = context.queue(device);
  queue.stream.copy_to_device(buffer_.data(), values.data(), bytes);
  queue.stream.synchronize();
  view_ = {buffer_.as<float>(), values.size()};
}

void copy(tensor::MatrixView from, tensor::MatrixView to, Context& context) {
  check_same_shape("copy", from, to);
  const bool gaps = from.rows > 1 && (from.stride != from.cols || to.stride != to.cols);
  if (from.type != to.type || gaps) {
    fail(ErrorCode::internal, "copy: [{}, {}] of {} with rows {} apart to {} with rows {} apart",
         from.rows, from.cols, tensor::name_of(from.type), from.stride, tensor::name_of(to.type),
         to.stride);
  }
  const std::size_t bytes =
      static_cast<std::size_t>(from.rows * from.cols) * tensor::size_of(from.type);
  if (!on_cuda(from) && !on_cuda(to)) {
    std::memcpy(to.data, from.data, bytes);
  } else if (!on_cuda(from)) {
    context.queue(to.device).stream.copy_to_device(to.data, from.data, bytes);
  } else if (!on_cuda(to)) {
    kernels::cuda::Stream& stream = context.queue(from.device).stream;
    stream.copy_to_host(to.data, from.data, bytes);
    stream.synchronize();
  } else if (from.device == to.device) {
    context.queue(to.device).stream.copy_on_device(to.data, from.data, bytes);
  } else {
    context.queue(to.device).stream.copy_from(context.queue(from.device).stream, to.data, from.data,
                                              bytes);
  }
}

void note_non_finite(tensor::MatrixView x, bool& seen, Context& context) {
  dispatch(
      x, context, [&] { seen = seen || !kernels::cpu::all_finite(x); },
      [&](CudaQueue& queue) {
        kernels::cuda::note_non_finite(x, queue.non_finite(), queue.stream);
      });
}

bool all_finite(tensor::MatrixView x, Context& context) {
  bool seen = false;
  dispatch(
      x, context, [&] { seen = !kernels::cpu::all_finite(x); },
      [&](CudaQueue& queue) {
        queue.begin_notes();
        kernels::cuda::note_non_finite(x, queue.non_finite(), queue.stream);
        queue.copy_notes();
        queue.stream.synchronize();
        seen = queue.take_notes(context.ledger);
      });
  return !seen;
}

}  // namespace assay::ops
