// kernels/cuda for a build without CUDA: the same symbols, and the reason.

#include "kernels/cuda/runtime.h"

#include "base/error.h"

namespace assay::kernels::cuda {
namespace {

[[noreturn]] void refuse() { fail(ErrorCode::unsupported, "{}", unavailable()); }

}  // namespace

struct Stream::State {};

std::string_view name_of(Path path) noexcept {
  constexpr std::string_view kNames[] = {"sm75", "sm80", "sm90"};
  return kNames[static_cast<int>(path)];
}

const std::string& unavailable() {
  static const std::string reason = "built without CUDA";
  return reason;
}

const std::vector<DeviceInfo>& devices() {
  static const std::vector<DeviceInfo> none;
  return none;
}

const DeviceInfo& device(int index) {
  fail(ErrorCode::device_missing, "cuda:{}: {}", index, unavailable());
}

std::vector<Path> compiled_paths() { return {}; }
MemoryInfo memory_info(int index) { (void)device(index), refuse(); }
void install_allocator() {}

Stream::Stream(int index) { (void)cuda::device(index); }
Stream::~Stream() = default;
const DeviceInfo& Stream::device() const { refuse(); }
void* Stream::handle() const { refuse(); }
void Stream::synchronize() { refuse(); }
void Stream::wait_for(Stream&) { refuse(); }
void Stream::copy_to_device(void*, const void*, std::size_t) { refuse(); }
void Stream::copy_to_host(void*, const void*, std::size_t) { refuse(); }
void Stream::copy_on_device(void*, const void*, std::size_t) { refuse(); }
void Stream::copy_from(Stream&, void*, const void*, std::size_t) { refuse(); }
void Stream::fill_bytes(void*, int, std::size_t) { refuse(); }
void Stream::begin_capture() { refuse(); }
Graph Stream::end_capture() { refuse(); }
bool Stream::capturing() const { refuse(); }
void Stream::launch(const Graph&) { refuse(); }

Graph::Graph(Graph&&) noexcept = default;
Graph& Graph::operator=(Graph&&) noexcept = default;
Graph::~Graph() = default;

Event::Event(int index) { (void)cuda::device(index); }
Event::~Event() = default;
void Event::record(Stream&) { refuse(); }
void Event::synchronize() { refuse(); }
double Event::milliseconds_since(const Event&) const { refuse(); }

PinnedBuffer::PinnedBuffer(std::size_t) { refuse(); }
PinnedBuffer::PinnedBuffer(PinnedBuffer&&) noexcept = default;
PinnedBuffer& PinnedBuffer::operator=(PinnedBuffer&&) noexcept = default;
PinnedBuffer::~PinnedBuffer() = default;

}  // namespace assay::kernels::cuda
