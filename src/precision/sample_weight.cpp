#include "precision/sample_weight.h"

#include <algorithm>
#include <cmath>

#include "base/hash.h"
#include "precision/encodings/blocks.h"

namespace assay::precision {
namespace {

constexpr double kDeviation = 0.05;

/// Random blocks; their first fp16 number makes values of the wanted size, a second one a tenth.
EncodedTensor random_blocks(const EncodingInfo& info, std::int64_t rows, std::int64_t cols,
                            base::Random& random) {
  const BlockForm& form = *info.blocks;
  tensor::Buffer codes(static_cast<std::size_t>(info.code_bytes(rows, cols)));
  for (std::size_t i = 0; i < codes.size(); ++i) {
    codes.data()[i] = static_cast<std::byte>(random.next() >> 56U);
  }
  BlockCodes block;
  for (std::int64_t at = 0; at < rows * cols / form.block; ++at) {
    std::byte* bytes = codes.data() + at * form.bytes;
    store(bytes + form.number_at, tensor::Float16(1.0F));
    if (form.numbers() == 2) store(bytes + form.number_at + 2, tensor::Float16(0.1F));
    form.unpack(bytes, block);
    double squares = 0.0;
    for (int i = 0; i < form.block; ++i) {
      const float value = code_value(form, block.codes[static_cast<std::size_t>(i)]);
      squares += std::pow(value * group_scale(form, block, i / form.group).scale, 2.0);
    }
    const double size = std::max(std::sqrt(squares / form.block), 1.0);
    const auto d = static_cast<float>(kDeviation / size);
    store(bytes + form.number_at, tensor::Float16(d));
    if (form.numbers() == 2) store(bytes + form.number_at + 2, tensor::Float16(d / 10.0F));
  }
  return {info.id, rows, cols, share(std::move(codes)), {}, nullptr};
}

}  // namespace

EncodedTensor sample_weight(Encoding encoding, std::int64_t rows, std::int64_t cols,
                            std::uint64_t seed) {
  base::Random random(seed);
  const EncodingInfo& row = info(encoding);
  if (row.encode == nullptr && row.blocks == nullptr) {
    fail(ErrorCode::unsupported, "no weights are made up in {}: it is only read", row.name);
  }
  if (row.encode == nullptr) return random_blocks(row, rows, cols, random);
  std::vector<float> values(static_cast<std::size_t>(checked_elements(rows, cols)));
  std::ranges::generate(values, [&] { return static_cast<float>(kDeviation * random.normal()); });
  return row.encode(values, rows, cols);
}

}  // namespace assay::precision
