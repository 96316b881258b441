#include "engine/samples.h"

#include <algorithm>
#include <array>

#include "base/io.h"
#include "files/table_file.h"

namespace assay::engine {
namespace {

using Sequences = std::vector<std::vector<TokenId>>;

bool is_table(const std::filesystem::path& file) {
  constexpr std::array<std::string_view, 3> kTables = {".tsv", ".csv", ".jsonl"};
  return std::ranges::find(kTables, file.extension().string()) != kTables.end();
}

Sequences token_rows(const ModelSource& source, const std::filesystem::path& file,
                     std::size_t most) {
  const auto positions = static_cast<std::size_t>(source.config().max_positions);
  Sequences rows = files::read_token_rows(file);
  rows.resize(std::min(rows.size(), most));
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (const TokenId id : rows[r]) {
      if (id < source.config().vocabulary) continue;
      fail(ErrorCode::bad_data, "{}: sample {}: token {} is not below the model's {}",
           file.string(), r, id, source.config().vocabulary);
    }
    rows[r].resize(std::min(rows[r].size(), positions));
  }
  return rows;
}

std::vector<std::string> texts_of(const std::filesystem::path& file, std::size_t most) {
  std::vector<std::string> texts;
  if (is_table(file)) {
    for (auto& row : files::read_labelled(file)) texts.push_back(std::move(row.text));
  } else {
    const std::string text = base::read_text(file);
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      if (end > begin) texts.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  texts.resize(std::min(texts.size(), most));
  return texts;
}

Sequences lines_of(const ModelSource& source, const std::filesystem::path& file, std::size_t most) {
  const text::EncodeOptions options{.max_length =
                                        static_cast<std::size_t>(source.config().max_positions)};
  Sequences sequences;
  for (const std::string& text : texts_of(file, most)) {
    sequences.push_back(source.tokenizer().encode(text, options));
  }
  return sequences;
}

Sequences windows_of(const ModelSource& source, const std::filesystem::path& file, std::size_t most,
                     std::size_t length) {
  const auto ids = source.tokenizer().encode(base::read_text(file));
  Sequences sequences;
  for (std::size_t begin = 0; begin + length <= ids.size() && sequences.size() < most;
       begin += length) {
    const auto first = ids.begin() + static_cast<std::ptrdiff_t>(begin);
    sequences.emplace_back(first, first + static_cast<std::ptrdiff_t>(length));
  }
  return sequences;
}

}  // namespace

std::vector<std::vector<TokenId>> read_samples(const ModelSource& source,
                                               const std::filesystem::path& file, int count,
                                               int length) {
  const auto most = static_cast<std::size_t>(count);
  auto sequences = files::is_pretokenized(file) ? token_rows(source, file, most)
                   : source.config().causal
                       ? windows_of(source, file, most, static_cast<std::size_t>(length))
                       : lines_of(source, file, most);
  if (sequences.empty()) {
    fail(ErrorCode::bad_data, "{}: no sequence of {} tokens in it", file.string(), length);
  }
  return sequences;
}

}  // namespace assay::engine
