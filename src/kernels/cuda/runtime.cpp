#include "kernels/cuda/runtime.h"

#include <cuda_runtime_api.h>

#include <utility>

#include "kernels/cuda/driver.h"
#include "kernels/cuda/launch.h"

namespace assay::kernels::cuda {
namespace {

/// Captures that this thread has begun: memory cannot be had while one runs.
thread_local int captures = 0;

const DriverReport& report() {
  static const DriverReport asked = ask_driver();
  return asked;
}

void use_device(int device) { check(cudaSetDevice(device), "choosing the device"); }

std::string place() {
  int device = 0;
  return cudaGetDevice(&device) == cudaSuccess ? fmt::format("cuda:{}", device) : "cuda";
}

bool means_lost(cudaError_t result) {
  switch (result) {
    case cudaErrorDevicesUnavailable:
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorSystemNotReady:
    case cudaErrorInsufficientDriver:
    case cudaErrorUnknown:  // what a device that fell off the bus answers
      return true;
    default:
      return false;
  }
}

void* allocate(int device, std::size_t bytes) {
  if (captures > 0)
    fail(ErrorCode::internal, "cuda:{}: {} bytes asked inside a graph capture", device, bytes);
  use_device(device);
  void* memory = nullptr;
  const cudaError_t result = cudaMalloc(&memory, bytes);
  if (result == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();  // not sticky
    const MemoryInfo info = memory_info(device);
    fail(ErrorCode::out_of_memory, "cuda:{}: {} bytes asked, {} of {} bytes free", device, bytes,
         info.free, info.total);
  }
  check(result, "allocating");
  return memory;
}

void release(int device, void* memory) noexcept {
  // After a sticky error there is nothing to give back to.
  if (cudaSetDevice(device) == cudaSuccess) (void)cudaFree(memory);
}

}  // namespace

const std::string& unavailable() { return report().unavailable; }

const std::vector<DeviceInfo>& devices() { return report().devices; }

const DeviceInfo& device(int index) {
  if (!unavailable().empty()) fail(ErrorCode::device_missing, "cuda:{}: {}", index, unavailable());
  for (const DeviceInfo& info : devices())
    if (info.index == index) return info;
  for (const auto& [refused, why] : report().refused)
    if (refused == index) fail(ErrorCode::device_missing, "{}", why);
  std::string present;
  for (const DeviceInfo& info : devices())
    present += fmt::format("{}cuda:{} ({})", present.empty() ? "" : ", ", info.index, info.name);
  fail(ErrorCode::device_missing, "no device cuda:{}; there is {}", index, present);
}

MemoryInfo memory_info(int device) {
  use_device(device);
  std::size_t free = 0;
  std::size_t total = 0;
  check(cudaMemGetInfo(&free, &total), "asking for free memory");
  return {static_cast<std::int64_t>(free), static_cast<std::int64_t>(total)};
}

void install_allocator() { tensor::set_cuda_allocator({allocate, release}); }

void check(cudaError_t result, const char* doing) {
  if (result == cudaSuccess) return;
  (void)cudaGetLastError();
  const auto code = result == cudaErrorMemoryAllocation ? ErrorCode::out_of_memory
                    : means_lost(result)                ? ErrorCode::device_missing
                                                        : ErrorCode::internal;
  fail(code, "{}: {}: {} ({})", place(), doing, cudaGetErrorString(result),
       cudaGetErrorName(result));
}

struct Stream::State {
  const DeviceInfo* device = nullptr;
  cudaStream_t stream = nullptr;
  cudaEvent_t reached = nullptr;  ///< for wait_for
  bool capturing = false;
};

cudaStream_t ready(Stream& stream) {
  use_device(stream.device().index);
  return static_cast<cudaStream_t>(stream.handle());
}

Element element_of(tensor::DType type) {
  switch (type) {
    case tensor::DType::f32:
      return Element::f32;
    case tensor::DType::f16:
      return Element::f16;
    case tensor::DType::bf16:
      return Element::bf16;
    default:
      fail(ErrorCode::internal, "{} is not a floating type", name_of(type));
  }
}

DeviceMatrix on_device(const tensor::MatrixView& view, const Stream& stream) {
  const tensor::Device wanted{tensor::DeviceKind::cuda, stream.device().index};
  if (view.device != wanted) {
    fail(ErrorCode::internal, "a matrix is on {}, its operation on {}", to_string(view.device),
         to_string(wanted));
  }
  return {view.data, element_of(view.type), view.rows, view.cols, view.stride};
}

Stream::Stream(int device) : state_(std::make_unique<State>()) {
  state_->device = &cuda::device(device);
  use_device(device);
  check(cudaStreamCreateWithFlags(&state_->stream, cudaStreamNonBlocking), "making a stream");
  check(cudaEventCreateWithFlags(&state_->reached, cudaEventDisableTiming), "making an event");
}

Stream::~Stream() {
  if (cudaSetDevice(state_->device->index) != cudaSuccess) return;
  if (state_->capturing) {
    --captures;
    cudaGraph_t graph = nullptr;
    if (cudaStreamEndCapture(state_->stream, &graph) == cudaSuccess) (void)cudaGraphDestroy(graph);
  }
  if (state_->reached != nullptr) (void)cudaEventDestroy(state_->reached);
  if (state_->stream != nullptr) (void)cudaStreamDestroy(state_->stream);
}

const DeviceInfo& Stream::device() const { return *state_->device; }

void* Stream::handle() const { return state_->stream; }

bool Stream::capturing() const { return state_->capturing; }

void Stream::synchronize() { check(cudaStreamSynchronize(ready(*this)), "waiting"); }

void Stream::wait_for(Stream& other) {
  const cudaStream_t from = ready(other);
  check(cudaEventRecord(other.state_->reached, from), "marking a stream");
  check(cudaStreamWaitEvent(ready(*this), other.state_->reached, 0), "waiting for a stream");
}

namespace {

/// A graph would copy from this memory in every launch: it must be pinned.
void require_pinned(const Stream& stream, const void* host) {
  if (!stream.capturing()) return;
  cudaPointerAttributes attributes = {};
  const cudaError_t result = cudaPointerGetAttributes(&attributes, host);
  (void)cudaGetLastError();
  if (result != cudaSuccess || attributes.type != cudaMemoryTypeHost)
    fail(ErrorCode::internal, "{}: a copy of memory that is not pinned in a capture", place());
}

}  // namespace

void Stream::copy_to_device(void* device, const void* host, std::size_t bytes) {
  const cudaStream_t stream = ready(*this);
  require_pinned(*this, host);
  check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream),
        "copying to the device");
}

void Stream::copy_to_host(void* host, const void* device, std::size_t bytes) {
  const cudaStream_t stream = ready(*this);
  require_pinned(*this, host);
  check(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream),
        "copying from the device");
}

void Stream::copy_on_device(void* to, const void* from, std::size_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, ready(*this)),
        "copying on the device");
}

void Stream::copy_from(Stream& source, void* to, const void* from, std::size_t bytes) {
  wait_for(source);
  const int here = device().index;
  const int there = source.device().index;
  const cudaStream_t stream = ready(*this);
  check(here == there ? cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream)
                      : cudaMemcpyPeerAsync(to, here, from, there, bytes, stream),
        "copying between devices");
  source.wait_for(*this);  // what comes next there may write over `from`
}

void Stream::fill_bytes(void* device, int value, std::size_t bytes) {
  check(cudaMemsetAsync(device, value, bytes, ready(*this)), "filling memory");
}

void Stream::begin_capture() {
  check(cudaStreamBeginCapture(ready(*this), cudaStreamCaptureModeThreadLocal),
        "beginning a capture");
  state_->capturing = true;
  ++captures;
}

Graph Stream::end_capture() {
  const cudaStream_t stream = ready(*this);
  if (!state_->capturing) fail(ErrorCode::internal, "{}: no capture to end", place());
  state_->capturing = false;
  --captures;
  cudaGraph_t graph = nullptr;
  check(cudaStreamEndCapture(stream, &graph), "ending a capture");
  cudaGraphExec_t executable = nullptr;
  const cudaError_t result = cudaGraphInstantiate(&executable, graph, 0);
  (void)cudaGraphDestroy(graph);
  check(result, "instantiating a graph");
  Graph owner;
  owner.handle_ = executable;
  return owner;
}

void Stream::launch(const Graph& graph) {
  check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph.handle_), ready(*this)),
        "launching a graph");
}

Graph::Graph(Graph&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}

Graph& Graph::operator=(Graph&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

Graph::~Graph() {
  if (handle_ != nullptr) (void)cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(handle_));
}

Event::Event(int device) : device_(device) {
  use_device(cuda::device(device).index);
  cudaEvent_t event = nullptr;
  check(cudaEventCreate(&event), "making an event");
  handle_ = event;
}

Event::~Event() {
  if (cudaSetDevice(device_) == cudaSuccess)
    (void)cudaEventDestroy(static_cast<cudaEvent_t>(handle_));
}

void Event::record(Stream& stream) {
  check(cudaEventRecord(static_cast<cudaEvent_t>(handle_), ready(stream)), "recording an event");
}

void Event::synchronize() {
  check(cudaEventSynchronize(static_cast<cudaEvent_t>(handle_)), "waiting for an event");
}

double Event::milliseconds_since(const Event& earlier) const {
  float milliseconds = 0.0F;
  check(cudaEventElapsedTime(&milliseconds, static_cast<cudaEvent_t>(earlier.handle_),
                             static_cast<cudaEvent_t>(handle_)),
        "reading events");
  return milliseconds;
}

PinnedBuffer::PinnedBuffer(std::size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  void* memory = nullptr;
  const cudaError_t result = cudaMallocHost(&memory, bytes);
  if (result == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    fail(ErrorCode::out_of_memory, "cannot allocate {} bytes of pinned host memory", bytes);
  }
  check(result, "allocating pinned host memory");
  data_ = static_cast<std::byte*>(memory);
}

PinnedBuffer::PinnedBuffer(PinnedBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

PinnedBuffer& PinnedBuffer::operator=(PinnedBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

PinnedBuffer::~PinnedBuffer() {
  if (data_ != nullptr) (void)cudaFreeHost(data_);
}

}  // namespace assay::kernels::cuda
