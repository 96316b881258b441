// Speed of row-wise kernels and attention on the first device. A result is compared with one in
// double before it is timed.
//
//   rows_cuda_bench
//
// Calls are recorded in a graph, as in a decode step, and timed with events. The share of bandwidth
// is that of a copy measured in the same run, counting bytes read and written.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "kernels/cuda/elementwise.h"

namespace {

using namespace assay;
using namespace assay::kernels::cuda;
using tensor::DType;
using tensor::Matrix;

tensor::Device the_device() { return {tensor::DeviceKind::cuda, devices().front().index}; }

/// Seconds of one call: the median of seven graphs of `calls` each.
double seconds(Stream& stream, int calls, const std::function<void(int)>& call) {
  call(0);
  stream.synchronize();
  stream.begin_capture();
  for (int i = 0; i < calls; ++i) call(i);
  const Graph graph = stream.end_capture();
  Event begin(the_device().index), end(the_device().index);
  std::vector<double> times;
  for (int i = 0; i < 9; ++i) {
    begin.record(stream);
    stream.launch(graph);
    end.record(stream);
    end.synchronize();
    if (i >= 2) times.push_back(end.milliseconds_since(begin) / 1e3 / calls);
  }
  std::ranges::sort(times);
  return times[times.size() / 2];
}

/// Roughly normal values on the device, and on the host as they were rounded.
struct Data {
  Matrix device;
  std::vector<float> host;
  std::int64_t cols;

  [[nodiscard]] double at(std::int64_t row, std::int64_t column) const {
    return double{host[static_cast<std::size_t>(row * cols + column)]};
  }
};
Data random_data(DType type, std::int64_t rows, std::int64_t cols, unsigned seed, Stream& stream) {
  std::minstd_rand engine(seed);
  Matrix host(type, rows, cols);
  Data data{Matrix(type, rows, cols, the_device()), {}, cols};
  std::vector<float> row(static_cast<std::size_t>(cols));
  for (std::int64_t r = 0; r < rows; ++r) {
    for (float& v : row) {
      v = -2.0F;
      for (int i = 0; i < 4; ++i) v += static_cast<float>(engine()) * 0x1p-31F;
      v *= 1.7F;
    }
    tensor::store_row(host.view(), r, row);
    tensor::load_row(host.view(), r, row);
    data.host.insert(data.host.end(), row.begin(), row.end());
  }
  stream.copy_to_device(data.device.view().data, host.view().data, host.bytes());
  stream.synchronize();
  return data;
}

std::vector<float> row_back(const tensor::MatrixView& m, std::int64_t row, Stream& stream) {
  Matrix host(m.type, 1, m.cols);
  stream.copy_to_host(host.view().data, m.row_bytes(row), host.bytes());
  stream.synchronize();
  std::vector<float> values(static_cast<std::size_t>(m.cols));
  tensor::load_row(host.view(), 0, values);
  return values;
}

template <typename T>
tensor::Buffer on_device(const std::vector<T>& values, Stream& stream) {
  tensor::Buffer buffer(values.size() * sizeof(T), the_device());
  stream.copy_to_device(buffer.data(), values.data(), buffer.size());
  stream.synchronize();
  return buffer;
}

void require_close(double value, double wanted, double allowed, const std::string& what) {
  if (std::abs(value - wanted) <= allowed) return;
  fmt::print(stderr, "{}: {} instead of {}\n", what, value, wanted);
  std::exit(1);
}

double copy_rate(Stream& stream) {
  constexpr std::size_t kBytes = std::size_t{2} << 30;
  tensor::Buffer from(kBytes, the_device()), to(kBytes, the_device());
  stream.fill_bytes(from.data(), 0x5a, kBytes);
  const double time =
      seconds(stream, 4, [&](int) { stream.copy_on_device(to.data(), from.data(), kBytes); });
  const double rate = 2.0 * kBytes / time;
  fmt::print("copy of 2 GiB: {:.0f} GB/s\n\n", rate / 1e9);
  return rate;
}

void norms(Stream& stream, double peak) {
  constexpr std::int64_t kCols = 4096;
  fmt::print(
      "| rms_norm, bf16, 4096 columns, rows | us | GB/s | of the copy |\n|---|---|---|---|\n");
  const tensor::Buffer weight = on_device(std::vector<float>(kCols, 1.5F), stream);
  for (const std::int64_t rows : {1, 64, 1024, 65536}) {
    const Data x = random_data(DType::bf16, rows, kCols, 1, stream);
    const Matrix y(DType::bf16, rows, kCols, the_device());
    const auto call = [&](int) {
      rms_norm(x.device.view(), weight.as<float>(), 1e-5F, y.view(), stream);
    };
    call(0);
    const auto row = row_back(y.view(), rows - 1, stream);
    double squares = 0;
    for (std::int64_t c = 0; c < kCols; ++c) squares += x.at(rows - 1, c) * x.at(rows - 1, c);
    for (std::int64_t c = 0; c < kCols; c += 97) {
      const double wanted = x.at(rows - 1, c) * 1.5 / std::sqrt(squares / kCols + 1e-5);
      require_close(row[static_cast<std::size_t>(c)], wanted, 0.005 * std::abs(wanted), "rms_norm");
    }
    const double time = seconds(stream, 20, call);
    const double rate = 2.0 * 2 * static_cast<double>(rows) * kCols / time;
    fmt::print("| {} | {:.2f} | {:.0f} | {:.0f}% |\n", rows, time * 1e6, rate / 1e9,
               100 * rate / peak);
  }
}

struct Shape {
  DType type;
  std::int64_t heads, kv_heads, head_dim;
  std::int32_t sequences, queries, keys;
  bool fixed;
};

/// One head of the last query of the last sequence in double.
void check_attention(const Shape& s, const Data& q, const Data& k, const Data& v, const Matrix& out,
                     Stream& stream) {
  const std::int64_t row = std::int64_t{s.sequences} * s.queries - 1;
  const std::int64_t first = std::int64_t{s.sequences - 1} * s.keys;
  const std::int64_t head = s.heads - 1;
  const std::int64_t kv = (s.kv_heads - 1) * s.head_dim;
  const double scale = 1.0 / std::sqrt(static_cast<double>(s.head_dim));
  std::vector<double> sums(static_cast<std::size_t>(s.head_dim));
  double total = 0;
  for (std::int64_t j = 0; j < s.keys; ++j) {
    double dot = 0;
    for (std::int64_t i = 0; i < s.head_dim; ++i)
      dot += q.at(row, head * s.head_dim + i) * k.at(first + j, kv + i);
    const double weight = std::exp(dot * scale);
    total += weight;
    for (std::int64_t i = 0; i < s.head_dim; ++i)
      sums[static_cast<std::size_t>(i)] += weight * v.at(first + j, kv + i);
  }
  const auto values = row_back(out.view(), row, stream);
  for (std::int64_t i = 0; i < s.head_dim; ++i) {
    require_close(values[static_cast<std::size_t>(head * s.head_dim + i)],
                  sums[static_cast<std::size_t>(i)] / total, s.type == DType::f32 ? 1e-5 : 0.02,
                  "attention");
  }
}

void attend(const Shape& s, Stream& stream, double peak) {
  const std::int64_t rows = std::int64_t{s.sequences} * s.queries;
  const std::int64_t width = s.kv_heads * s.head_dim;
  const Data q = random_data(s.type, rows, s.heads * s.head_dim, 2, stream);
  const Data k = random_data(s.type, std::int64_t{s.sequences} * s.keys, width, 3, stream);
  const Data v = random_data(s.type, std::int64_t{s.sequences} * s.keys, width, 4, stream);
  const Matrix out(s.type, rows, s.heads * s.head_dim, the_device());
  std::vector<DeviceSequence> sequences;
  for (std::int32_t i = 0; i < s.sequences; ++i)
    sequences.push_back({i * s.queries, s.queries, s.keys, i});
  const tensor::Buffer table = on_device(sequences, stream);
  Workspace workspace(the_device());
  AttentionCall call;
  call.q = q.device.view();
  call.out = out.view();
  call.cache = {k.device.view().data, v.device.view().data, s.type, s.keys * width, width};
  call.cached = true;
  call.heads = s.heads;
  call.kv_heads = s.kv_heads;
  call.head_dim = s.head_dim;
  call.scale = 1.0F / std::sqrt(static_cast<float>(s.head_dim));
  call.causal = true;
  call.sequences = table.as<DeviceSequence>();
  call.sequence_count = s.sequences;
  call.most_queries = s.queries;
  call.most_keys = s.keys;
  call.fixed_tiles = s.fixed;
  attention(call, stream, workspace);
  check_attention(s, q, k, v, out, stream);
  const double time = seconds(stream, 10, [&](int) { attention(call, stream, workspace); });
  const double cache = 2.0 * static_cast<double>(tensor::size_of(s.type)) *
                       static_cast<double>(width) * s.keys * s.sequences;
  // Two products of two operations; a causal prompt sees half of the pairs.
  const double pairs = s.queries == 1 ? s.keys : 0.5 * s.queries * s.keys;
  const double operations = 4.0 * static_cast<double>(s.heads * s.head_dim) * pairs * s.sequences;
  fmt::print("| {} | {}/{}x{} | {} | {} | {} | {} | {:.1f} | {:.1f} | {:.0f} | {:.0f}% |\n",
             tensor::name_of(s.type), s.heads, s.kv_heads, s.head_dim, s.sequences, s.queries,
             s.keys, s.fixed ? "yes" : "no", time * 1e6, operations / time / 1e12,
             cache / time / 1e9, 100 * cache / time / peak);
}

}  // namespace

int main() {
  if (!unavailable().empty()) {
    fmt::print("{}\n", unavailable());
    return 69;
  }
  install_allocator();
  Stream stream(the_device().index);
  fmt::print("{}, path {}\n", stream.device().name, name_of(stream.device().path));
  const double peak = copy_rate(stream);
  norms(stream, peak);
  fmt::print(
      "\n| attention | heads | batch | queries | keys | fixed tiles | us | TFLOP/s | cache GB/s | "
      "of the copy |\n|---|---|---|---|---|---|---|---|---|---|\n");
  for (const Shape& s : {Shape{DType::bf16, 32, 8, 128, 1, 2048, 2048, true},
                         Shape{DType::bf16, 32, 8, 128, 4, 512, 512, true},
                         Shape{DType::f16, 12, 12, 64, 32, 128, 128, true},
                         Shape{DType::f32, 12, 12, 64, 32, 128, 128, true},
                         Shape{DType::f32, 32, 8, 128, 1, 512, 512, true},
                         Shape{DType::bf16, 32, 8, 128, 1, 1, 512, false},
                         Shape{DType::bf16, 32, 8, 128, 1, 1, 8192, false},
                         Shape{DType::bf16, 32, 8, 128, 1, 1, 8192, true},
                         Shape{DType::bf16, 32, 8, 128, 16, 1, 8192, false},
                         Shape{DType::bf16, 32, 32, 128, 1, 1, 8192, false},
                         Shape{DType::f32, 32, 8, 128, 1, 1, 8192, false}}) {
    attend(s, stream, peak);
  }
  return 0;
}
