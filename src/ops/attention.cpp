#include "ops/attention.h"

#include "ops/check.h"

namespace assay::ops {

void attention(const AttentionCall& call, base::ThreadPool& pool,
               kernels::cpu::Workspace& workspace) {
  check_same_shape("attention", call.q, call.out);
  if (call.kv_heads <= 0 || call.heads % call.kv_heads != 0 || call.head_dim <= 0 ||
      call.q.cols != call.heads * call.head_dim) {
    fail(ErrorCode::internal, "attention: {} columns, {} heads of {} over {} key-value heads",
         call.q.cols, call.heads, call.head_dim, call.kv_heads);
  }
  if (call.window < 0 || !(call.soft_cap >= 0)) {
    fail(ErrorCode::internal, "attention: a window of {} positions, a soft cap of {}", call.window,
         call.soft_cap);
  }
  if (!call.sinks.empty()) check_size("attention", "sinks", call.sinks.size(), call.heads);
  for (const AttentionSequence& s : call.sequences) {
    if (s.query_begin < 0 || s.query_count < 0 || s.query_begin + s.query_count > call.q.rows ||
        (s.query_count > 0 && s.key_count < 1) ||
        ((call.causal || call.window > 0) && s.key_count < s.query_count) ||
        s.stride < call.kv_heads * call.head_dim) {
      fail(ErrorCode::internal, "attention: queries {} + {} of {} rows, {} keys, stride {}",
           s.query_begin, s.query_count, call.q.rows, s.key_count, s.stride);
    }
  }
  kernels::cpu::attention(call, pool, workspace);
}

}  // namespace assay::ops
