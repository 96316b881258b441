// Speed of every linear kernel of the device, for a layer of an 8B decoder (4096 -> 14336). A
// result is checked against a product in double before it is timed; a wrong kernel is an error, not
// a figure.
//
//   linear_cuda_bench [part of a kernel's name] [rows, rows, ...]
//
// Calls are recorded in a graph, as in a decode step, and timed with events. Weights rotate through
// copies that exceed the second cache four times. The share of bandwidth is that of a copy measured
// in the same run; the share of the peak is that of the data sheet of a card of compute capability
// 9.0 (dense), and is left out elsewhere.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "kernels/cuda/linear.h"

namespace {

using namespace assay;
using kernels::cuda::Event;
using kernels::cuda::Graph;
using kernels::cuda::LinearKernel;
using kernels::cuda::PackedWeight;
using kernels::cuda::Stream;
using precision::Activation;
using tensor::DType;

constexpr std::int64_t kIn = 4096, kOut = 14336;
constexpr tensor::Device kDevice{tensor::DeviceKind::cuda, 0};

struct Case {
  const LinearKernel* kernel;
  bool double_quant;
  int outliers;
};

/// Roughly normal, quick to make.
std::vector<float> random_values(std::int64_t count, unsigned seed, float scale) {
  std::minstd_rand engine(seed);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& v : values) {
    float sum = -2.0F;
    for (int i = 0; i < 4; ++i) sum += static_cast<float>(engine()) * 0x1p-31F;
    v = sum * 1.7F * scale;
  }
  return values;
}

tensor::Buffer copy_of(const tensor::Buffer& from, Stream& stream) {
  tensor::Buffer to(from.size(), kDevice);
  stream.copy_on_device(to.data(), from.data(), from.size());
  return to;
}

PackedWeight copy_of(const PackedWeight& from, Stream& stream) {
  PackedWeight to;
  to.n = from.n;
  to.k = from.k;
  to.device = from.device;
  to.offset = from.offset;
  to.codes = copy_of(from.codes, stream);
  to.scales = copy_of(from.scales, stream);
  to.extra = copy_of(from.extra, stream);
  return to;
}

class Bench {
 public:
  Bench() : stream_(0), workspace_(kDevice), weights_(random_values(kIn * kOut, 1, 0.02F)) {
    measure_copy();
    fmt::print("{}, path {}, a copy moves {:.0f} GB/s\n", stream_.device().name,
               name_of(stream_.device().path), bandwidth_ / 1e9);
    fmt::print("{:<34}{:>6}{:>9}{:>12}{:>9}{:>9}{:>11}{:>8}\n", "kernel", "rows", "outliers", "us",
               "GB/s", "of copy", "TFLOP/s", "of peak");
  }

  bool run(const Case& c, const std::vector<std::int64_t>& rows) {
    const auto encoding = c.kernel->identity.encoding;
    if (!encoded_ || encoded_->encoding != encoding ||
        (encoded_->nested != nullptr) != c.double_quant) {
      encoded_ = precision::info(encoding).encode(weights_, kOut, kIn);
      if (c.double_quant) precision::quantize_scales(*encoded_);
    }
    copies_.clear();
    copies_.push_back(c.kernel->pack(*encoded_, stream_));
    const std::int64_t wanted = 4 * stream_.device().l2_bytes;
    while (copies_.front().bytes() * static_cast<std::int64_t>(copies_.size()) < wanted) {
      copies_.push_back(copy_of(copies_.front(), stream_));
    }
    return std::all_of(rows.begin(), rows.end(), [&](std::int64_t m) { return run(c, m); });
  }

 private:
  void measure_copy() {
    constexpr std::size_t kBytes = std::size_t{1} << 30;
    tensor::Buffer a(kBytes, kDevice), b(kBytes, kDevice);
    stream_.fill_bytes(a.data(), 1, kBytes);
    const double seconds = time([&] { stream_.copy_on_device(b.data(), a.data(), kBytes); }, 10);
    bandwidth_ = 2.0 * static_cast<double>(kBytes) / seconds;
  }

  /// Median of seven timings of `count` calls, per call.
  template <typename F>
  double time(const F& body, int count) {
    Event begin(0), end(0);
    std::vector<double> seconds;
    body();
    for (int i = 0; i < 7; ++i) {
      begin.record(stream_);
      for (int j = 0; j < count; ++j) body();
      end.record(stream_);
      end.synchronize();
      seconds.push_back(end.milliseconds_since(begin) / 1e3 / count);
    }
    std::sort(seconds.begin(), seconds.end());
    return seconds[seconds.size() / 2];
  }

  bool run(const Case& c, std::int64_t m) {
    const LinearKernel& kernel = *c.kernel;
    // In the precision's usual company: f32 with f32, 16 bit elsewhere.
    const DType compute = tensor::held_as(kernel.identity.compute);
    const DType type = compute == DType::f32                ? DType::f32
                       : compute == DType::f16              ? DType::f16
                       : stream_.device().capability() < 80 ? DType::f16
                                                            : DType::bf16;
    std::vector<float> values = random_values(m * kIn, 2, 1.0F);
    for (float& v : values) v = std::clamp(v, -4.0F, 4.0F);
    for (int i = 0; i < c.outliers; ++i) {
      for (std::int64_t r = 0; r < m; ++r) {
        values[static_cast<std::size_t>(r * kIn + (i * 509) % kIn)] = 20.0F;
      }
    }
    const tensor::Matrix host = matrix_of(values, m, type);
    const tensor::Matrix x(type, m, kIn, kDevice), y(type, m, kOut, kDevice);
    stream_.copy_to_device(x.view().data, host.view().data, host.bytes());
    const auto call = [&](std::size_t copy) {
      kernels::cuda::LinearCall linear{.weight = copies_[copy % copies_.size()],
                                       .x = x.view(),
                                       .y = y.view(),
                                       .threshold = c.outliers > 0 ? 6.0F : 0.0F,
                                       .stream = stream_,
                                       .workspace = workspace_,
                                       .activation_range = 4.0F};
      (void)kernel.run(linear);
    };
    call(0);
    if (!check(kernel, host, y)) return false;
    const int calls = static_cast<int>(copies_.size()) * (m > 1000 ? 1 : 4);
    stream_.begin_capture();
    for (int i = 0; i < calls; ++i) call(static_cast<std::size_t>(i));
    const Graph graph = stream_.end_capture();
    const double seconds = time([&] { stream_.launch(graph); }, 3) / calls;
    print(c, m, seconds, static_cast<double>(x.bytes() + y.bytes()));
    return true;
  }

  static tensor::Matrix matrix_of(const std::vector<float>& values, std::int64_t rows, DType type) {
    tensor::Matrix m(type, rows, kIn);
    for (std::int64_t r = 0; r < rows; ++r) {
      tensor::store_row(m.view(), r, {values.data() + r * kIn, static_cast<std::size_t>(kIn)});
    }
    return m;
  }

  /// First and last row, some columns, in units of the norms' product.
  bool check(const LinearKernel& kernel, const tensor::Matrix& x, const tensor::Matrix& y) {
    tensor::Matrix result(y.type(), y.rows(), y.cols());
    stream_.copy_to_host(result.view().data, y.view().data, y.bytes());
    stream_.synchronize();
    std::vector<float> in(kIn), w(kIn), out(kOut);
    double worst = 0;
    for (const std::int64_t r : {std::int64_t{0}, y.rows() - 1}) {
      tensor::load_row(x.view(), r, in);
      tensor::load_row(result.view(), r, out);
      for (std::int64_t n = 0; n < kOut; n += 1023) {
        precision::info(encoded_->encoding).decode_row(*encoded_, n, w);
        double sum = 0, xx = 0, ww = 0;
        for (std::size_t i = 0; i < w.size(); ++i) {
          sum += double{in[i]} * w[i];
          xx += double{in[i]} * in[i];
          ww += double{w[i]} * w[i];
        }
        const double error = std::fabs(out[static_cast<std::size_t>(n)] - sum) / std::sqrt(xx * ww);
        worst = std::isnan(error) ? 1e30 : std::max(worst, error);
      }
    }
    const bool eight = kernel.identity.activation != Activation::native;
    const double allowed = eight                                    ? 2e-2
                           : kernel.identity.compute == DType::f32  ? 1e-5
                           : kernel.identity.compute == DType::tf32 ? 1e-3
                                                                    : 1e-2;
    if (worst <= allowed) return true;
    fmt::print("{}: WRONG, an error of {:.2e} where {:.0e} is allowed\n", kernel.identity.kernel,
               worst, allowed);
    return false;
  }

  [[nodiscard]] double peak(const LinearKernel& kernel) const {
    if (stream_.device().capability() != 90) return 0.0;

    switch (kernel.identity.compute) {
      case DType::f32:
        return 66.9e12;
      case DType::tf32:
        return 494.7e12;
      case DType::i8:
      case DType::f8:
        return 1978.9e12;
      default:
        return 989.4e12;
    }
  }

  void print(const Case& c, std::int64_t m, double seconds, double activations) const {
    const double bytes = static_cast<double>(copies_.front().bytes()) + activations;
    const double operations = 2.0 * static_cast<double>(m) * kIn * kOut;
    const double most = peak(*c.kernel);
    fmt::print("{:<34}{:>6}{:>9}{:>12.1f}{:>9.0f}{:>8.0f}%{:>11.1f}{:>8}\n",
               fmt::format("{}{}", c.kernel->identity.kernel, c.double_quant ? " dq" : ""), m,
               c.outliers, seconds * 1e6, bytes / seconds / 1e9, bytes / seconds / bandwidth_ * 100,
               operations / seconds / 1e12,
               most > 0 ? fmt::format("{:.0f}%", operations / seconds / most * 100) : "");
    std::fflush(stdout);
  }

  Stream stream_;
  kernels::cuda::Workspace workspace_;
  std::vector<float> weights_;
  std::optional<precision::EncodedTensor> encoded_;
  std::vector<PackedWeight> copies_;
  double bandwidth_ = 0;
};

std::vector<Case> cases(const std::string& filter) {
  std::vector<Case> all;
  for (const LinearKernel& kernel : kernels::cuda::linear_kernels()) {
    const kernels::cuda::LinearProblem problem{.encoding = kernel.identity.encoding,
                                               .activation = kernel.identity.activation,
                                               .compute = kernel.identity.compute,
                                               .n = kOut,
                                               .k = kIn};
    if (!kernel.supports(problem, kernels::cuda::device(0), nullptr)) continue;
    if (kernel.identity.kernel.find(filter) == std::string_view::npos) continue;
    all.push_back({&kernel, false, 0});
    if (kernel.identity.activation == Activation::int8_dynamic) all.push_back({&kernel, false, 8});
    if (kernel.identity.encoding == precision::Encoding::nf4) all.push_back({&kernel, true, 0});
  }
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (!kernels::cuda::unavailable().empty()) {
      fmt::print("{}\n", kernels::cuda::unavailable());
      return 69;
    }
    kernels::cuda::install_allocator();
    std::vector<std::int64_t> rows;
    for (int i = 2; i < argc; ++i) rows.push_back(std::atoll(argv[i]));
    if (rows.empty()) rows = {1, 16, 128, 4096};
    bool good = true;
    Bench bench;
    for (const Case& c : cases(argc > 1 ? argv[1] : "")) good = bench.run(c, rows) && good;
    return good ? 0 : 1;
  } catch (const Error& error) {
    fmt::print("{}\n", error.what());
    return 1;
  }
}
