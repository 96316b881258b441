#pragma once

#include <map>
#include <string_view>

#include "files/tensor_file_builder.h"

namespace assay::files {

/// A stored (not compressed) record of a zip archive.
struct ZipEntry {
  std::uint64_t offset = 0;    ///< of its first byte, in the file
  std::uint64_t size = 0;      ///< checked against the file
  std::uint64_t position = 0;  ///< of its description in the central directory
};

/// The records of a zip archive by name, from its central directory (zip64 too). What is written by
/// torch.save is enough for us, and only that can be mapped: records that are compressed or
/// encrypted, archives over several disks, records that overlap, and names that occur twice are
/// refused. Checksums are not compared.
class ZipDirectory {
 public:
  /// Names are charged to `builder`.
  ZipDirectory(const RawFile& file, TensorFileBuilder& builder);

  /// nullptr if there is no such record.
  [[nodiscard]] const ZipEntry* find(std::string_view name) const;
  /// The only record named "<folder>/<name>", and its full name; nullptr if there is none or more
  /// than one.
  [[nodiscard]] const ZipEntry* find_in_folder(std::string_view name, std::string& full_name) const;

 private:
  std::map<std::string_view, ZipEntry> entries_;  ///< names are in the mapping
};

}  // namespace assay::files
