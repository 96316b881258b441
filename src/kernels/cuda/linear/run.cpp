#include "kernels/cuda/linear/run.h"

#include "base/error.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/linear/layout.h"
#include "precision/constants.h"

namespace assay::kernels::cuda::linear {
namespace {

using precision::Activation;
using precision::Encoding;
using tensor::DType;

class Run {
 public:
  Run(const LinearCall& call, const Entry& entry, const PathCode& code)
      : in_(call),
        entry_(entry),
        code_(code),
        activation_(static_cast<Activation>(entry.identity.activation)) {
    out_.stream = ready(call.stream);
    out_.weight = device_weight(call.weight, static_cast<Encoding>(entry.identity.encoding));
    out_.bias = call.bias;
    out_.y = on_device(call.y, call.stream);
    out_.fixed_tiles = call.fixed_tiles;
    out_.multiprocessors = call.stream.device().multiprocessors;
    if (call.x.cols != call.weight.k || call.y.cols != call.weight.n ||
        call.x.rows != call.y.rows) {
      fail(ErrorCode::internal, "{} x {} activations, a weight of {} x {}, {} x {} results",
           call.x.rows, call.x.cols, call.weight.n, call.weight.k, call.y.rows, call.y.cols);
    }
  }

  Identity launch() {
    if (in_.x.rows == 0) return entry_.identity;
    switch (activation_) {
      case Activation::int8_dynamic:
      case Activation::int8_static:
        quantize_int8();
        break;
      case Activation::fp8_dynamic:
        quantize_fp8();
        break;
      default:
        use_values();
    }
    const Identity identity = entry_.run(out_);
    check_launch("a linear kernel");
    return identity;
  }

 private:
  /// x as it is if its rows are whole chunks of the operand type, else a copy.
  void use_values() {
    const DType type = tensor::held_as(static_cast<DType>(entry_.identity.compute));
    const auto size = static_cast<std::int64_t>(tensor::size_of(type));
    if (out_.weight.scales != nullptr) out_.column_factor = column_factor();
    out_.x.m = static_cast<std::int32_t>(in_.x.rows);
    if (in_.x.type == type && out_.weight.order == nullptr && in_.x.cols * size % 16 == 0 &&
        in_.x.stride * size % 16 == 0 && reinterpret_cast<std::uintptr_t>(in_.x.data) % 16 == 0) {
      out_.x.data = static_cast<const std::uint8_t*>(in_.x.data);
      out_.x.stride = in_.x.stride * size;
      out_.x.row_bytes = static_cast<std::int32_t>(in_.x.cols * size);
      return;
    }
    const std::int64_t row_bytes = round_up(in_.x.cols * size, 16);
    std::byte* to =
        in_.workspace.get(Workspace::kActivation, static_cast<std::size_t>(row_bytes * in_.x.rows));
    code_.convert({out_.stream, on_device(in_.x, in_.stream), element_of(type), to,
                   row_bytes / size, out_.weight.order});
    check_launch("converting activations");
    set_operand(to, row_bytes);
  }

  void set_operand(const void* data, std::int64_t row_bytes) {
    out_.x = {static_cast<const std::uint8_t*>(data), row_bytes,
              static_cast<std::int32_t>(row_bytes), static_cast<std::int32_t>(in_.x.rows)};
  }

  [[nodiscard]] float column_factor() const {
    return static_cast<Encoding>(entry_.identity.encoding) == Encoding::int8
               ? precision::kInverse127
               : 1.0F;
  }

  [[nodiscard]] Quantization quantization() {
    Quantization q;
    q.stream = out_.stream;
    q.x = on_device(in_.x, in_.stream);
    q.padded = round_up(in_.x.cols, 16);
    q.codes = in_.workspace.array<std::uint8_t>(Workspace::kCodes, q.padded * in_.x.rows);
    q.row_scales = in_.workspace.array<float>(Workspace::kScales, in_.x.rows);
    out_.row_scales = q.row_scales;
    out_.column_factor = column_factor();
    set_operand(q.codes, q.padded);
    return q;
  }

  void quantize_int8() {
    Quantization q = quantization();
    if (activation_ == Activation::int8_static) {
      if (!(in_.activation_range > 0.0F)) {
        fail(ErrorCode::internal, "static int8 activations without a range");
      }
      q.static_range = in_.activation_range;
    } else {
      take_out(q);
    }
    out_.row_factor = precision::kInverse127;  // row scales are magnitudes of code 127
    code_.quantize_int8(q);
    check_launch("quantizing activations to int8");
  }

  /// Where the outlier columns of LLM.int8() are written. Their number is known to the device
  /// alone.
  void take_out(Quantization& q) {
    const bool fixed = in_.fixed_outliers != nullptr;
    if (!fixed && !(in_.threshold > 0.0F)) return;
    const std::int64_t words = (in_.x.cols + 31) / 32;
    auto* memory = in_.workspace.array<std::int32_t>(Workspace::kOutlier, 1 + words + in_.x.cols);
    q.threshold = in_.threshold;
    q.count = memory;
    q.bitmap = reinterpret_cast<std::uint32_t*>(memory + 1);
    q.columns = memory + 1 + words;
    q.found = in_.outlier_columns;
    if (fixed) {
      q.fixed_columns = in_.fixed_outliers;
      q.fixed_count = in_.fixed_outlier_count;
    }
    out_.outliers = {q.columns, q.count, q.x};
  }

  void quantize_fp8() {
    code_.quantize_fp8(quantization());
    check_launch("quantizing activations to fp8");
  }

  const LinearCall& in_;
  const Entry& entry_;
  const PathCode& code_;
  Activation activation_;
  Call out_;
};

}  // namespace

Identity run(const LinearCall& call, const Entry& entry, const PathCode& code) {
  return Run(call, entry, code).launch();
}

Identity lookup(const PackedWeight& weight, precision::Encoding encoding, const std::int32_t* ids,
                tensor::MatrixView y, Stream& stream, const LookupEntry& entry) {
  if (y.rows == 0) return entry.identity;
  const Lookup call{ready(stream), device_weight(weight, encoding), ids, on_device(y, stream)};
  const Identity identity = entry.run(call);
  check_launch("looking rows up");
  return identity;
}

}  // namespace assay::kernels::cuda::linear
