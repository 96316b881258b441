#include <algorithm>
#include <vector>

#include "base/error.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/linear/layout.h"
#include "kernels/cuda/linear/paths.h"
#include "precision/constants.h"

// Floating weights that lie on the device into their packed encoding there.
namespace assay::kernels::cuda {
namespace linear {
namespace {

using precision::Encoding;
using tensor::Buffer;

struct Encoder {
  tensor::MatrixView weight;
  Encoding encoding;
  Stream& stream;
  const PathCode& code;
  PackedWeight packed;
  FirstBad bad;

  Encoder(const tensor::MatrixView& from, Encoding to, Stream& on)
      : weight(from), encoding(to), stream(on), code(code_of(on)), bad(on) {
    packed.n = weight.rows;
    packed.k = weight.cols;
    packed.device = weight.device;
    packed.codes = Buffer(static_cast<std::size_t>(weight.rows * row_bytes()), weight.device);
  }
  [[nodiscard]] std::int64_t row_bytes() const { return packed_row_bytes(encoding, weight.cols); }
  void reserve_scales(std::int64_t count) {
    packed.scales = Buffer(static_cast<std::size_t>(count) * 4, weight.device);
  }
  void require_good(std::string_view what) {
    const std::int64_t row = bad.read();
    if (row < 0) return;
    fail(ErrorCode::numeric, "row {} of the weight has a value that is NaN, infinite or {}", row,
         what);
  }
};

void encode_values(Encoder& e) {
  const std::int64_t size = code_bits(e.encoding) / 8;
  const auto type = e.encoding == Encoding::f32   ? Element::f32
                    : e.encoding == Encoding::f16 ? Element::f16
                                                  : Element::bf16;
  const auto what = e.encoding == Encoding::f32   ? Search::f32
                    : e.encoding == Encoding::f16 ? Search::f16
                                                  : Search::bf16;
  const std::int64_t padded = e.row_bytes() / size;
  e.code.convert(
      {ready(e.stream), on_device(e.weight, e.stream), type, e.packed.codes.data(), padded});
  check_launch("converting a weight");
  e.code.find_not_finite({e.stream.handle(), what, e.packed.codes.as<std::uint8_t>(),
                          e.weight.rows * padded, e.bad.index()});
  check_launch("searching for values that are not finite");
  const std::int64_t index = e.bad.read();
  if (index < 0) return;
  fail(ErrorCode::numeric, "the weight in row {}, column {} is NaN, infinite or too large for {}",
       index / padded, index % padded, precision::name_of(e.encoding));
}

void encode_rows(Encoder& e) {
  e.reserve_scales(e.weight.rows);
  const Encoding8 call{
      ready(e.stream), on_device(e.weight, e.stream), e.packed.codes.as<std::uint8_t>(),
      e.row_bytes(),   e.packed.scales.as<float>(),   e.bad.index()};
  if (e.encoding == Encoding::int8) {
    e.code.encode_int8(call);
  } else {
    e.code.encode_fp8(call);
  }
  check_launch("encoding a weight");
  e.require_good(e.encoding == Encoding::int8 ? "too large for fp16, which int8 rounds to"
                                              : "too large");
}

void encode_blocks(Encoder& e) {
  if (e.weight.cols % precision::kFourBitBlock != 0) {
    fail(ErrorCode::unsupported, "a depth of {} is no multiple of {}", e.weight.cols,
         precision::kFourBitBlock);
  }
  e.reserve_scales(e.weight.rows * e.weight.cols / precision::kFourBitBlock);
  Encoding4 call;
  call.stream = ready(e.stream);
  call.weight = on_device(e.weight, e.stream);
  call.codes = e.packed.codes.as<std::uint8_t>();
  call.row_bytes = e.row_bytes();
  call.scales = e.packed.scales.as<float>();
  call.bad = e.bad.index();
  const bool fp4 = e.encoding == Encoding::fp4;
  const auto& bounds = fp4 ? precision::kFp4Bounds : precision::kNf4Bounds;
  const auto& order = fp4 ? precision::kFp4Order : precision::kNf4Order;
  std::copy(bounds.begin(), bounds.end(), call.bounds);
  std::copy(order.begin(), order.end(), call.order);
  e.code.encode_four_bit(call);
  check_launch("encoding a weight");
  e.require_good("too large");
}

/// The offset is a sum in order, made where the reference makes it; the codes are the device's
/// work.
void nest_scales(Encoder& e) {
  const auto count = static_cast<std::int64_t>(e.packed.scales.size() / 4);
  std::vector<float> scales(static_cast<std::size_t>(count));
  e.stream.copy_to_host(scales.data(), e.packed.scales.data(), e.packed.scales.size());
  e.stream.synchronize();
  e.packed.offset = precision::scale_offset(scales);
  const std::int64_t blocks = (count + precision::kNestedBlock - 1) / precision::kNestedBlock;
  const auto& map = precision::kSignedDynamicMap;
  e.packed.extra = Buffer((map.size() + static_cast<std::size_t>(blocks)) * 4, e.weight.device);
  upload(e.stream, e.packed.extra.data(), map.data(), map.size() * 4);
  Buffer codes(static_cast<std::size_t>(count), e.weight.device);
  e.code.nest({ready(e.stream), e.packed.scales.as<float>(), count, e.packed.offset,
               e.packed.extra.as<float>(), codes.as<std::uint8_t>(), e.bad.index()});
  check_launch("quantizing scales");
  if (e.bad.read() >= 0) fail(ErrorCode::numeric, "a block scale is too large to quantize");
  e.packed.scales = std::move(codes);
}

}  // namespace
}  // namespace linear

bool can_encode_on_device(precision::Encoding encoding, bool double_quant) {
  using precision::Encoding;
  switch (encoding) {
    case Encoding::nf4:
    case Encoding::fp4:
      return true;
    case Encoding::f32:
    case Encoding::f16:
    case Encoding::bf16:
    case Encoding::int8:
    case Encoding::fp8_e4m3:
      return !double_quant;
    default:
      return false;
  }
}

PackedWeight encode_on_device(tensor::MatrixView weight, precision::Encoding encoding,
                              bool double_quant, const LinearKernel& kernel, Stream& stream) {
  if (!can_encode_on_device(encoding, double_quant) || kernel.identity.encoding != encoding) {
    fail(ErrorCode::internal, "{} is not encoded on the device for {}",
         precision::name_of(encoding), kernel.identity.kernel);
  }
  linear::Encoder encoder(weight, encoding, stream);
  switch (encoding) {
    case precision::Encoding::int8:
    case precision::Encoding::fp8_e4m3:
      linear::encode_rows(encoder);
      break;
    case precision::Encoding::nf4:
    case precision::Encoding::fp4:
      linear::encode_blocks(encoder);
      if (double_quant) linear::nest_scales(encoder);
      break;
    default:
      linear::encode_values(encoder);
  }
  return std::move(encoder.packed);
}

}  // namespace assay::kernels::cuda
