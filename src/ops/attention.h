#pragma once

#include "kernels/cpu/elementwise.h"

namespace assay::ops {

using kernels::cpu::AttentionCall;
using kernels::cpu::AttentionSequence;

/// Checks heads, shapes, rows and key counts (internal errors), then runs the kernel.
void attention(const AttentionCall& call, base::ThreadPool& pool,
               kernels::cpu::Workspace& workspace);

}  // namespace assay::ops
