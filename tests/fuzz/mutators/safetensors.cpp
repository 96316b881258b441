// Mutates the header as a text and writes its length anew: bytes that come or go at random almost
// never leave a length that fits.
#include <cstring>
#include <string_view>

#include "fuzz/mutators/mutator.h"

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  std::uint64_t length = 0;
  if (size < sizeof length || seed % 8 == 0) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(&length, data, sizeof length);
  if (length > size - sizeof length) return LLVMFuzzerMutate(data, size, max_size);
  const std::string_view file(reinterpret_cast<const char*>(data), size);
  std::string header(file.substr(sizeof length, length));
  std::string rest(file.substr(sizeof length + length));
  assay::fuzz::mutate(seed % 16 == 1 ? rest : header, max_size - size);
  length = header.size();
  std::memcpy(data, &length, sizeof length);
  std::memcpy(data + sizeof length, header.data(), header.size());
  std::memcpy(data + sizeof length + header.size(), rest.data(), rest.size());
  return sizeof length + header.size() + rest.size();
}
