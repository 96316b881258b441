#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tensor/dtype.h"

namespace assay::tensor {

enum class DeviceKind : std::uint8_t { cpu, cuda };

struct Device {
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;
  friend bool operator==(const Device&, const Device&) = default;
};

/// "cpu" or "cuda:0".
[[nodiscard]] std::string to_string(const Device& device);

/// Bytes owned by this process's Buffers, now and at most so far; those of all devices of a kind.
struct AllocationStats {
  std::int64_t current = 0;
  std::int64_t peak = 0;
};
[[nodiscard]] AllocationStats allocation_stats(DeviceKind kind = DeviceKind::cpu) noexcept;
void reset_peak_allocation() noexcept;

/// How memory of CUDA devices is had; given by the layer that knows them, before the first Buffer
/// there. allocate() throws out_of_memory; release() does not throw.
struct DeviceAllocator {
  void* (*allocate)(int device, std::size_t bytes) = nullptr;
  void (*release)(int device, void* memory) noexcept = nullptr;
};
void set_cuda_allocator(const DeviceAllocator& allocator) noexcept;

/// Owner of memory, aligned to 64 bytes or better. Host memory is padded to a multiple of 64 bytes;
/// the padding may be read. Move only. Failure is Error(out_of_memory) with the bytes asked.
class Buffer {
 public:
  Buffer() = default;
  /// Host memory, uninitialized unless `zero`.
  explicit Buffer(std::size_t bytes, bool zero = false);
  /// Uninitialized memory of a device.
  Buffer(std::size_t bytes, Device device);
  /// Host memory, uninitialized, for what is kept and read again and again: small buffers lie one
  /// after the other in huge pages, which are given back when the last of them is gone.
  [[nodiscard]] static Buffer lasting(std::size_t bytes);
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer();

  [[nodiscard]] std::byte* data() noexcept { return data_; }
  [[nodiscard]] const std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] Device device() const noexcept { return device_; }
  template <typename T>
  [[nodiscard]] T* as() noexcept {
    return reinterpret_cast<T*>(data_);
  }
  template <typename T>
  [[nodiscard]] const T* as() const noexcept {
    return reinterpret_cast<const T*>(data_);
  }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  Device device_;
  std::shared_ptr<std::byte> pages_;  ///< that hold data_ beside others'; none: its own memory
};

/// Erased view of a dense row-major matrix in the memory of `device`; does not own. `stride` is in
/// elements between rows and at least `cols`. Lives at most as long as what it points into.
struct MatrixView {
  void* data = nullptr;
  DType type = DType::f32;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t stride = 0;
  Device device = {};

  template <typename T>
  [[nodiscard]] T* row(std::int64_t r) const {
    return static_cast<T*>(data) + r * stride;
  }
  [[nodiscard]] std::byte* row_bytes(std::int64_t r) const {
    return static_cast<std::byte*>(data) + static_cast<std::size_t>(r * stride) * size_of(type);
  }
  /// Rows [begin, begin + count).
  [[nodiscard]] MatrixView slice(std::int64_t begin, std::int64_t count) const {
    return {row_bytes(begin), type, count, cols, stride, device};
  }
  /// Columns [begin, begin + count) of every row.
  [[nodiscard]] MatrixView columns(std::int64_t begin, std::int64_t count) const {
    return {static_cast<std::byte*>(data) + static_cast<std::size_t>(begin) * size_of(type),
            type,
            rows,
            count,
            stride,
            device};
  }
};

/// Owner of a dense row-major matrix.
class Matrix {
 public:
  Matrix() = default;
  Matrix(DType type, std::int64_t rows, std::int64_t cols, bool zero = false);
  Matrix(DType type, std::int64_t rows, std::int64_t cols, Device device);

  [[nodiscard]] MatrixView view() const {
    return {const_cast<std::byte*>(buffer_.data()), type_, rows_, cols_, cols_, buffer_.device()};
  }
  /// The first `rows` rows; rows <= rows().
  [[nodiscard]] MatrixView view(std::int64_t rows) const { return view().slice(0, rows); }
  [[nodiscard]] DType type() const noexcept { return type_; }
  [[nodiscard]] std::int64_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::int64_t cols() const noexcept { return cols_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return buffer_.size(); }

 private:
  Buffer buffer_;
  DType type_ = DType::f32;
  std::int64_t rows_ = 0;
  std::int64_t cols_ = 0;
};

/// Host memory: reads row r of a floating matrix into `out` as f32; writes f32 rounded to the
/// matrix's type.
void load_row(const MatrixView& m, std::int64_t r, std::span<float> out);
void store_row(const MatrixView& m, std::int64_t r, std::span<const float> in);

}  // namespace assay::tensor
