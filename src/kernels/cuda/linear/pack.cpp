#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <mutex>

#include "base/error.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/linear/layout.h"
#include "kernels/cuda/linear/paths.h"
#include "precision/constants.h"

// Weights from host memory, tensor by tensor: stored bytes go through pinned memory to the device
// and are brought into the packed layout there.
namespace assay::kernels::cuda::linear {
namespace {

using precision::EncodedTensor;
using precision::Encoding;
using tensor::Buffer;
using tensor::Device;

constexpr std::size_t kStagingBytes = std::size_t{8} << 20;

/// Two pinned buffers of a device, taken in turn. Kept until the process ends: the driver may be
/// gone before statics are.
struct Staging {
  explicit Staging(int device) : events{Event(device), Event(device)} {}
  std::array<PinnedBuffer, 2> buffers{PinnedBuffer(kStagingBytes), PinnedBuffer(kStagingBytes)};
  std::array<Event, 2> events;
  std::array<bool, 2> used{};
  std::size_t next = 0;
  std::mutex mutex;
};

Staging& staging_of(int device) {
  static std::mutex mutex;
  static auto& all = *new std::array<Staging*, 64>{};
  const std::lock_guard lock(mutex);
  Staging*& staging = all.at(static_cast<std::size_t>(device));
  if (staging == nullptr) staging = new Staging(device);
  return *staging;
}

Device device_of(const Stream& stream) { return {tensor::DeviceKind::cuda, stream.device().index}; }

Buffer uploaded(Stream& stream, const void* from, std::size_t bytes) {
  Buffer buffer(bytes, device_of(stream));
  upload(stream, buffer.data(), from, bytes);
  return buffer;
}

void require_finite(std::span<const float> scales) {
  const auto bad =
      std::find_if(scales.begin(), scales.end(), [](float scale) { return !std::isfinite(scale); });
  if (bad == scales.end()) return;
  fail(ErrorCode::numeric, "scale {} of the weight is NaN or infinite", bad - scales.begin());
}

/// One weight on its way.
struct Packing {
  const EncodedTensor& weight;
  Stream& stream;
  const PathCode& code;
  PackedWeight packed;
  Buffer stored;  ///< of the device; kept until the stream is done with it
  FirstBad bad;

  Packing(const EncodedTensor& tensor, Stream& on)
      : weight(tensor), stream(on), code(code_of(on)), bad(on) {
    packed.n = tensor.rows;
    packed.k = tensor.cols;
    packed.device = device_of(on);
    packed.codes = Buffer(static_cast<std::size_t>(tensor.rows * row_bytes()), packed.device);
  }
  [[nodiscard]] std::int64_t row_bytes() const {
    return packed_row_bytes(weight.encoding, weight.cols);
  }
  [[nodiscard]] Repacking repacking() const {
    Repacking call;
    call.stream = stream.handle();
    call.stored = stored.as<std::uint8_t>();
    call.rows = weight.rows;
    call.cols = weight.cols;
    call.codes = const_cast<std::uint8_t*>(packed.codes.as<std::uint8_t>());
    call.row_bytes = row_bytes();
    call.scales = const_cast<std::byte*>(packed.scales.data());
    return call;
  }
  void upload_codes() {
    stored = uploaded(stream, weight.codes.bytes.data(), weight.codes.bytes.size());
  }
  void search(Search::What what, const Buffer& values, std::int64_t count) {
    code.find_not_finite({stream.handle(), what, values.as<std::uint8_t>(), count, bad.index()});
    check_launch("searching for values that are not finite");
  }
  [[noreturn]] void fail_weight(std::int64_t index) const {
    fail(ErrorCode::numeric, "the weight in row {}, column {} is NaN or infinite",
         index / weight.cols, index % weight.cols);
  }
};

/// Values or bytes as they are, rows padded.
void pack_plain(Packing& p) {
  const std::int64_t bytes = p.weight.cols * code_bits(p.weight.encoding) / 8;
  if (bytes == p.row_bytes()) {
    upload(p.stream, p.packed.codes.data(), p.weight.codes.bytes.data(),
           p.weight.codes.bytes.size());
    return;
  }
  p.upload_codes();
  p.code.repack_rows(p.repacking(), static_cast<int>(bytes));
  check_launch("packing rows");
}

void pack_values(Packing& p, Search::What what) {
  pack_plain(p);
  const Buffer& values = p.stored.size() > 0 ? p.stored : p.packed.codes;
  p.search(what, values, p.weight.elements());
  if (const std::int64_t index = p.bad.read(); index >= 0) p.fail_weight(index);
}

void pack_column_scales(Packing& p) {
  require_finite(p.weight.scales);
  p.packed.scales = uploaded(p.stream, p.weight.scales.data(), p.weight.scales.size() * 4);
}

void pack_int8(Packing& p) {
  pack_column_scales(p);
  pack_plain(p);
}

void pack_fp8(Packing& p) {
  pack_column_scales(p);
  pack_values(p, Search::fp8);
}

void pack_four_bit(Packing& p) {
  p.upload_codes();
  p.code.repack_four_bit(p.repacking());
  check_launch("packing 4-bit codes");
  if (p.weight.nested == nullptr) return pack_column_scales(p);
  const precision::DoubleQuant& nested = *p.weight.nested;
  require_finite(nested.absmax);
  require_finite({&nested.offset, 1});
  p.packed.scales = uploaded(p.stream, nested.codes.data(), nested.codes.size());
  std::vector<float> tables(precision::kSignedDynamicMap.begin(),
                            precision::kSignedDynamicMap.end());
  tables.insert(tables.end(), nested.absmax.begin(), nested.absmax.end());
  p.packed.extra = uploaded(p.stream, tables.data(), tables.size() * 4);
  p.packed.offset = nested.offset;
}

/// Blocks of 32 weights with fp16 numbers.
void pack_gguf(Packing& p, int numbers) {
  const std::int64_t scales = p.weight.elements() / precision::kGgufBlock * numbers;
  p.packed.scales = Buffer(static_cast<std::size_t>(scales) * 2, p.packed.device);
  p.upload_codes();
  if (p.weight.encoding == Encoding::q8_0) {
    p.code.repack_q8_0(p.repacking());
  } else {
    p.code.repack_q4(p.repacking(), numbers);
  }
  check_launch("packing blocks");
  p.search(Search::f16, p.packed.scales, scales);
  if (const std::int64_t index = p.bad.read(); index >= 0) {
    fail(ErrorCode::numeric, "scale {} of the weight is NaN or infinite", index);
  }
}

/// Groups along a row: scales and zeros in one buffer.
void pack_groups(Packing& p) {
  const precision::Grouping& groups = *p.weight.groups;
  require_finite(p.weight.scales);
  pack_plain(p);
  p.packed.group = groups.size;
  const std::size_t scales = p.weight.scales.size() * 4;
  p.packed.scales = Buffer(scales + groups.zeros.size(), p.packed.device);
  upload(p.stream, p.packed.scales.data(), p.weight.scales.data(), scales);
  upload(p.stream, p.packed.scales.data() + scales, groups.zeros.data(), groups.zeros.size());
  if (groups.order.empty()) return;
  p.packed.extra = uploaded(p.stream, groups.order.data(), groups.order.size() * 4);
}

void pack_codes(Packing& p) {
  switch (p.weight.encoding) {
    case Encoding::f32:
      return pack_values(p, Search::f32);
    case Encoding::f16:
      return pack_values(p, Search::f16);
    case Encoding::bf16:
      return pack_values(p, Search::bf16);
    case Encoding::int8:
      return pack_int8(p);
    case Encoding::fp8_e4m3:
      return pack_fp8(p);
    case Encoding::nf4:
    case Encoding::fp4:
      return pack_four_bit(p);
    case Encoding::q4_0:
    case Encoding::q8_0:
      return pack_gguf(p, 1);
    case Encoding::q4_1:
      return pack_gguf(p, 2);
    case Encoding::int4:
    case Encoding::uint8:
      return pack_groups(p);
    default:
      fail(ErrorCode::unsupported, "{} has no kernels for CUDA yet",
           precision::name_of(p.weight.encoding));
  }
}

}  // namespace

FirstBad::FirstBad(Stream& stream) : stream_(stream), buffer_(8, device_of(stream)) {
  stream.fill_bytes(buffer_.data(), 0xff, 8);
}

std::int64_t FirstBad::read() {
  std::int64_t index = 0;
  stream_.copy_to_host(&index, buffer_.data(), sizeof(index));
  stream_.synchronize();
  return index;
}

void upload(Stream& stream, void* to, const void* from, std::size_t bytes) {
  Staging& staging = staging_of(stream.device().index);
  const std::lock_guard lock(staging.mutex);
  for (std::size_t at = 0; at < bytes; at += kStagingBytes) {
    const std::size_t part = std::min(kStagingBytes, bytes - at);
    const std::size_t turn = staging.next++ % 2;
    if (staging.used[turn]) staging.events[turn].synchronize();
    std::memcpy(staging.buffers[turn].data(), static_cast<const std::byte*>(from) + at, part);
    stream.copy_to_device(static_cast<std::byte*>(to) + at, staging.buffers[turn].data(), part);
    staging.events[turn].record(stream);
    staging.used[turn] = true;
  }
}

PackedWeight pack(const EncodedTensor& weight, Stream& stream) {
  if (code_bits(weight.encoding) == 0) {
    fail(ErrorCode::unsupported, "{} has no kernels for CUDA yet",
         precision::name_of(weight.encoding));
  }
  Packing packing(weight, stream);
  pack_codes(packing);
  stream.synchronize();  // before what it reads is given back
  return std::move(packing.packed);
}

}  // namespace assay::kernels::cuda::linear
