#include <gtest/gtest.h>

#include <array>

#include "base/hash.h"
#include "files/file_bytes.h"
#include "files/gguf.h"
#include "files/safetensors.h"

// Damaged files end in an Error or in a file whose every byte can be read; a build with sanitizers
// makes this a test of every access.

namespace assay::files {
namespace {

using base::Random;
using Reader = TensorFile (*)(const RawFile&);

constexpr int kRounds = 20'000;

void damage(std::string& bytes, Random& random) {
  constexpr std::array<std::uint64_t, 8> kNumbers = {0,
                                                     1,
                                                     0x7fffffff,
                                                     0x80000000,
                                                     0xffffffff,
                                                     0x7fffffffffffffff,
                                                     0x8000000000000000,
                                                     0xffffffffffffffff};
  const auto place = [&] { return random.below(bytes.size()); };
  switch (random.below(6)) {
    case 0:
      bytes[place()] ^= static_cast<char>(1U << random.below(8));
      break;
    case 1:
      bytes[place()] = static_cast<char>(random.next());
      break;
    case 2:
      bytes.resize(place() + 1);
      break;
    case 3:
      bytes.insert(place(), 1 + random.below(9), static_cast<char>(random.next()));
      break;
    case 4: {  // digits and JSON's own signs, which reach further than noise does
      constexpr std::string_view kSigns = "0123456789{}[]\":,-.eE\\ ";
      bytes[place()] = kSigns[random.below(kSigns.size())];
      break;
    }
    default: {
      const std::uint64_t number = kNumbers[random.below(kNumbers.size())] + random.below(3) - 1;
      const std::size_t at = place();
      bytes.replace(at, std::min<std::size_t>(8, bytes.size() - at),
                    reinterpret_cast<const char*>(&number), 8);
    }
  }
}

/// Reads all that a file claims to hold, as a caller would.
std::uint64_t use(const TensorFile& file) {
  std::uint64_t sum = file.metadata().dump().size();
  for (const StoredTensor& tensor : file.tensors()) {
    EXPECT_EQ(file.find(tensor.name), &tensor);
    for (const std::byte b : tensor.bytes) sum += static_cast<std::uint64_t>(b);
    if (!tensor.is_weight) continue;
    const auto matrix = file.encoded(tensor);
    std::vector<float> row(static_cast<std::size_t>(matrix.cols));
    for (std::int64_t r = 0; r < matrix.rows && matrix.cols > 0; ++r) {
      precision::info(matrix.encoding).decode_row(matrix, r, row);
    }
  }
  return sum;
}

void fuzz(const std::string& valid, Reader read, std::uint64_t seed) {
  Random random(seed);
  int accepted = 0;
  int refused = 0;
  std::uint64_t sum = use(read(testing::raw_file(valid, "valid")));
  for (int round = 0; round < kRounds; ++round) {
    std::string bytes = valid;
    for (std::uint64_t i = 0; i <= random.below(3); ++i) damage(bytes, random);
    try {
      sum += use(read(testing::raw_file(bytes, "damaged")));
      ++accepted;
    } catch (const Error& error) {
      EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(ErrorCode::bad_data))
          << error.what();
      const std::string_view message = error.what();
      EXPECT_TRUE(message.starts_with("damaged: field '")) << message;
      EXPECT_NE(message.find("' at byte "), std::string_view::npos) << message;
      EXPECT_EQ(message.find('\n'), std::string_view::npos);
      ++refused;
    }
  }
  EXPECT_GT(sum, 0U);
  // A test in which one outcome never comes would prove little.
  EXPECT_GT(accepted, kRounds / 100);
  EXPECT_GT(refused, kRounds / 4);
}

TEST(Fuzz, DamagedGguf) { fuzz(testing::sample_gguf().data(), read_gguf, 1); }

TEST(Fuzz, DamagedSafetensors) {
  const std::string header = R"({"__metadata__":{"format":"pt","k\u00e9y":"v\n"},)"
                             R"("model.embed":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]},)"
                             R"("model.ids":{"dtype":"I64","shape":[1],"data_offsets":[12,20]},)"
                             R"("model.norm":{"dtype":"F32","shape":[2],"data_offsets":[20,28]}} )";
  fuzz(testing::safetensors(header, 28), read_safetensors, 2);
}

}  // namespace
}  // namespace assay::files
