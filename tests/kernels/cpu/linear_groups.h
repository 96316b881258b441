#pragma once

#include <algorithm>
#include <numeric>
#include <ostream>

#include "kernels/cpu/linear_testing.h"

// Weights of random codes for encodings that are only read: int4 and uint8 in groups.
namespace assay::kernels::cpu::testing {

/// A weight in groups, or in fp8 without.
struct Form {
  Encoding encoding;
  std::int64_t n;
  std::int64_t k;
  std::int64_t group;
  bool shuffled;
};
inline std::ostream& operator<<(std::ostream& out, const Form& f) {
  return out << precision::name_of(f.encoding) << " [" << f.n << ", " << f.k << "] by " << f.group
             << (f.shuffled ? ", act-order" : "");
}

inline std::shared_ptr<const precision::Grouping> random_groups(const Form& form,
                                                                std::mt19937& random) {
  auto groups = std::make_shared<precision::Grouping>();
  groups->size = form.group;
  const std::int64_t count = form.n * ((form.k + form.group - 1) / form.group);
  const unsigned levels = form.encoding == Encoding::int4 ? 16 : 256;
  for (std::int64_t i = 0; i < count; ++i) {
    groups->zeros.push_back(static_cast<std::uint8_t>(random() % levels));
  }
  if (form.shuffled) {
    groups->order.resize(static_cast<std::size_t>(form.k));
    std::iota(groups->order.begin(), groups->order.end(), 0);
    std::shuffle(groups->order.begin(), groups->order.end(), random);
  }
  return groups;
}

/// Scales of 16 bits, as checkpoints have them: decoding is then exact in f32.
inline EncodedTensor grouped_weight(const Form& form) {
  std::mt19937 random(static_cast<unsigned>(form.n * 1000 + form.k));
  const auto bytes = precision::info(form.encoding).code_bytes(form.n, form.k);
  tensor::Buffer codes(static_cast<std::size_t>(bytes));
  const bool fp8 = form.encoding == Encoding::fp8_e4m3;
  for (std::size_t i = 0; i < codes.size(); ++i) {
    auto code = static_cast<std::uint8_t>(random());
    if (fp8 && (code & 0x7fU) == 0x7fU) code = 0x7e;  // NaN is refused
    codes.data()[i] = static_cast<std::byte>(code);
  }
  EncodedTensor weight{.encoding = form.encoding,
                       .rows = form.n,
                       .cols = form.k,
                       .codes = precision::share(std::move(codes)),
                       .scales = {}};
  if (!fp8) weight.groups = random_groups(form, random);
  const std::size_t scales = fp8 ? static_cast<std::size_t>(form.n) : weight.groups->zeros.size();
  for (std::size_t i = 0; i < scales; ++i) {
    const float scale = 0.001F + 0.0001F * static_cast<float>(random() % 100);
    weight.scales.push_back(tensor::rounded<tensor::Float16>(scale));
  }
  return weight;
}

}  // namespace assay::kernels::cpu::testing
