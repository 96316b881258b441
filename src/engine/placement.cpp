#include "engine/placement.h"

#include <charconv>
#include <cstdlib>
#include <cstring>

#include "base/io.h"

namespace assay::engine {
namespace {

constexpr std::int64_t kGibibyte = std::int64_t{1} << 30;
/// Context, kernels, activations and what fragmentation wastes.
constexpr std::int64_t kReserved = kGibibyte;

}  // namespace

bool names_cuda(const std::string& text) {
  if (!text.starts_with("cuda")) return false;
  const std::string_view rest = std::string_view(text).substr(4);
  return rest.empty() || (rest.size() > 1 && rest.size() < 6 && rest[0] == ':' &&
                          rest.find_first_not_of("0123456789", 1) == std::string_view::npos);
}

DeviceChoice choose_device(const std::string& text, const std::vector<DeviceInfo>& there,
                           const std::string& missing) {
  if (text == "cpu") return {};
  if (text == "auto") {
    if (there.empty()) return {};
    return {true, {tensor::DeviceKind::cuda, there.front().index}};
  }
  if (!names_cuda(text)) {
    fail(ErrorCode::usage, "unknown device \"{}\": use cpu, cuda, cuda:N or auto",
         base::printable(text));
  }
  if (there.empty()) fail(ErrorCode::device_missing, "{}: {}", text, missing);
  int index = there.front().index;
  if (text.size() > 5) std::from_chars(text.data() + 5, text.data() + text.size(), index);
  for (const DeviceInfo& device : there) {
    if (device.index == index) return {false, {tensor::DeviceKind::cuda, index}};
  }
  fail(ErrorCode::device_missing, "{}: there {} {} CUDA device{}, numbered from 0", text,
       there.size() == 1 ? "is" : "are", there.size(), there.size() == 1 ? "" : "s");
}

std::int64_t layer_bytes(const precision::LayerInfo& layer, const precision::Precision& precision,
                         std::int64_t experts) {
  if (!layer.tied_to.empty()) return 0;
  const auto& info = precision::info(precision.weight.value_or(layer.source));
  return static_cast<std::int64_t>(info.bits_per_weight / 8 * double(layer.rows) *
                                   double(layer.cols) * double(std::max<std::int64_t>(experts, 1)));
}

std::vector<tensor::Device> place_blocks(const PartBytes& bytes,
                                         const std::vector<std::int64_t>& budgets) {
  std::vector<tensor::Device> devices;
  std::size_t next = 0;
  std::int64_t used = bytes.before;
  for (std::size_t block = 0; block < bytes.blocks.size(); ++block) {
    const bool last = block + 1 == bytes.blocks.size();
    const std::int64_t wanted = bytes.blocks[block] + (last ? bytes.behind : 0);
    while (next < budgets.size() && used + wanted > budgets[next]) {
      ++next;
      used = 0;
    }
    used += wanted;
    devices.push_back(next < budgets.size()
                          ? tensor::Device{tensor::DeviceKind::cuda, static_cast<int>(next)}
                          : tensor::Device{});
  }
  return devices;
}

std::int64_t memory_budget(const DeviceInfo& device) {
  const char* text = std::getenv("ASSAY_GPU_MEMORY");
  if (text == nullptr || *text == 0) return device.memory / 10 * 9 - kReserved;
  double gibibytes = -1.0;
  const auto end = text + std::strlen(text);
  const auto result = std::from_chars(text, end, gibibytes);
  if (result.ec != std::errc{} || result.ptr != end || !(gibibytes >= 0 && gibibytes < 1e6)) {
    fail(ErrorCode::usage, "ASSAY_GPU_MEMORY={}: use a number of GiB", text);
  }
  return static_cast<std::int64_t>(gibibytes * double(kGibibyte));
}

}  // namespace assay::engine
