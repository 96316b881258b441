#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace assay::kernels::cpu {

/// The rows of the dispatch table, weakest first.
enum class Isa : std::uint8_t { portable, avx2, avx512, avx512_vnni_bf16, amx };
[[nodiscard]] std::string_view name_of(Isa isa) noexcept;  ///< "avx512_vnni_bf16"

/// What this CPU and its operating system offer, read once with cpuid and xgetbv.
struct CpuFeatures {
  bool avx2 = false;    ///< with FMA, F16C, BMI2
  bool avx512 = false;  ///< F, BW, DQ, VL, CD
  bool vnni = false;
  bool bf16 = false;
  bool amx_int8 = false;  ///< and this process may use it; likewise amx_bf16
  bool amx_bf16 = false;
  std::string name;  ///< brand string
};
[[nodiscard]] const CpuFeatures& cpu_features();
[[nodiscard]] bool has(Isa isa, const CpuFeatures& features) noexcept;
[[nodiscard]] std::vector<Isa> available_isas();

/// The best available, or the one that ASSAY_CPU_ISA names: unknown is a usage error, absent is
/// device_missing. Highway's targets are limited accordingly. Kernels above it are never chosen.
[[nodiscard]] Isa active_isa();
/// For tests: as if ASSAY_CPU_ISA had been set.
void force_isa(Isa isa);

}  // namespace assay::kernels::cpu
