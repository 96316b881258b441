#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <utility>

#include "precision/constants.h"
#include "precision/encodings/four_bit.h"

namespace assay::precision {
namespace {

constexpr auto kBlock = static_cast<std::size_t>(kNestedBlock);

constexpr std::array<float, 255> map_bounds() {
  std::array<float, 255> bounds{};
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    bounds[i] = (kSignedDynamicMap[i] + kSignedDynamicMap[i + 1]) / 2.0F;
  }
  return bounds;
}
constexpr std::array<float, 255> kMapBounds = map_bounds();

/// Nearest entry of the signed dynamic map; the lower one at a midpoint.
std::uint8_t map_code(float scaled) {
  const auto at = std::lower_bound(kMapBounds.begin(), kMapBounds.end(), scaled);
  return static_cast<std::uint8_t>(at - kMapBounds.begin());
}

void quantize_block(std::span<const float> scales, float offset, std::uint8_t* codes,
                    float& absmax) {
  absmax = 0.0F;
  for (const float s : scales) absmax = std::max(absmax, std::fabs(s - offset));
  if (!std::isfinite(absmax)) fail(ErrorCode::numeric, "a block scale is too large to quantize");
  // The reciprocal of a denormal absmax may be infinite; a block of zeros must stay zeros.
  const float reciprocal = 1.0F / std::max(absmax, 1e-38F);
  const bool partial = scales.size() < kBlock;
  for (std::size_t i = 0; i < scales.size(); ++i) {
    const float centred = scales[i] - offset;
    const float scaled = partial ? centred / std::max(absmax, 1e-38F) : centred * reciprocal;
    codes[i] = map_code(scaled);
  }
}

void require_four_bit(const EncodedTensor& tensor) {
  if (tensor.encoding == Encoding::nf4 || tensor.encoding == Encoding::fp4) return;
  fail(ErrorCode::internal, "{} has no block scales of its own", name_of(tensor.encoding));
}

}  // namespace

float scale_offset(std::span<const float> scales) {
  if (scales.empty()) return 0.0F;
  double sum = 0.0;
  for (const float v : scales) sum += v;
  return static_cast<float>(sum / static_cast<double>(scales.size()));
}

void quantize_scales(EncodedTensor& tensor, float offset) {
  require_four_bit(tensor);
  if (tensor.nested != nullptr) return;
  auto nested = std::make_shared<DoubleQuant>();
  const std::span<const float> scales = tensor.scales;
  nested->offset = offset;
  nested->codes.resize(scales.size());
  nested->absmax.resize((scales.size() + kBlock - 1) / kBlock);
  for (std::size_t at = 0; at < scales.size(); at += kBlock) {
    quantize_block(scales.subspan(at, std::min(kBlock, scales.size() - at)), offset,
                   nested->codes.data() + at, nested->absmax[at / kBlock]);
  }
  tensor.nested = std::move(nested);
  tensor.scales = {};
}

void quantize_scales(EncodedTensor& tensor) {
  quantize_scales(tensor, scale_offset(tensor.scales));
}

std::vector<float> block_scales(const EncodedTensor& tensor) {
  require_four_bit(tensor);
  const std::int64_t count = four_bit_scale_count(tensor.rows, tensor.cols);
  std::vector<float> scales(static_cast<std::size_t>(count));
  for (std::int64_t b = 0; b < count; ++b)
    scales[static_cast<std::size_t>(b)] = block_scale(tensor, b);
  return scales;
}

}  // namespace assay::precision
