#include "tensor/tensor.h"

#include <sys/mman.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

namespace assay::tensor {
namespace {

constexpr std::size_t kAlignment = 64;

struct Account {
  std::atomic<std::int64_t> current{0};
  std::atomic<std::int64_t> peak{0};

  void add(std::int64_t bytes) noexcept {
    const std::int64_t now = current.fetch_add(bytes) + bytes;
    std::int64_t before = peak.load();
    while (now > before && !peak.compare_exchange_weak(before, now)) {
    }
  }
};
Account accounts[2];  // by DeviceKind
DeviceAllocator cuda_allocator;

Account& account(DeviceKind kind) noexcept { return accounts[static_cast<std::size_t>(kind)]; }

std::size_t padded(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

/// Weights are read from end to end at every step: with pages of 4 KiB the translation of addresses
/// limits how fast.
constexpr std::size_t kHugePage = std::size_t{2} << 20;

std::align_val_t alignment_of(std::size_t bytes) {
  return std::align_val_t{bytes >= kHugePage ? kHugePage : kAlignment};
}

/// Asks for huge pages where whole ones lie in the buffer; a system without them ignores it.
void advise_huge_pages([[maybe_unused]] std::byte* data, [[maybe_unused]] std::size_t bytes) {
#ifdef MADV_HUGEPAGE
  if (bytes >= kHugePage) madvise(data, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
}

/// The pages that lasting buffers are being put into, and how far they are used.
struct Pages {
  static constexpr std::size_t kBytes = 16 * kHugePage;
  std::mutex mutex;
  std::weak_ptr<std::byte> current;
  std::size_t used = 0;
};

std::byte* allocate(std::size_t bytes) {
  void* data = ::operator new(bytes, alignment_of(bytes), std::nothrow);
  if (data == nullptr) fail(ErrorCode::out_of_memory, "cannot allocate {} bytes", bytes);
  advise_huge_pages(static_cast<std::byte*>(data), bytes);
  return static_cast<std::byte*>(data);
}

}  // namespace

std::string to_string(const Device& device) {
  return device.kind == DeviceKind::cpu ? "cpu" : fmt::format("cuda:{}", device.index);
}

AllocationStats allocation_stats(DeviceKind kind) noexcept {
  return {account(kind).current.load(), account(kind).peak.load()};
}

void reset_peak_allocation() noexcept {
  for (Account& a : accounts) a.peak.store(a.current.load());
}

void set_cuda_allocator(const DeviceAllocator& allocator) noexcept { cuda_allocator = allocator; }

Buffer::Buffer(std::size_t bytes, bool zero) : size_(bytes) {
  if (bytes == 0) return;
  if (bytes > SIZE_MAX - kHugePage)
    fail(ErrorCode::out_of_memory, "cannot allocate {} bytes", bytes);
  data_ = allocate(padded(bytes));
  if (zero) {
    std::memset(data_, 0, padded(bytes));
  } else {
    std::memset(data_ + bytes, 0, padded(bytes) - bytes);
  }
  account(DeviceKind::cpu).add(static_cast<std::int64_t>(padded(bytes)));
}

Buffer::Buffer(std::size_t bytes, Device device) {
  if (device.kind == DeviceKind::cpu) {
    *this = Buffer(bytes);
    return;
  }
  device_ = device;
  size_ = bytes;
  if (bytes == 0) return;
  if (cuda_allocator.allocate == nullptr) {
    fail(ErrorCode::internal, "memory of {} was asked for before the device was opened",
         to_string(device));
  }
  data_ = static_cast<std::byte*>(cuda_allocator.allocate(device.index, bytes));
  account(device.kind).add(static_cast<std::int64_t>(bytes));
}

Buffer Buffer::lasting(std::size_t bytes) {
  if (bytes == 0 || bytes > Pages::kBytes / 4) return Buffer(bytes);
  static Pages pages;
  const std::lock_guard lock(pages.mutex);
  std::shared_ptr<std::byte> there = pages.current.lock();
  if (there == nullptr || Pages::kBytes - pages.used < padded(bytes)) {
    there = {allocate(Pages::kBytes),
             [](std::byte* data) { ::operator delete(data, alignment_of(Pages::kBytes)); }};
    pages.current = there;
    pages.used = 0;
  }
  Buffer buffer;
  buffer.data_ = there.get() + pages.used;
  buffer.size_ = bytes;
  pages.used += padded(bytes);
  std::memset(buffer.data_ + bytes, 0, padded(bytes) - bytes);
  buffer.pages_ = std::move(there);
  account(DeviceKind::cpu).add(static_cast<std::int64_t>(padded(bytes)));
  return buffer;
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      device_(std::exchange(other.device_, {})),
      pages_(std::move(other.pages_)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(device_, other.device_);
  std::swap(pages_, other.pages_);
  return *this;
}

Buffer::~Buffer() {
  if (data_ == nullptr) return;
  if (device_.kind == DeviceKind::cuda) {
    account(device_.kind).add(-static_cast<std::int64_t>(size_));
    cuda_allocator.release(device_.index, data_);
    return;
  }
  account(DeviceKind::cpu).add(-static_cast<std::int64_t>(padded(size_)));
  if (pages_ == nullptr) ::operator delete(data_, alignment_of(padded(size_)));
}

Matrix::Matrix(DType type, std::int64_t rows, std::int64_t cols, bool zero)
    : buffer_(static_cast<std::size_t>(rows * cols) * size_of(type), zero),
      type_(type),
      rows_(rows),
      cols_(cols) {}

Matrix::Matrix(DType type, std::int64_t rows, std::int64_t cols, Device device)
    : buffer_(static_cast<std::size_t>(rows * cols) * size_of(type), device),
      type_(type),
      rows_(rows),
      cols_(cols) {}

void load_row(const MatrixView& m, std::int64_t r, std::span<float> out) {
  dispatch_float(m.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* in = m.row<T>(r);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = to_float(in[i]);
  });
}

void store_row(const MatrixView& m, std::int64_t r, std::span<const float> in) {
  dispatch_float(m.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* out = m.row<T>(r);
    for (std::size_t i = 0; i < in.size(); ++i) out[i] = static_cast<T>(in[i]);
  });
}

}  // namespace assay::tensor
