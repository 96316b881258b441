#include "machine_limits.h"

#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "tensor/tensor.h"

namespace assay::benchmarks {
namespace {

constexpr int kRepetitions = 5;
constexpr int kSums = 12;  ///< enough for two units of a latency of five
constexpr long kRounds = 2'000'000;

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// The shortest of several runs of body on every thread. The threads are its own: tiles configured
/// here are not those of the kernels.
template <typename Body>
double fastest(int threads, const Body& body) {
  double best = 1e30;
  for (int i = 0; i < kRepetitions; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<std::thread> team;
    for (int t = 0; t < threads; ++t) team.emplace_back([&body, t] { body(t); });
    for (std::thread& thread : team) thread.join();
    best = std::min(best, seconds_since(begin));
  }
  return best;
}

[[gnu::target("avx2")]] int read_all(const std::byte* from, std::int64_t bytes) {
  __m256i sums[4] = {};
  for (std::int64_t i = 0; i < bytes; i += 128) {
    for (int j = 0; j < 4; ++j) {
      const auto* at = reinterpret_cast<const __m256i*>(from + i + 32 * j);
      sums[j] = _mm256_xor_si256(sums[j], _mm256_load_si256(at));
    }
  }
  sums[0] =
      _mm256_xor_si256(_mm256_xor_si256(sums[0], sums[1]), _mm256_xor_si256(sums[2], sums[3]));
  return _mm256_extract_epi32(sums[0], 0);
}

// One instruction on kSums registers, kRounds times, written out: a compiler would keep sums that
// it must not touch in memory. All operands are zero.
#define ASSAY_TWELVE(step)                                                                  \
  step("0") step("1") step("2") step("3") step("4") step("5") step("6") step("7") step("8") \
      step("9") step("10") step("11")
#define ASSAY_LOOP(name, step)                                                                 \
  void name() {                                                                                \
    asm volatile("vzeroall" : : : ASSAY_REGISTERS);                                            \
    for (long i = 0; i < kRounds; ++i) asm volatile(ASSAY_TWELVE(step) : : : ASSAY_REGISTERS); \
    asm volatile("vzeroupper" : : : ASSAY_REGISTERS);                                          \
  }
#define ASSAY_REGISTERS                                                                    \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
      "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"
#define ASSAY_FMA_256(n) "vfmadd231ps %%ymm14, %%ymm15, %%ymm" n "\n\t"
#define ASSAY_FMA_512(n) "vfmadd231ps %%zmm14, %%zmm15, %%zmm" n "\n\t"
#define ASSAY_BF16_512(n) "vdpbf16ps %%zmm14, %%zmm15, %%zmm" n "\n\t"
#define ASSAY_VNNI_512(n) "vpdpbusd %%zmm14, %%zmm15, %%zmm" n "\n\t"
#define ASSAY_MADD_256(n) \
  "vpmaddwd %%ymm14, %%ymm15, %%ymm13\n\tvpaddd %%ymm13, %%ymm" n ", %%ymm" n "\n\t"
#define ASSAY_MADD_512(n) \
  "vpmaddwd %%zmm14, %%zmm15, %%zmm13\n\tvpaddd %%zmm13, %%zmm" n ", %%zmm" n "\n\t"
ASSAY_LOOP(fma_256, ASSAY_FMA_256)
ASSAY_LOOP(fma_512, ASSAY_FMA_512)
ASSAY_LOOP(madd_256, ASSAY_MADD_256)
ASSAY_LOOP(madd_512, ASSAY_MADD_512)
ASSAY_LOOP(bf16_512, ASSAY_BF16_512)
ASSAY_LOOP(vnni_512, ASSAY_VNNI_512)

struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t zeros[15] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

template <bool Int8>
void tiles() {
  const TileConfig config;
  asm volatile("ldtilecfg %0" : : "m"(config) : "memory");
  for (long i = 0; i < kRounds / 32; ++i) {
    if constexpr (Int8) {
      asm volatile(
          "tdpbsud %tmm6, %tmm4, %tmm0\n\ttdpbsud %tmm7, %tmm4, %tmm1\n\t"
          "tdpbsud %tmm6, %tmm5, %tmm2\n\ttdpbsud %tmm7, %tmm5, %tmm3");
    } else {
      asm volatile(
          "tdpbf16ps %tmm6, %tmm4, %tmm0\n\ttdpbf16ps %tmm7, %tmm4, %tmm1\n\t"
          "tdpbf16ps %tmm6, %tmm5, %tmm2\n\ttdpbf16ps %tmm7, %tmm5, %tmm3");
    }
  }
  asm volatile("tilerelease");
}

struct Loop {
  std::string_view path;
  Unit unit;
  void (*run)();
  double operations;  ///< of one call
};

constexpr double operations_of(double products) { return 2.0 * products * kSums * kRounds; }
constexpr double tile_operations(double depth) {
  return 2.0 * 16 * 16 * depth * 4 * static_cast<double>(kRounds / 32);
}

constexpr Loop kLoops[] = {{"avx2", Unit::f32, fma_256, operations_of(8)},
                           {"avx2", Unit::int16, madd_256, operations_of(16)},
                           {"avx512", Unit::f32, fma_512, operations_of(16)},
                           {"avx512", Unit::int16, madd_512, operations_of(32)},
                           {"avx512_vnni_bf16", Unit::bf16, bf16_512, operations_of(32)},
                           {"avx512_vnni_bf16", Unit::int8, vnni_512, operations_of(64)},
                           {"amx", Unit::bf16, tiles<false>, tile_operations(32)},
                           {"amx", Unit::int8, tiles<true>, tile_operations(64)}};

}  // namespace

double read_bandwidth(int threads) {
  constexpr std::int64_t kBytes = std::int64_t{512} << 20;
  const tensor::Buffer buffer(static_cast<std::size_t>(kBytes), true);
  const std::int64_t share = kBytes / threads / 128 * 128;
  const double seconds = fastest(threads, [&](int thread) {
    const int sum = read_all(buffer.data() + thread * share, share);
    asm volatile("" : : "r"(sum));
  });
  return static_cast<double>(share * threads) / seconds;
}

double peak_operations(int threads, std::string_view path, Unit unit) {
  for (const Loop& loop : kLoops) {
    if (loop.path != path || loop.unit != unit) continue;
    return loop.operations * threads / fastest(threads, [&](int) { loop.run(); });
  }
  return 0.0;
}

}  // namespace assay::benchmarks
