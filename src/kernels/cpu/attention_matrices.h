#pragma once

#include "base/thread_pool.h"
#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/workspace.h"

namespace assay::kernels::cpu {

/// Whether attention goes by products of matrices: bf16 queries, keys and values, whole panels of
/// dimensions, and AMX active.
[[nodiscard]] bool takes_matrices(const AttentionCall& call);
/// attention() for those calls. The same bits in prompts, decode steps and batches, too; not those
/// of the other way.
void attention_by_matrices(const AttentionCall& call, base::ThreadPool& pool, Workspace& workspace);

}  // namespace assay::kernels::cpu
