#pragma once

#include "kernels/cpu/linear/panel_ops.h"

// Products with AMX. Panels as they are packed (linear/layout.h) are tiles of weights: 16 units of
// depth by 16 columns, in two halves of a panel.
namespace assay::kernels::cpu::amx {

/// Block of bf16 x and a panel of bf16 pairs (unit 2), by TDPBF16PS: pairs of products enter one
/// f32 sum per output, depths ascending; denormals count as zero.
void multiply_bf16(const Block& block);
/// int8 codes of x and unsigned codes of weights (unit 4), by TDPBSUD, exact.
void multiply_int8(const IntegerBlock& block);

}  // namespace assay::kernels::cpu::amx
