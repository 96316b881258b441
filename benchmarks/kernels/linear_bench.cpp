// Speed of every linear kernel that this machine can run. A result is checked against a product in
// double before it is timed; a wrong kernel is reported as an error, not as a figure.
//
//   linear_bench --benchmark_filter='nf4.*vnni.*/m:1/'
//
// Beside bytes and operations a second stand their shares of what the machine was seen to do in the
// same run: reading memory, and the instruction that the kernel multiplies with. roofline.py draws
// them from --benchmark_format=json.
//
// Shapes are those of a small decoder, of an encoder's feed-forward layers, of a 1.1B decoder and
// of an 8B one's output projection; weights of a decode step rotate through copies that exceed the
// last cache, as the layers of a model do.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "kernels/cpu/linear.h"
#include "machine_limits.h"

namespace {

using namespace assay;
using kernels::cpu::LinearKernel;
using precision::Encoding;
using tensor::DType;

struct Problem {
  std::int64_t n, k, m;
};

std::vector<float> random_values(std::int64_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& v : values) v = normal(engine);
  return values;
}

tensor::Matrix random_matrix(std::int64_t rows, std::int64_t cols, DType type, bool outliers) {
  std::vector<float> values = random_values(rows * cols, 2);
  if (outliers) {
    for (std::int64_t i = 0; i < 8; ++i) values[static_cast<std::size_t>(i * (cols / 8))] = 20.0F;
  } else {
    for (float& v : values) v = std::clamp(v, -5.0F, 5.0F);
  }
  tensor::Matrix m(type, rows, cols);
  for (std::int64_t r = 0; r < rows; ++r) {
    tensor::store_row(m.view(), r, {values.data() + r * cols, static_cast<std::size_t>(cols)});
  }
  return m;
}

/// Largest |y - reference| over the first row and four columns, in units of the norms' product.
double relative_error(const precision::EncodedTensor& weight, const tensor::Matrix& x,
                      const tensor::Matrix& y) {
  const auto k = static_cast<std::size_t>(weight.cols);
  std::vector<float> in(k), w(k), out(static_cast<std::size_t>(weight.rows));
  tensor::load_row(x.view(), 0, in);
  tensor::load_row(y.view(), 0, out);
  double worst = 0;
  for (std::int64_t c = 0; c < weight.rows; c += std::max<std::int64_t>(1, weight.rows / 4)) {
    precision::info(weight.encoding).decode_row(weight, c, w);
    double sum = 0, xx = 0, ww = 0;
    for (std::size_t i = 0; i < k; ++i) {
      sum += double{in[i]} * w[i];
      xx += double{in[i]} * in[i];
      ww += double{w[i]} * w[i];
    }
    const double error = std::fabs(out[static_cast<std::size_t>(c)] - sum);
    worst = std::max(worst, error / (std::sqrt(xx * ww) + 1e-30));
  }
  return worst;
}

/// Operands of 8 bits are coarse; f32 is nearly exact.
double tolerance(const LinearKernel& kernel) {
  if (kernel.identity.activation == precision::Activation::int8_dynamic) return 2e-2;
  return kernel.identity.compute == DType::f32 ? 1e-5 : 1e-2;
}

struct Options {
  bool double_quant = false;
  float threshold = 0.0F;
  int threads = 1;
};

/// What one benchmark works on; repetitions of it share one.
struct Setup {
  base::ThreadPool pool;
  precision::EncodedTensor weight;
  std::vector<kernels::cpu::PackedWeight> copies;
  tensor::Matrix x;
  tensor::Matrix y;
  kernels::cpu::Workspace workspace;
  std::size_t next = 0;

  Setup(const LinearKernel& kernel, Problem p, Options options) : pool(options.threads) {
    weight =
        precision::info(kernel.identity.encoding).encode(random_values(p.n * p.k, 1), p.n, p.k);
    if (options.double_quant) precision::quantize_scales(weight);
    constexpr std::int64_t kBeyondCaches = std::int64_t{72} << 20;
    do {
      copies.push_back(kernel.pack(weight, pool));
    } while (p.m <= 4 &&
             copies[0].bytes() * static_cast<std::int64_t>(copies.size()) < kBeyondCaches);
    const DType type = kernel.identity.compute == DType::i8 ? DType::bf16 : kernel.identity.compute;
    x = random_matrix(p.m, p.k, type, options.threshold > 0.0F);
    y = tensor::Matrix(type, p.m, p.n);
  }

  void call(const LinearKernel& kernel, float threshold) {
    kernels::cpu::LinearCall call{.weight = copies[next++ % copies.size()],
                                  .x = x.view(),
                                  .y = y.view(),
                                  .bias = {},
                                  .threshold = threshold,
                                  .pool = pool,
                                  .workspace = workspace};
    benchmark::DoNotOptimize(kernel.run(call));
  }
};

benchmarks::Unit unit_of(const precision::KernelIdentity& identity) {
  const bool narrow = identity.path == "amx" || identity.path == "avx512_vnni_bf16";
  if (identity.compute == DType::i8)
    return narrow ? benchmarks::Unit::int8 : benchmarks::Unit::int16;
  return narrow ? benchmarks::Unit::bf16 : benchmarks::Unit::f32;
}

/// Measured once for each number of threads, unit and path.
struct Limits {
  double bytes;
  double operations;
};

Limits limits_of(const LinearKernel& kernel, int threads) {
  static std::map<int, double> bandwidths;
  static std::map<std::string, double> peaks;
  const benchmarks::Unit unit = unit_of(kernel.identity);
  if (!bandwidths.contains(threads)) bandwidths[threads] = benchmarks::read_bandwidth(threads);
  const std::string key = fmt::format("{} {} {}", kernel.identity.path, int(unit), threads);
  if (!peaks.contains(key)) {
    peaks[key] = benchmarks::peak_operations(threads, kernel.identity.path, unit);
  }
  return {bandwidths[threads], peaks[key]};
}

void run(benchmark::State& state, const LinearKernel& kernel, Problem p, Options options,
         const std::string& name) {
  static std::unique_ptr<Setup> setup;
  static std::string owner;
  if (owner != name) {
    setup.reset();
    setup = std::make_unique<Setup>(kernel, p, options);
    owner = name;
  }
  setup->call(kernel, options.threshold);
  const double error = relative_error(setup->weight, setup->x, setup->y);
  if (!(error <= tolerance(kernel))) {
    state.SkipWithError(fmt::format("wrong result: relative error {}", error).c_str());
    return;
  }
  const Limits limits = limits_of(kernel, options.threads);
  for (auto _ : state) setup->call(kernel, options.threshold);
  const auto iterations = static_cast<double>(state.iterations());
  using benchmark::Counter;
  const double operations = 2.0 * static_cast<double>(p.n * p.k * p.m);
  const auto bytes = static_cast<double>(setup->copies[0].bytes());
  state.counters["ops/s"] = Counter(operations * iterations, Counter::kIsRate);
  state.counters["weight B/s"] = Counter(bytes * iterations, Counter::kIsRate, Counter::kIs1024);
  state.counters["of memory"] = Counter(bytes * iterations / limits.bytes, Counter::kIsRate);
  if (limits.operations > 0) {
    state.counters["of peak"] =
        Counter(operations * iterations / limits.operations, Counter::kIsRate);
  }
  state.counters["ops/byte"] = operations / bytes;
  state.counters["memory B/s"] = limits.bytes;
  state.counters["peak ops/s"] = limits.operations;
}

void add(const LinearKernel& kernel, Problem p, Options options) {
  std::string name(kernel.identity.kernel);
  if (options.double_quant) name += "_dq";
  if (options.threshold > 0.0F) name += "_outliers";
  name += fmt::format("/n:{}/k:{}/m:{}/t:{}", p.n, p.k, p.m, options.threads);
  benchmark::RegisterBenchmark(name.c_str(), [&kernel, p, options, name](benchmark::State& state) {
    run(state, kernel, p, options, name);
  })->UseRealTime();
}

void add_all() {
  const Problem problems[] = {
      {1536, 576, 1},   {1536, 576, 4},  {1536, 576, 64},  {1536, 576, 512},  {768, 3072, 128},
      {3072, 768, 512}, {5632, 2048, 1}, {5632, 2048, 64}, {5632, 2048, 512}, {4096, 4096, 1}};
  const int all = static_cast<int>(std::thread::hardware_concurrency());
  for (const LinearKernel& kernel : kernels::cpu::linear_kernels()) {
    const auto isas = kernels::cpu::available_isas();
    const bool there = std::any_of(isas.begin(), isas.end(), [&](kernels::cpu::Isa isa) {
      return kernels::cpu::name_of(isa) == kernel.identity.path;
    });
    // Weights that have no encoder cannot be made here.
    if (!there || precision::info(kernel.identity.encoding).encode == nullptr) continue;
    for (const int threads : std::set{1, 2, std::max(all, 1)}) {
      for (const Problem& p : problems) {
        add(kernel, p, {.threads = threads});
        if (kernel.identity.encoding == Encoding::nf4) {
          add(kernel, p, {.double_quant = true, .threads = threads});
        }
        if (kernel.identity.compute == DType::i8) {
          add(kernel, p, {.threshold = 6.0F, .threads = threads});
        }
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  add_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
