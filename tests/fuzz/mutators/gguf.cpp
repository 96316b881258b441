// Takes a GGUF header apart into numbers and texts, changes one of them, or copies, moves or drops
// a pair or a tensor, and puts it together again with lengths, counts and padding that fit. What it
// cannot take apart, and every eighth input, is mutated as bytes.
#include <array>
#include <cstring>
#include <optional>
#include <random>
#include <string_view>
#include <vector>

#include "fuzz/mutators/mutator.h"

namespace {

/// A number of the file's width, or a text without its length.
struct Piece {
  std::string bytes;
  bool text = false;
};
using Entry = std::vector<Piece>;

struct Gguf {
  Entry head;  ///< magic, version
  std::vector<Entry> pairs;
  std::vector<Entry> tensors;
  std::string data;
};

constexpr std::uint32_t kText = 8;
constexpr std::uint32_t kArray = 9;
constexpr std::array<std::size_t, 13> kWidths = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
constexpr std::size_t kAlignment = 32;

class Parser {
 public:
  explicit Parser(std::string_view file) : file_(file) {}

  std::optional<Gguf> parse() {
    Gguf gguf;
    number(gguf.head, 4);
    number(gguf.head, 4);
    Entry counts;
    const std::uint64_t tensors = number(counts, 8);
    const std::uint64_t pairs = number(counts, 8);
    for (std::uint64_t i = 0; i < pairs && good_; ++i) parse_pair(gguf.pairs.emplace_back());
    for (std::uint64_t i = 0; i < tensors && good_; ++i) parse_tensor(gguf.tensors.emplace_back());
    if (!good_) return std::nullopt;
    const std::size_t begin = (at_ + kAlignment - 1) / kAlignment * kAlignment;
    if (begin < file_.size()) gguf.data = file_.substr(begin);
    return gguf;
  }

 private:
  std::uint64_t number(Entry& entry, std::size_t width) {
    std::uint64_t value = 0;
    if (file_.size() - at_ < width) good_ = false;
    if (!good_) return 0;
    std::memcpy(&value, file_.data() + at_, width);
    entry.push_back({std::string(file_.substr(at_, width)), false});
    at_ += width;
    return value;
  }

  void text(Entry& entry) {
    Entry length;
    const std::uint64_t size = number(length, 8);
    if (size > file_.size() - at_) good_ = false;
    if (!good_) return;
    entry.push_back({std::string(file_.substr(at_, size)), true});
    at_ += size;
  }

  void value(Entry& entry, std::uint64_t type) {
    if (type >= kWidths.size()) {
      good_ = false;
    } else if (type == kText) {
      text(entry);
    } else if (type == kArray) {
      const std::uint64_t inner = number(entry, 4);
      const std::uint64_t count = number(entry, 8);
      if (inner == kArray) good_ = false;
      for (std::uint64_t i = 0; i < count && good_; ++i) value(entry, inner);
    } else {
      number(entry, kWidths[type]);
    }
  }

  void parse_pair(Entry& entry) {
    text(entry);
    value(entry, number(entry, 4));
  }

  void parse_tensor(Entry& entry) {
    text(entry);
    const std::uint64_t dimensions = number(entry, 4);
    for (std::uint64_t i = 0; i < dimensions && good_; ++i) number(entry, 8);
    number(entry, 4);
    number(entry, 8);
  }

  std::string_view file_;
  std::size_t at_ = 0;
  bool good_ = true;
};

void write(std::string& out, const Entry& entry) {
  for (const Piece& piece : entry) {
    const std::uint64_t size = piece.bytes.size();
    if (piece.text) out.append(reinterpret_cast<const char*>(&size), sizeof size);
    out += piece.bytes;
  }
}

std::string joined(const Gguf& gguf) {
  std::string out;
  write(out, gguf.head);
  for (const std::uint64_t count : {gguf.tensors.size(), gguf.pairs.size()}) {
    out.append(reinterpret_cast<const char*>(&count), sizeof count);
  }
  for (const Entry& entry : gguf.pairs) write(out, entry);
  for (const Entry& entry : gguf.tensors) write(out, entry);
  if (!gguf.data.empty()) out.resize((out.size() + kAlignment - 1) / kAlignment * kAlignment);
  return out + gguf.data;
}

void mutate_piece(Piece& piece, std::minstd_rand& random) {
  if (piece.text) {
    assay::fuzz::mutate(piece.bytes, 16);
    return;
  }
  const std::size_t width = piece.bytes.size();
  if (random() % 2 == 0) {
    piece.bytes.back() = 0;
    piece.bytes.front() = static_cast<char>(random() % 40);
  } else {
    assay::fuzz::mutate(piece.bytes, 0);
    piece.bytes.resize(width);
  }
}

void mutate_order(std::vector<Entry>& entries, std::minstd_rand& random) {
  const std::size_t at = random() % entries.size();
  const std::size_t other = random() % entries.size();
  switch (random() % 3) {
    case 0:
      entries.push_back(Entry(entries[at]));
      break;
    case 1:
      std::swap(entries[at], entries[other]);
      break;
    default:
      entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(at));
  }
}

void mutate_one(Gguf& gguf, std::minstd_rand& random) {
  const unsigned kind = random() % 16;
  std::vector<Entry>& entries = random() % 2 == 0 ? gguf.tensors : gguf.pairs;
  if (kind == 0) {
    mutate_piece(gguf.head[1], random);
  } else if (kind == 1 || entries.empty()) {
    assay::fuzz::mutate(gguf.data, 64);
  } else if (kind < 5) {
    mutate_order(entries, random);
  } else {
    Entry& entry = entries[random() % entries.size()];
    mutate_piece(entry[random() % entry.size()], random);
  }
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  auto gguf = Parser({reinterpret_cast<const char*>(data), size}).parse();
  if (!gguf || seed % 8 == 0) return LLVMFuzzerMutate(data, size, max_size);
  std::minstd_rand random(seed);
  mutate_one(*gguf, random);
  const std::string result = joined(*gguf);
  if (result.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data, result.data(), result.size());
  return result.size();
}
