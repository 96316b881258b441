#include "text/wordpiece.h"

#include <algorithm>

#include "base/error.h"
#include "base/io.h"

namespace assay::text {
namespace {

// Models use 100 or 200. The work on a word grows with the square of this.
constexpr std::size_t kMostChars = 256;

bool starts_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; }

}  // namespace

WordPiece::WordPiece(const Vocabulary& vocabulary, const WordPieceOptions& options,
                     const std::string& where)
    : vocabulary_(&vocabulary),
      longest_(vocabulary.longest_piece()),
      max_chars_(options.max_input_chars_per_word) {
  if (max_chars_ > kMostChars) {
    fail(ErrorCode::bad_data, "{}: max_input_chars_per_word {} is above {}", where, max_chars_,
         kMostChars);
  }
  const auto unknown = vocabulary.find(options.unknown);
  if (!unknown) {
    fail(ErrorCode::bad_data, "{}: unk_token '{}' is not in the vocabulary", where,
         base::printable(options.unknown));
  }
  unknown_ = *unknown;
  for (std::size_t id = 0; id < vocabulary.size(); ++id) {
    const std::string* piece = vocabulary.piece(static_cast<TokenId>(id));
    const std::size_t prefix = options.continuing_prefix.size();
    if (piece == nullptr || piece->size() <= prefix) continue;
    if (!piece->starts_with(options.continuing_prefix)) continue;
    continuing_.emplace(std::string_view(*piece).substr(prefix), static_cast<TokenId>(id));
  }
}

void WordPiece::encode(std::string_view word, std::vector<TokenId>& ids) const {
  const auto characters = static_cast<std::size_t>(std::ranges::count_if(word, starts_character));
  if (characters > max_chars_) {
    ids.push_back(unknown_);
    return;
  }
  const std::size_t first_id = ids.size();
  for (std::size_t begin = 0; begin < word.size();) {
    std::size_t end = std::min(word.size(), begin + longest_);
    std::optional<TokenId> found;
    for (; end > begin; --end) {
      if (end < word.size() && !starts_character(word[end])) continue;
      const std::string_view part = word.substr(begin, end - begin);
      if (begin == 0) {
        found = vocabulary_->find(part);
      } else if (const auto it = continuing_.find(part); it != continuing_.end()) {
        found = it->second;
      }
      if (found) break;
    }
    if (!found) {
      ids.resize(first_id);
      ids.push_back(unknown_);
      return;
    }
    ids.push_back(*found);
    begin = end;
  }
}

}  // namespace assay::text
