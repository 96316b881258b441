#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace assay::kernels::cuda {

// What the rest of the program knows of CUDA: plain C++, no type of NVIDIA's. `cuda/` implements it
// with nvcc, `no_cuda/` answers that the build has none; CMake picks one of the two.

/// The families of code that are compiled, weakest first: a device runs the highest path that is
/// not above its compute capability.
enum class Path : std::uint8_t { sm75, sm80, sm90 };
[[nodiscard]] std::string_view name_of(Path path) noexcept;  ///< "sm80"

struct DeviceInfo {
  int index = 0;     ///< among the visible ones
  std::string name;  ///< "NVIDIA H200"
  std::string uuid;  ///< "GPU-..." as nvidia-smi prints it
  int major = 0;     ///< compute capability
  int minor = 0;
  int multiprocessors = 0;
  std::int64_t memory = 0;  ///< bytes, all
  std::int64_t l2_bytes = 0;
  std::int64_t shared_per_block = 0;  ///< with opt-in
  Path path = Path::sm75;             ///< the one that runs: ASSAY_CUDA_PATH, or the best compiled
  [[nodiscard]] int capability() const { return major * 10 + minor; }
  /// Products in bf16: the device has them, and so has the path that runs.
  [[nodiscard]] bool has_bf16() const { return capability() >= 80 && path != Path::sm75; }
};

/// Empty when there is a usable device; else one line: built without CUDA; no driver; no device
/// (and what CUDA_VISIBLE_DEVICES says); a driver too old for this build, with the driver, the CUDA
/// it supports, the CUDA that is needed and what to do. Makes no context.
[[nodiscard]] const std::string& unavailable();
/// All visible devices, by index; empty when unavailable(). Makes no context. A usage error for an
/// unknown or too high ASSAY_CUDA_PATH.
[[nodiscard]] const std::vector<DeviceInfo>& devices();
/// Device `index`, or device_missing with the reason and what is there.
[[nodiscard]] const DeviceInfo& device(int index);
/// Paths that this build contains, weakest first.
[[nodiscard]] std::vector<Path> compiled_paths();

/// Free and total bytes of a device, now.
struct MemoryInfo {
  std::int64_t free = 0;
  std::int64_t total = 0;
};
[[nodiscard]] MemoryInfo memory_info(int device);

class Graph;

/// An order of work on one device. Everything below is queued on one and returns at once. A failing
/// call throws: out_of_memory with the bytes asked and free; device_missing for a lost device;
/// internal with CUDA's own words otherwise. After a sticky error every later call throws too.
class Stream {
 public:
  explicit Stream(int device);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  [[nodiscard]] const DeviceInfo& device() const;
  [[nodiscard]] void* handle() const;  ///< cudaStream_t
  void synchronize();
  /// Waits for what `other` (of any device) has queued so far.
  void wait_for(Stream& other);

  void copy_to_device(void* device, const void* host, std::size_t bytes);
  void copy_to_host(void* host, const void* device, std::size_t bytes);
  void copy_on_device(void* to, const void* from, std::size_t bytes);
  /// From memory of the device of `source`, in order with both streams.
  void copy_from(Stream& source, void* to, const void* from, std::size_t bytes);
  void fill_bytes(void* device, int value, std::size_t bytes);

  /// Work queued between the two is recorded and not run. Allocation, synchronization and copies
  /// from memory that is not pinned are errors in between.
  void begin_capture();
  [[nodiscard]] Graph end_capture();
  [[nodiscard]] bool capturing() const;
  void launch(const Graph& graph);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// An instantiated CUDA graph.
class Graph {
 public:
  Graph() = default;
  Graph(Graph&&) noexcept;
  Graph& operator=(Graph&&) noexcept;
  ~Graph();
  [[nodiscard]] explicit operator bool() const { return handle_ != nullptr; }

 private:
  friend class Stream;
  void* handle_ = nullptr;
};

/// A point in a stream, for timing.
class Event {
 public:
  explicit Event(int device);
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record(Stream& stream);
  void synchronize();
  [[nodiscard]] double milliseconds_since(const Event& earlier) const;

 private:
  void* handle_ = nullptr;
  int device_ = 0;
};

/// Page-locked host memory: what may be copied inside a capture.
class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  explicit PinnedBuffer(std::size_t bytes);
  PinnedBuffer(PinnedBuffer&& other) noexcept;
  PinnedBuffer& operator=(PinnedBuffer&& other) noexcept;
  ~PinnedBuffer();
  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Makes tensor::Buffer able to own memory of CUDA devices. Called once, by whoever makes the first
/// stream.
void install_allocator();

}  // namespace assay::kernels::cuda
