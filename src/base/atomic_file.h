#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

namespace assay::base {

/// A file that appears under its name whole or not at all: written beside it under a temporary
/// name, then fsync and rename. Through a link, the file that it points to is replaced. Errors are
/// io and name the file.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& file);
  /// Without commit() nothing is left.
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// After what was written before.
  void write(std::string_view content);
  /// At this offset, wherever writing stands.
  void write_at(std::uint64_t offset, std::string_view content);
  void commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace assay::base
