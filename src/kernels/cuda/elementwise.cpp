#include "kernels/cuda/elementwise.h"

#include <type_traits>

#include "base/error.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/rows/row_kernels.h"

namespace assay::kernels::cuda {
namespace {

using tensor::MatrixView;

static_assert(sizeof(DeviceSequence) == sizeof(SequenceData) &&
              std::is_trivially_copyable_v<DeviceSequence>);

/// The launchers for a stream's device.
RowKernels kernels_of(const Stream& stream) {
  switch (stream.device().path) {
#define ASSAY_CUDA_CASE(path) \
  case Path::path:            \
    return path::row_kernels();
    ASSAY_CUDA_EACH_PATH(ASSAY_CUDA_CASE)
#undef ASSAY_CUDA_CASE
    default:
      fail(ErrorCode::internal, "{} is not compiled", name_of(stream.device().path));
  }
}

RowFunction named(UnaryFunction function) {
  switch (function) {
    case UnaryFunction::gelu_erf:
      return RowFunction::gelu_erf;
    case UnaryFunction::gelu_tanh:
      return RowFunction::gelu_tanh;
    case UnaryFunction::relu:
      return RowFunction::relu;
    case UnaryFunction::silu:
      return RowFunction::silu;
    case UnaryFunction::tanh:
      return RowFunction::tanh;
  }
  fail(ErrorCode::internal, "an unknown function");
}

const SequenceData* data(const DeviceSequence* sequences) {
  return reinterpret_cast<const SequenceData*>(sequences);
}

void require_same_type(const MatrixView& a, const MatrixView& b, const char* operation) {
  if (a.type != b.type) {
    fail(ErrorCode::internal, "{}: {} and {} in one call", operation, name_of(a.type),
         name_of(b.type));
  }
}

}  // namespace

void rms_norm(MatrixView x, const float* weight, float eps, MatrixView y, Stream& stream) {
  const cudaStream_t s = ready(stream);
  kernels_of(stream).rms_norm(on_device(x, stream), weight, eps, on_device(y, stream), s);
  check_launch("rms_norm");
}

void layer_norm(MatrixView x, const float* weight, const float* bias, float eps, MatrixView y,
                Stream& stream) {
  const cudaStream_t s = ready(stream);
  kernels_of(stream).layer_norm(on_device(x, stream), weight, bias, eps, on_device(y, stream), s);
  check_launch("layer_norm");
}

void scale(MatrixView x, float factor, Stream& stream) {
  const cudaStream_t s = ready(stream);
  kernels_of(stream).scale(on_device(x, stream), factor, s);
  check_launch("scale");
}

void soft_cap(MatrixView x, float cap, Stream& stream) {
  const cudaStream_t s = ready(stream);
  kernels_of(stream).soft_cap(on_device(x, stream), cap, s);
  check_launch("soft_cap");
}

void add_in_place(MatrixView x, MatrixView y, Stream& stream) {
  const cudaStream_t s = ready(stream);
  kernels_of(stream).add_in_place(on_device(x, stream), on_device(y, stream), s);
  check_launch("add_in_place");
}

void apply(UnaryFunction function, MatrixView x, Stream& stream) {
  const cudaStream_t s = ready(stream);
  kernels_of(stream).apply(named(function), on_device(x, stream), s);
  check_launch("apply");
}

void gated_product(UnaryFunction function, MatrixView gate, MatrixView up, Stream& stream) {
  require_same_type(gate, up, "gated_product");
  const cudaStream_t s = ready(stream);
  kernels_of(stream).gated_product(named(function), on_device(gate, stream), on_device(up, stream),
                                   s);
  check_launch("gated_product");
}

void clamped_swiglu(float alpha, float limit, MatrixView gate, MatrixView up, Stream& stream) {
  require_same_type(gate, up, "clamped_swiglu");
  const cudaStream_t s = ready(stream);
  kernels_of(stream).clamped_swiglu(alpha, limit, on_device(gate, stream), on_device(up, stream),
                                    s);
  check_launch("clamped_swiglu");
}

void add_scaled_rows(MatrixView x, const std::int32_t* index, const float* factors, MatrixView sums,
                     Stream& stream) {
  const cudaStream_t s = ready(stream);
  kernels_of(stream).add_scaled_rows(on_device(x, stream), index, factors, on_device(sums, stream),
                                     s);
  check_launch("add_scaled_rows");
}

void convert(MatrixView x, MatrixView y, Stream& stream) {
  const cudaStream_t s = ready(stream);
  kernels_of(stream).convert(on_device(x, stream), on_device(y, stream), s);
  check_launch("convert");
}

void gather_rows(MatrixView x, const std::int32_t* index, MatrixView y, Stream& stream) {
  const cudaStream_t s = ready(stream);
  kernels_of(stream).gather_rows(on_device(x, stream), index, on_device(y, stream), s);
  check_launch("gather_rows");
}

void rope(MatrixView x, const std::int32_t* positions, const float* inverse_frequencies,
          int frequency_count, std::int64_t head_dim, float magnitude, Stream& stream) {
  constexpr int kMost = 6144;  // cosines and sines in 48 KiB
  if (2 * frequency_count > head_dim || frequency_count > kMost || x.cols % head_dim != 0) {
    fail(ErrorCode::internal, "rope: {} frequencies, heads of {}, {} columns", frequency_count,
         head_dim, x.cols);
  }
  const cudaStream_t s = ready(stream);
  kernels_of(stream).rope(
      {on_device(x, stream), positions, inverse_frequencies, frequency_count, head_dim, magnitude},
      s);
  check_launch("rope");
}

void append_to_cache(MatrixView k, MatrixView v, const DeviceSequence* sequences,
                     const std::int32_t* row_sequence, const CacheView& cache, Stream& stream) {
  require_same_type(k, v, "append_to_cache");
  if (k.cols != v.cols || k.rows != v.rows)
    fail(ErrorCode::internal, "append_to_cache: keys and values differ in shape");
  const cudaStream_t s = ready(stream);
  kernels_of(stream).append_to_cache(
      {on_device(k, stream), on_device(v, stream), data(sequences), row_sequence, cache.keys,
       cache.values, element_of(cache.type), cache.slot_stride, cache.row_stride},
      s);
  check_launch("append_to_cache");
}

void note_non_finite(MatrixView x, std::int32_t* flag, Stream& stream) {
  const cudaStream_t s = ready(stream);
  kernels_of(stream).note_non_finite(on_device(x, stream), flag, s);
  check_launch("note_non_finite");
}

void row_statistics(MatrixView logits, std::int32_t* argmax, double* log_sum_exp, Stream& stream) {
  const cudaStream_t s = ready(stream);
  kernels_of(stream).row_statistics(on_device(logits, stream), argmax, log_sum_exp, s);
  check_launch("row_statistics");
}

void draw_tokens(MatrixView logits, const Draw* draws, std::int32_t* tokens, Stream& stream) {
  const cudaStream_t s = ready(stream);
  kernels_of(stream).draw_tokens(on_device(logits, stream), draws, tokens, s);
  check_launch("draw_tokens");
}

void gather_elements(MatrixView logits, const std::int32_t* rows, const std::int32_t* columns,
                     std::int64_t count, float* values, Stream& stream) {
  const cudaStream_t s = ready(stream);
  kernels_of(stream).gather_elements(on_device(logits, stream), rows, columns, count, values, s);
  check_launch("gather_elements");
}

void mean_rows(MatrixView x, const DeviceSequence* sequences, int count, bool normalize,
               MatrixView y, Stream& stream) {
  const cudaStream_t s = ready(stream);
  kernels_of(stream).mean_rows(on_device(x, stream), data(sequences), count, normalize,
                               on_device(y, stream), s);
  check_launch("mean_rows");
}

}  // namespace assay::kernels::cuda
