#include <algorithm>

#include "base/error.h"
#include "kernels/cuda/attention/attention_kernels.h"
#include "kernels/cuda/elementwise.h"
#include "kernels/cuda/launch.h"

namespace assay::kernels::cuda {
namespace {

constexpr std::int64_t kWidestHead = 256;
constexpr int kLongestTile = 64;

AttentionKernels kernels_of(const Stream& stream) {
  switch (stream.device().path) {
#define ASSAY_CUDA_CASE(path) \
  case Path::path:            \
    return path::attention_kernels();
    ASSAY_CUDA_EACH_PATH(ASSAY_CUDA_CASE)
#undef ASSAY_CUDA_CASE
    default:
      fail(ErrorCode::internal, "{} is not compiled", name_of(stream.device().path));
  }
}

bool aligned(const void* memory, std::int64_t stride) {
  return reinterpret_cast<std::uintptr_t>(memory) % 16 == 0 && stride % 8 == 0;
}

/// Tensor cores take 16-bit types alone, one for all, in pieces of 16 bytes.
bool on_tensor_cores(const AttentionCall& call, Path path) {
  const tensor::DType type = call.q.type;
  if (type == tensor::DType::f32 || call.cache.type != type || call.out.type != type) return false;
  if (type == tensor::DType::bf16 && path == Path::sm75) return false;
  return call.head_dim % 8 == 0 && aligned(call.q.data, call.q.stride) &&
         call.out.stride % 2 == 0 && reinterpret_cast<std::uintptr_t>(call.out.data) % 4 == 0 &&
         aligned(call.cache.keys, call.cache.row_stride) &&
         aligned(call.cache.values, call.cached ? call.cache.slot_stride : 0);
}

/// Cuts the keys of few queries into parts, so that every multiprocessor has some to read. A part
/// is whole tiles. Measured on an H100 (32 heads, 8 for keys, of 128, one query of 8,192 keys): a
/// warp takes 6 us for a tile, so that even parts of one tile pay.
void choose_parts(const AttentionCall& call, const DeviceInfo& device, AttentionArguments& a) {
  constexpr std::int64_t kBlocksPerMultiprocessor = 8;
  constexpr std::int64_t kMostParts = 256;
  const std::int64_t keys =
      call.window > 0 ? std::min<std::int64_t>(call.most_keys, call.window) : call.most_keys;
  const std::int64_t blocks = call.kv_heads * call.sequence_count;
  const std::int64_t wanted = std::min(
      {device.multiprocessors * kBlocksPerMultiprocessor / std::max<std::int64_t>(blocks, 1),
       keys / kLongestTile, kMostParts});
  if (wanted < 2) return;
  // Of a window in a long cache most parts have nothing to do: they may not be too many.
  const std::int64_t least = std::max(keys / wanted, call.most_keys / kMostParts);
  const std::int64_t length = (least + kLongestTile - 1) / kLongestTile * kLongestTile;
  a.part_keys = static_cast<int>(length);
  a.parts = static_cast<int>((call.most_keys + length - 1) / length);
}

void require_supported(const AttentionCall& call, const Stream& stream) {
  std::string why;
  if (!attention_supports(call, stream.device(), &why)) fail(ErrorCode::unsupported, "{}", why);
  if (call.q.cols != call.heads * call.head_dim || call.out.cols != call.q.cols)
    fail(ErrorCode::internal, "attention: {} columns for {} heads of {}", call.q.cols, call.heads,
         call.head_dim);
}

}  // namespace

bool attention_supports(const AttentionCall& call, const DeviceInfo& /*device*/, std::string* why) {
  const auto refuse = [&](std::string reason) {
    if (why != nullptr) *why = std::move(reason);
    return false;
  };
  if (call.head_dim < 1 || call.head_dim > kWidestHead) {
    return refuse(fmt::format("attention on CUDA takes heads of 1 to {} columns, not {}",
                              kWidestHead, call.head_dim));
  }
  if (call.cache.type == tensor::DType::i8) {
    return refuse("attention on CUDA reads keys and values of 16 or 32 bits, not int8");
  }
  if (call.kv_heads < 1 || call.heads < 1 || call.heads % call.kv_heads != 0) {
    return refuse(
        fmt::format("{} heads are no multiple of {} key-value heads", call.heads, call.kv_heads));
  }
  return true;
}

void attention(const AttentionCall& call, Stream& stream, Workspace& workspace) {
  if (call.sequence_count == 0 || call.most_queries == 0) return;
  const cudaStream_t s = ready(stream);
  require_supported(call, stream);
  AttentionArguments a = {};
  a.q = on_device(call.q, stream);
  a.out = on_device(call.out, stream);
  a.keys = call.cache.keys;
  a.values = call.cache.values;
  a.kv = element_of(call.cache.type);
  a.slot_stride = call.cache.slot_stride;
  a.row_stride = call.cache.row_stride;
  a.cached = call.cached;
  a.heads = static_cast<int>(call.heads);
  a.kv_heads = static_cast<int>(call.kv_heads);
  a.head_dim = static_cast<int>(call.head_dim);
  a.scale = call.scale;
  a.soft_cap = call.soft_cap;
  a.causal = call.causal;
  a.window = call.window;
  a.sinks = call.sinks;
  a.sequences = reinterpret_cast<const SequenceData*>(call.sequences);
  a.sequence_count = call.sequence_count;
  a.most_queries = call.most_queries;

  const AttentionKernels kernels = kernels_of(stream);
  const bool tensor_cores = on_tensor_cores(call, stream.device().path);
  const std::int64_t rows = call.most_queries * (call.heads / call.kv_heads);
  const auto count = rows <= (tensor_cores ? 16 : 8) ? AttentionRows::few : AttentionRows::many;
  if (count == AttentionRows::few && !call.fixed_tiles) choose_parts(call, stream.device(), a);
  if (a.parts > 0) {
    a.partial = workspace.array<float>(Workspace::kAttention,
                                       call.q.rows * call.heads * a.parts * (call.head_dim + 2));
  }
  (tensor_cores ? kernels.tensor_cores : kernels.fma)(a, count, s);
  check_launch("attention");
  if (a.parts > 0) {
    kernels.combine(a, s);
    check_launch("attention, parts put together");
  }
}

}  // namespace assay::kernels::cuda
