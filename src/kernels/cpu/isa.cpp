#include "kernels/cpu/isa.h"

#include <hwy/targets.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "base/error.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace assay::kernels::cpu {
namespace {

constexpr std::array<std::string_view, 5> kNames = {"portable", "avx2", "avx512",
                                                    "avx512_vnni_bf16", "amx"};

#if defined(__x86_64__) || defined(__i386__)

struct Registers {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Registers cpuid(unsigned leaf, unsigned subleaf) {
  Registers r;
  __get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx);
  return r;
}

bool bit(unsigned value, int position) { return ((value >> position) & 1U) != 0; }

/// Register states that the operating system saves (XCR0); without OSXSAVE none beyond SSE.
unsigned saved_states(const Registers& leaf1) {
  if (!bit(leaf1.ecx, 27)) return 0;
  unsigned low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

/// Linux gives a process the state of AMX tiles (component 18, 8 KiB) only when it asks.
bool permit_tiles() {
#if defined(__x86_64__)
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM of asm/prctl.h
  constexpr long kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

std::string brand() {
  std::array<unsigned, 12> words{};
  for (std::size_t i = 0; i < 3; ++i) {
    const Registers r = cpuid(0x80000002U + static_cast<unsigned>(i), 0);
    words[i * 4] = r.eax;
    words[i * 4 + 1] = r.ebx;
    words[i * 4 + 2] = r.ecx;
    words[i * 4 + 3] = r.edx;
  }
  std::array<char, sizeof(words) + 1> text{};
  std::memcpy(text.data(), words.data(), sizeof(words));
  std::string name(text.data());
  name.erase(0, name.find_first_not_of(' '));
  name.erase(name.find_last_not_of(' ') + 1);
  return name;
}

CpuFeatures read_features() {
  const Registers leaf1 = cpuid(1, 0);
  const Registers leaf7 = cpuid(7, 0);
  const Registers leaf7_1 = leaf7.eax >= 1 ? cpuid(7, 1) : Registers{};
  const unsigned states = saved_states(leaf1);
  const bool ymm = (states & 0x6U) == 0x6U;
  const bool zmm = ymm && (states & 0xe0U) == 0xe0U;
  const bool tiles = (states & 0x60000U) == 0x60000U && bit(leaf7.edx, 24) && permit_tiles();
  CpuFeatures f;
  // FMA, F16C, AVX; AVX2, BMI2.
  f.avx2 = ymm && bit(leaf1.ecx, 12) && bit(leaf1.ecx, 29) && bit(leaf1.ecx, 28) &&
           bit(leaf7.ebx, 5) && bit(leaf7.ebx, 8);
  // F, DQ, CD, BW, VL.
  f.avx512 = zmm && f.avx2 && bit(leaf7.ebx, 16) && bit(leaf7.ebx, 17) && bit(leaf7.ebx, 28) &&
             bit(leaf7.ebx, 30) && bit(leaf7.ebx, 31);
  f.vnni = f.avx512 && bit(leaf7.ecx, 11);
  f.bf16 = f.avx512 && bit(leaf7_1.eax, 5);
  f.amx_bf16 = tiles && bit(leaf7.edx, 22);
  f.amx_int8 = tiles && bit(leaf7.edx, 25);
  f.name = brand();
  return f;
}

#else

CpuFeatures read_features() {
  CpuFeatures f;
  f.name = "unknown";
  return f;
}

#endif

/// Code that dispatches through Highway must not use more than the forced instruction set.
void limit_highway(Isa isa) {
  constexpr std::int64_t kFallbacks = HWY_EMU128 | HWY_SCALAR;
  if (isa >= Isa::avx512) {
    hwy::SetSupportedTargetsForTest(0);
  } else if (isa == Isa::avx2) {
    hwy::SetSupportedTargetsForTest(HWY_AVX2 | HWY_SSE4 | HWY_SSSE3 | kFallbacks);
  } else {
    hwy::SetSupportedTargetsForTest(kFallbacks);
  }
  hwy::GetChosenTarget().DeInit();
}

std::string joined_names(const std::vector<Isa>& isas) {
  std::string text;
  for (const Isa isa : isas) {
    if (!text.empty()) text += ", ";
    text += name_of(isa);
  }
  return text;
}

void require_available(Isa isa) {
  if (has(isa, cpu_features())) return;
  fail(ErrorCode::device_missing, "instruction set {} is not available on {}; it offers {}",
       name_of(isa), cpu_features().name, joined_names(available_isas()));
}

Isa initial_isa() {
  const char* wanted = std::getenv("ASSAY_CPU_ISA");
  if (wanted == nullptr || *wanted == '\0') return available_isas().back();
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] != wanted) continue;
    const auto isa = static_cast<Isa>(i);
    require_available(isa);
    return isa;
  }
  fail(ErrorCode::usage, "ASSAY_CPU_ISA is '{}'; known are portable, avx2, avx512, {}, amx", wanted,
       name_of(Isa::avx512_vnni_bf16));
}

constexpr int kUnset = -1;
std::atomic<int> active{kUnset};

}  // namespace

std::string_view name_of(Isa isa) noexcept { return kNames[static_cast<std::size_t>(isa)]; }

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = read_features();
  return features;
}

bool has(Isa isa, const CpuFeatures& features) noexcept {
  switch (isa) {
    case Isa::portable:
      return true;
    case Isa::avx2:
      return features.avx2;
    case Isa::avx512:
      return features.avx2 && features.avx512;
    case Isa::avx512_vnni_bf16:
      return has(Isa::avx512, features) && features.vnni && features.bf16;
    case Isa::amx:
      return has(Isa::avx512_vnni_bf16, features) && features.amx_int8 && features.amx_bf16;
  }
  return false;
}

std::vector<Isa> available_isas() {
  std::vector<Isa> isas;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    const auto isa = static_cast<Isa>(i);
    if (has(isa, cpu_features())) isas.push_back(isa);
  }
  return isas;
}

Isa active_isa() {
  const int known = active.load(std::memory_order_acquire);
  if (known != kUnset) return static_cast<Isa>(known);
  const Isa isa = initial_isa();
  limit_highway(isa);
  active.store(static_cast<int>(isa), std::memory_order_release);
  return isa;
}

void force_isa(Isa isa) {
  require_available(isa);
  limit_highway(isa);
  active.store(static_cast<int>(isa), std::memory_order_release);
}

}  // namespace assay::kernels::cpu
