#pragma once

#include "kernels/cuda/linear/entries.h"
#include "kernels/cuda/linear/f32.cuh"

// The kernels that a file offers, as a list of types.
namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH {

/// Products of Codes on the tensor cores with Mma, or in f32 without them.
template <typename Mma, typename Codes, Act A = Act::native>
struct OnTensorCores {
  static constexpr bool kHere = Mma::kHere;
  static constexpr Identity kIs = kIdentity<Codes::kCode, A, Mma::kCompute>;
  static Identity run(const Call& call) {
    if (call.x.m <= kFewRows && !call.fixed_tiles) {
      launch_few_rows<Mma, Codes>(call);
    } else {
      launch_many_rows<Mma, Codes>(call);
    }
    return kIs;
  }
};
template <typename Codes>
struct InF32 {
  static constexpr bool kHere = true;
  static constexpr Identity kIs = kIdentity<Codes::kCode, Act::native, Num::f32>;
  static Identity run(const Call& call) {
    launch_f32<Codes>(call);
    return kIs;
  }
};

template <typename Kernel>
Entry entry_of() {
  if constexpr (Kernel::kHere) {
    return {Kernel::kIs, Kernel::run};
  } else {
    return {Kernel::kIs, nullptr};
  }
}

/// Those of the kernels whose instructions this path has not keep their place without a function.
template <typename... Kernels>
Entries entries_of() {
  static const Entry kEntries[] = {entry_of<Kernels>()...};
  return {kEntries, static_cast<int>(sizeof...(Kernels))};
}

}  // namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH
