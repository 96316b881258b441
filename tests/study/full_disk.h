#pragma once

#include <sqlite3.h>

#include <array>
#include <stdexcept>

namespace assay::testing {

/// While one lives, SQLite's default file system answers every write with "disk full" once fill()
/// was called: a disk that really is full would need root to make.
class FullDisk {
 public:
  FullDisk() {
    original() = sqlite3_vfs_find(nullptr);
    vfs_ = *original();
    vfs_.zName = "full-disk";
    vfs_.xOpen = open;
    is_full() = false;
    if (sqlite3_vfs_register(&vfs_, 1) != SQLITE_OK) throw std::runtime_error("no test VFS");
  }
  ~FullDisk() {
    sqlite3_vfs_unregister(&vfs_);
    sqlite3_vfs_register(original(), 1);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;
  static void fill() { is_full() = true; }

 private:
  static sqlite3_vfs*& original() {
    static sqlite3_vfs* vfs = nullptr;
    return vfs;
  }
  static bool& is_full() {
    static bool full = false;
    return full;
  }
  /// The methods of one kind of file (the database itself, its log) with another xWrite.
  struct Replaced {
    const sqlite3_io_methods* original = nullptr;
    sqlite3_io_methods methods{};
  };
  static std::array<Replaced, 8>& kinds() {
    static std::array<Replaced, 8> all;
    return all;
  }
  static int write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
    if (is_full()) return SQLITE_FULL;
    for (const Replaced& kind : kinds()) {
      if (file->pMethods == &kind.methods) {
        return kind.original->xWrite(file, data, size, offset);
      }
    }
    return SQLITE_MISUSE;
  }
  static int open(sqlite3_vfs*, sqlite3_filename name, sqlite3_file* file, int flags, int* out) {
    const int status = original()->xOpen(original(), name, file, flags, out);
    if (file->pMethods == nullptr) return status;
    for (Replaced& kind : kinds()) {
      if (kind.original != nullptr && kind.original != file->pMethods) continue;
      if (kind.original == nullptr) {
        kind = {file->pMethods, *file->pMethods};
        kind.methods.xWrite = write;
      }
      file->pMethods = &kind.methods;
      return status;
    }
    return SQLITE_MISUSE;
  }

  sqlite3_vfs vfs_{};
};

}  // namespace assay::testing
