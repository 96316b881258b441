#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/atomic_file.h"

namespace assay::files {

/// A tensor to be written: a name of safetensors' types, "F32" or "U8", and its shape.
struct TensorHeader {
  std::string name;
  std::string type;
  std::vector<std::int64_t> shape;
};

/// Writes one safetensors file: the header at once, then the tensors in any order, each whole. The
/// file appears when all are there. Tensors lie as the reference implementation lays them: those
/// of wider types first, then by name, so that each is aligned. Errors: io; internal where a tensor
/// has other bytes than its header says, is unknown, or is missing at commit().
class SafetensorsWriter {
 public:
  /// `metadata` becomes `__metadata__`.
  SafetensorsWriter(const std::filesystem::path& file, std::vector<TensorHeader> tensors,
                    const std::map<std::string, std::string>& metadata);

  void write(const std::string& name, std::span<const std::byte> bytes);
  void commit();
  /// Of all tensors.
  [[nodiscard]] std::uint64_t total_bytes() const { return total_; }

 private:
  struct Place {
    std::uint64_t offset = 0;  ///< in the file
    std::uint64_t bytes = 0;
    bool written = false;
  };
  base::AtomicFile file_;
  std::map<std::string, Place, std::less<>> places_;
  std::uint64_t total_ = 0;
};

}  // namespace assay::files
