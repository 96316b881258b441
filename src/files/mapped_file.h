#pragma once

#include <filesystem>
#include <memory>
#include <span>

namespace assay::files {

/// A read-only memory-mapped file. Errors: io with the path. An empty file maps to an empty span.
/// Shared, because tensors borrow from it.
class MappedFile {
 public:
  [[nodiscard]] static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  MappedFile(std::filesystem::path path, const std::byte* data, std::size_t size);
  std::filesystem::path path_;
  const std::byte* data_;
  std::size_t size_;
};

}  // namespace assay::files
