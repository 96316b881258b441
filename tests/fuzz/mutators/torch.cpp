// Takes an archive of stored records apart, changes one of them (the pickle most of the time), and
// writes it anew with sizes and offsets that fit. Every eighth input, and what is no such archive,
// is mutated as bytes.
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "files/zip_bytes.h"
#include "fuzz/mutators/mutator.h"

namespace {

using Records = std::vector<std::pair<std::string, std::string>>;

constexpr std::uint32_t kLocal = 0x04034b50;
constexpr std::size_t kLocalBytes = 30;

template <typename T>
T number(std::string_view file, std::size_t at) {
  T value;
  std::memcpy(&value, file.data() + at, sizeof value);
  return value;
}

/// Records that lie one after another from the file's begin.
Records take_apart(std::string_view file) {
  Records records;
  for (std::size_t at = 0; file.size() - at >= kLocalBytes;) {
    if (number<std::uint32_t>(file, at) != kLocal) break;
    const std::size_t size = number<std::uint32_t>(file, at + 22);
    const std::size_t name = number<std::uint16_t>(file, at + 26);
    const std::size_t begin = at + kLocalBytes + name + number<std::uint16_t>(file, at + 28);
    if (begin > file.size() || size > file.size() - begin) break;
    records.emplace_back(file.substr(at + kLocalBytes, name), file.substr(begin, size));
    at = begin + size;
  }
  return records;
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  Records records = take_apart({reinterpret_cast<const char*>(data), size});
  if (records.empty() || seed % 8 == 0) return LLVMFuzzerMutate(data, size, max_size);
  auto& [name, content] = records[seed % 8 == 1 ? seed / 8 % records.size() : 0];
  assay::fuzz::mutate(seed % 64 == 1 ? name : content, max_size > size ? max_size - size : 0);
  const std::string result = assay::testing::zip_of(records).data();
  if (result.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data, result.data(), result.size());
  return result.size();
}
