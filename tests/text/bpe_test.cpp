#include "text/bpe.h"

#include <gtest/gtest.h>

#include <map>

#include "base/cpu_clock.h"
#include "base/hash.h"
#include "text/support.h"

namespace assay::text {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// The definition, read literally: as long as any pair can be merged, merge the leftmost of lowest
/// rank.
std::vector<std::string> merge_slowly(std::string_view text, const Pairs& merges) {
  std::map<std::pair<std::string, std::string>, std::size_t> ranks;
  for (std::size_t i = 0; i < merges.size(); ++i) ranks.emplace(merges[i], i);
  std::vector<std::string> parts;
  for (const char c : text) parts.emplace_back(1, c);
  for (;;) {
    std::size_t best_rank = merges.size();
    std::size_t best = 0;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = ranks.find({parts[i], parts[i + 1]});
      if (found != ranks.end() && found->second < best_rank) {
        best_rank = found->second;
        best = i;
      }
    }
    if (best_rank == merges.size()) return parts;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

/// Random merges over three letters, each result new.
Pairs random_merges(base::Random& random, std::size_t count) {
  std::vector<std::string> pieces = {"a", "b", "c"};
  Pairs merges;
  while (merges.size() < count) {
    const std::string left = pieces[random.below(pieces.size())];
    const std::string right = pieces[random.below(pieces.size())];
    if (std::ranges::find(pieces, left + right) != pieces.end()) continue;
    merges.emplace_back(left, right);
    pieces.push_back(left + right);
  }
  return merges;
}

TEST(Bpe, MergesAsDefined) {
  base::Random random(5);
  for (int round = 0; round < 40; ++round) {
    const Pairs merges = random_merges(random, 5 + random.below(60));
    const auto tokenizer = from_json(byte_level_json(merges));
    for (int i = 0; i < 20; ++i) {
      std::string text;
      const std::size_t length = 1 + random.below(80);
      while (text.size() < length) text += static_cast<char>('a' + random.below(3));
      std::vector<std::string> pieces;
      for (const TokenId id : tokenizer->encode(text)) pieces.push_back(tokenizer->token(id));
      ASSERT_EQ(pieces, merge_slowly(text, merges)) << text;
    }
  }
}

TEST(Bpe, ThreeMegabytesInOnePiece) {
  Pairs merges = {{"a", "a"}};
  for (int i = 0; i < 10; ++i) {
    const std::string last = merges.back().first + merges.back().second;
    merges.emplace_back(last, last);
  }
  const auto tokenizer = from_json(byte_level_json(merges));
  const std::string text(3'000'000, 'a');
  const testing::CpuClock clock;
  const Ids ids = tokenizer->encode(text);
  EXPECT_LT(clock.seconds(), 60.0);
  EXPECT_EQ(ids.size(), 3'000'000u / 2048 + 4);  // 1728 is left: 1024 + 512 + 128 + 64
  EXPECT_EQ(tokenizer->decode(ids), text);
}

TEST(Bpe, EveryByteComesBack) {
  const auto tokenizer = from_json(byte_level_json({}));
  std::string text;
  for (char32_t c = 0; c < 0x3000; ++c) {
    text += c < 0x80 ? std::string(1, static_cast<char>(c)) : std::string();
    if (c >= 0x80 && c < 0x800) {
      text += static_cast<char>(0xC0 | (c >> 6));
      text += static_cast<char>(0x80 | (c & 0x3F));
    }
  }
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
  for (int byte = 0; byte < 256; ++byte) {
    const std::string one(1, static_cast<char>(byte));
    EXPECT_EQ(piece_to_bytes(bytes_to_piece(one)), one);
  }
  EXPECT_EQ(bytes_to_piece(" a\n"), "ĠaĊ");
  EXPECT_EQ(piece_to_bytes("a b"), std::nullopt);
}

TEST(Bpe, DroppedBytesLetTheirNeighboursMerge) {
  Json json = byte_level_json({{"a", "c"}});
  json["model"]["vocab"].erase("b");
  EXPECT_EQ(from_json(json)->encode("abbc"), (Ids{256}));
}

TEST(Bpe, BytesWithoutAPiece) {
  Json json = byte_level_json({});
  json["model"]["vocab"].erase("b");
  json["model"]["vocab"]["<unk>"] = 98;
  EXPECT_EQ(from_json(json)->encode("abbc"), (Ids{97, 99}));
  json["model"]["unk_token"] = "<unk>";
  EXPECT_EQ(from_json(json)->encode("abbc"), (Ids{97, 98, 98, 99}));
  json["model"]["fuse_unk"] = true;
  EXPECT_EQ(from_json(json)->encode("abbcb"), (Ids{97, 98, 99, 98}));
}

}  // namespace
}  // namespace assay::text
