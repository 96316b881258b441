#include "ops/context.h"

namespace assay::ops {
namespace {

constexpr std::int64_t kFirstLayers = 16;

}  // namespace

CudaQueue::CudaQueue(int device)
    : stream(device),
      workspace({tensor::DeviceKind::cuda, device}),
      device_{tensor::DeviceKind::cuda, device} {
  kernels::cuda::install_allocator();
  reserve(kFirstLayers);
}

void CudaQueue::reserve(std::int64_t layers) {
  if (layers <= layers_) return;
  layers_ = layers;
  const auto bytes = static_cast<std::size_t>(layers + 1) * sizeof(std::int32_t);
  notes_ = tensor::Buffer(bytes, device_);
  copied_ = kernels::cuda::PinnedBuffer(bytes);
  begin_notes();
}

std::int32_t* CudaQueue::outliers(int layer) {
  return layer >= 0 && layer < layers_ ? notes_.as<std::int32_t>() + 1 + layer : nullptr;
}

void CudaQueue::begin_notes() { stream.fill_bytes(notes_.data(), 0, notes_.size()); }

void CudaQueue::copy_notes() { stream.copy_to_host(copied_.data(), notes_.data(), notes_.size()); }

bool CudaQueue::take_notes(precision::Ledger& ledger) const {
  const auto* notes = reinterpret_cast<const std::int32_t*>(copied_.data());
  for (std::int64_t layer = 0; layer < layers_; ++layer) {
    if (notes[1 + layer] > 0) ledger.add_outlier_columns(static_cast<int>(layer), notes[1 + layer]);
  }
  return notes[0] != 0;
}

CudaQueue& CudaQueues::open(int index) {
  for (const auto& queue : queues_) {
    if (queue->device().index == index) return *queue;
  }
  return *queues_.emplace_back(std::make_unique<CudaQueue>(index));
}

CudaQueue& CudaQueues::at(tensor::Device device) const {
  for (const auto& queue : queues_) {
    if (queue->device() == device) return *queue;
  }
  fail(ErrorCode::internal, "no work of this model was planned for {}", tensor::to_string(device));
}

CudaQueue& Context::queue(tensor::Device device) const {
  if (cuda == nullptr) {
    fail(ErrorCode::internal, "memory of {} in a model of the cpu", tensor::to_string(device));
  }
  return cuda->at(device);
}

}  // namespace assay::ops
