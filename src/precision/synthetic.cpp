#include "precision/synthetic.h"

#include "base/thread_pool.h"

namespace assay::precision {
namespace {

using tensor::BFloat16;

/// FNV-1a over the name, begun from the seed, and a finalizer, since FNV's last bytes reach few
/// bits.
std::uint64_t hash_of(std::uint64_t seed, std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325U ^ (seed * 0x9e3779b97f4a7c15U);
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9U;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebU;
  return hash ^ (hash >> 31);
}

/// Elements [begin, end); both even but for the tensor's last. Whole pairs, so that the compiler
/// can make several of them at a time.
void fill(const SyntheticTensor& tensor, std::int64_t begin, std::int64_t end, BFloat16* out) {
  const SyntheticKey key = tensor.key;
  const float scale = tensor.scale;
  const std::int64_t last = end / 2;
  for (std::int64_t pair = begin / 2; pair < last; ++pair) {
    const PhiloxPair words = philox(static_cast<std::uint32_t>(pair), key.stream, key.key);
    out[2 * pair] = BFloat16(static_cast<float>(byte_sum(words.first)) * scale);
    out[2 * pair + 1] = BFloat16(static_cast<float>(byte_sum(words.second)) * scale);
  }
  if (end % 2 != 0) {
    out[end - 1] = synthetic_element(key, scale, static_cast<std::uint64_t>(end - 1));
  }
}

void fill_vector(const SyntheticTensor& tensor, BFloat16* out) {
  for (std::int64_t i = 0; i < tensor.cols; ++i) {
    const auto word = philox(static_cast<std::uint32_t>(i), tensor.key.stream, tensor.key.key);
    const float deviation = static_cast<float>(byte_sum(word.first)) * tensor.scale;
    out[i] = BFloat16(tensor.center + deviation);
  }
}

void apply(const SyntheticPatch& patch, const SyntheticTensor& tensor, BFloat16* out) {
  const auto row = [&](std::int64_t r) {
    for (std::size_t i = 0; i < patch.columns.size(); ++i) {
      out[r * tensor.cols + patch.columns[i]] = BFloat16(patch.values[i]);
    }
  };
  for (const std::int64_t r : patch.rows) row(r);
  for (std::int64_t r = 0; patch.rows.empty() && r < tensor.rows; ++r) row(r);
}

}  // namespace

SyntheticKey synthetic_key(std::uint64_t seed, std::string_view tensor) {
  const std::uint64_t hash = hash_of(seed, tensor);
  return {static_cast<std::uint32_t>(hash), static_cast<std::uint32_t>(hash >> 32)};
}

EncodedTensor generate(const SyntheticTensor& tensor) {
  constexpr std::int64_t kPiece = 1 << 16;  // even: a pair is never divided
  const std::int64_t count = tensor.rows * tensor.cols;
  assay::tensor::Buffer codes(static_cast<std::size_t>(count) * sizeof(BFloat16));
  auto* out = codes.as<BFloat16>();
  if (tensor.vector) {
    fill_vector(tensor, out);
  } else {
    const std::int64_t pieces = (count + kPiece - 1) / kPiece;
    base::ThreadPool pool(pieces < 4 ? 1 : base::available_threads());
    pool.parallel_for(pieces, [&](int, std::int64_t begin, std::int64_t end) {
      if (begin < end) fill(tensor, begin * kPiece, std::min(end * kPiece, count), out);
    });
  }
  for (const SyntheticPatch& patch : tensor.patches) apply(patch, tensor, out);
  return {Encoding::bf16, tensor.rows, tensor.cols, share(std::move(codes)), {}, nullptr};
}

}  // namespace assay::precision
