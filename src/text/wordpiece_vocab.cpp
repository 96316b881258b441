#include <fmt/format.h>

#include "base/error.h"
#include "base/io.h"
#include "text/loaders.h"

namespace assay::text {
namespace {

std::vector<VocabularyEntry> read_lines(const std::filesystem::path& file) {
  const std::string content = base::read_text(file, std::size_t{256} << 20);
  std::vector<VocabularyEntry> entries;
  for (std::size_t begin = 0; begin < content.size();) {
    std::size_t end = content.find('\n', begin);
    if (end == std::string::npos) end = content.size();
    std::string_view line(content.data() + begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    entries.push_back({std::string(line), static_cast<TokenId>(entries.size())});
    begin = end + 1;
  }
  return entries;
}

}  // namespace

TokenizerParts parts_from_vocab(const std::filesystem::path& file,
                                const BertNormalizer& normalizer) {
  const std::string where = base::printable(file.native(), 1000);
  TokenizerParts parts;
  parts.vocabulary = std::make_unique<const Vocabulary>(read_lines(file), where);
  parts.normalizer.emplace_back(normalizer);
  parts.pre_tokenizer.emplace_back(BertStep{});
  parts.model = WordPiece(*parts.vocabulary, WordPieceOptions{}, where);
  std::vector<AddedToken> special;
  for (const char* name : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) {
    const auto id = parts.vocabulary->find(name);
    if (!id) continue;
    AddedToken token;
    token.id = *id;
    token.content = name;
    token.special = true;
    special.push_back(std::move(token));
  }
  parts.added =
      AddedTokens(std::move(special), parts.normalizer, MatchOrder::leftmost_longest, where);
  const auto required = [&](const char* name) {
    const auto id = parts.vocabulary->find(name);
    if (!id) fail(ErrorCode::bad_data, "{}: {} is not in the vocabulary", where, name);
    return *id;
  };
  parts.prefix.push_back(required("[CLS]"));
  parts.suffix.push_back(required("[SEP]"));
  parts.pad = parts.vocabulary->find("[PAD]");
  parts.decoder.emplace_back(WordPieceDecoder{});
  return parts;
}

std::unique_ptr<Tokenizer> load_wordpiece_vocab(const std::filesystem::path& file, bool lowercase) {
  BertNormalizer normalizer;
  normalizer.lowercase = lowercase;
  normalizer.strip_accents = lowercase;
  return make_tokenizer(parts_from_vocab(file, normalizer));
}

}  // namespace assay::text
