#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

// libFuzzer's own mutation of bytes, which custom mutators apply to a part of the input.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace assay::fuzz {

/// Mutates `bytes`, which may grow by `room`. Of nothing without room libFuzzer makes one byte all
/// the same.
inline void mutate(std::string& bytes, std::size_t room) {
  const std::size_t size = bytes.size();
  if (size + room == 0) return;
  bytes.resize(size + room);
  bytes.resize(LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(bytes.data()), size, bytes.size()));
}

}  // namespace assay::fuzz
