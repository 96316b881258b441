#include "ops/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/cpu/elementwise.h"
#include "ops/check.h"

namespace assay::ops {
namespace {

using kernels::cpu::AttentionSequence;
using tensor::MatrixView;

/// `count` positions of a slot from `first` on.
MatrixView cached_rows(void* slots, const CacheView& cache, const SequenceRows& s,
                       std::int64_t first, std::int64_t count, std::int64_t cols) {
  const std::int64_t at = s.slot * cache.slot_stride + first * cache.row_stride;
  auto* data = static_cast<std::byte*>(slots) + at * std::int64_t(tensor::size_of(cache.type));
  return {data, cache.type, count, cols, cache.row_stride, {}};
}

void copy_rounded(MatrixView from, MatrixView to, std::vector<float>& row) {
  for (std::int64_t r = 0; r < to.rows; ++r) {
    if (from.type == to.type) {
      std::memcpy(to.row_bytes(r), from.row_bytes(r),
                  static_cast<std::size_t>(from.cols) * tensor::size_of(from.type));
      continue;
    }
    row.resize(static_cast<std::size_t>(from.cols));
    tensor::load_row(from, r, row);
    tensor::store_row(to, r, row);
  }
}

void check(const AttentionCall& call) {
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
  const std::int64_t stride = call.cache != nullptr ? call.cache->row_stride : call.k.stride;
  const tensor::DType type = call.cache != nullptr ? call.cache->type : call.k.type;
  const std::int64_t width = call.kv_heads * kernels::cpu::kv_head_elements(type, call.head_dim);
  for (const SequenceRows& s : call.sequences.host) {
    const bool outside = call.cache == nullptr && s.query_begin + s.key_count > call.k.rows;
    if (s.query_begin < 0 || s.query_count < 0 || s.query_begin + s.query_count > call.q.rows ||
        (s.query_count > 0 && s.key_count < 1) || outside ||
        ((call.causal || call.window > 0) && s.key_count < s.query_count) || stride < width) {
      fail(ErrorCode::internal, "attention: queries {} + {} of {} rows, {} keys, stride {}",
           s.query_begin, s.query_count, call.q.rows, s.key_count, stride);
    }
  }
}

void on_cpu(const AttentionCall& call, Context& context) {
  thread_local std::vector<AttentionSequence> sequences;
  sequences.clear();
  const std::int64_t width = call.kv_heads * call.head_dim;
  for (const SequenceRows& s : call.sequences.host) {
    AttentionSequence sequence{.query_begin = s.query_begin,
                               .query_count = s.query_count,
                               .stride = call.k.stride,
                               .key_count = s.key_count};
    if (call.cache != nullptr) {
      sequence.keys = cached_rows(call.cache->keys, *call.cache, s, 0, s.key_count, width).data;
      sequence.values = cached_rows(call.cache->values, *call.cache, s, 0, s.key_count, width).data;
      sequence.stride = call.cache->row_stride;
    } else {
      sequence.keys = call.k.row_bytes(s.query_begin);
      sequence.values = call.v.row_bytes(s.query_begin);
    }
    sequences.push_back(sequence);
  }
  kernels::cpu::attention({.q = call.q,
                           .out = call.out,
                           .kv = call.cache != nullptr ? call.cache->type : call.k.type,
                           .heads = call.heads,
                           .kv_heads = call.kv_heads,
                           .head_dim = call.head_dim,
                           .scale = call.scale,
                           .soft_cap = call.soft_cap,
                           .causal = call.causal,
                           .window = call.window,
                           .sinks = call.sinks,
                           .sequences = sequences},
                          context.pool, context.workspace);
}

/// Without a cache the kernel finds keys and values by rows of one slot.
CacheView rows_as_cache(const AttentionCall& call) {
  return {.keys = call.k.data,
          .values = call.v.data,
          .type = call.k.type,
          .slot_stride = 0,
          .row_stride = call.k.stride};
}

void on_device(const AttentionCall& call, bool fixed_tiles, CudaQueue& queue) {
  kernels::cuda::attention({.q = call.q,
                            .out = call.out,
                            .cache = call.cache != nullptr ? *call.cache : rows_as_cache(call),
                            .cached = call.cache != nullptr,
                            .heads = call.heads,
                            .kv_heads = call.kv_heads,
                            .head_dim = call.head_dim,
                            .scale = call.scale,
                            .soft_cap = call.soft_cap,
                            .causal = call.causal,
                            .window = call.window,
                            .sinks = call.sinks.empty() ? nullptr : call.sinks.data(),
                            .sequences = call.sequences.device,
                            .row_sequence = call.sequences.row_sequence,
                            .sequence_count = static_cast<int>(call.sequences.host.size()),
                            .fixed_tiles = fixed_tiles,
                            .most_queries = call.sequences.most_queries,
                            .most_keys = call.sequences.most_keys},
                           queue.stream, queue.workspace);
}

void mean_on_cpu(MatrixView x, const Sequences& sequences, bool normalize, MatrixView y) {
  std::vector<double> sums(static_cast<std::size_t>(x.cols));
  std::vector<float> row(sums.size());
  for (std::int64_t i = 0; i < y.rows; ++i) {
    const SequenceRows& s = sequences.host[static_cast<std::size_t>(i)];
    std::fill(sums.begin(), sums.end(), 0.0);
    for (std::int64_t r = s.query_begin; r < s.query_begin + s.query_count; ++r) {
      tensor::load_row(x, r, row);
      for (std::size_t j = 0; j < sums.size(); ++j) sums[j] += row[j];
    }
    double norm = 0.0;
    for (double& sum : sums) {
      sum /= static_cast<double>(s.query_count);
      norm += sum * sum;
    }
    const double scale = normalize ? 1.0 / std::max(std::sqrt(norm), 1e-12) : 1.0;
    for (std::size_t j = 0; j < sums.size(); ++j) row[j] = static_cast<float>(sums[j] * scale);
    tensor::store_row(y, i, row);
  }
}

}  // namespace

void append_to_cache(MatrixView k, MatrixView v, std::int64_t head_dim, const Sequences& sequences,
                     const CacheView& cache, Context& context) {
  check_same_shape("append to cache", k, v);
  const auto cpu = [&] {
    const std::int64_t head = kernels::cpu::kv_head_elements(cache.type, head_dim);
    std::vector<float> row;
    for (const SequenceRows& s : sequences.host) {
      const std::int64_t first = s.key_count - s.query_count;
      const auto append = [&](MatrixView from, void* slots) {
        const MatrixView rows = from.slice(s.query_begin, s.query_count);
        const MatrixView to =
            cached_rows(slots, cache, s, first, s.query_count, k.cols / head_dim * head);
        if (cache.type == tensor::DType::i8) {
          kernels::cpu::quantize_heads(rows, head_dim, to, context.pool);
        } else {
          copy_rounded(rows, to, row);
        }
      };
      append(k, cache.keys);
      append(v, cache.values);
    }
  };
  dispatch(k, context, cpu, [&](CudaQueue& queue) {
    kernels::cuda::append_to_cache(k, v, sequences.device, sequences.row_sequence, cache,
                                   queue.stream);
  });
}

void attention(const AttentionCall& call, Context& context) {
  check(call);
  dispatch(
      call.q, context, [&] { on_cpu(call, context); },
      [&](CudaQueue& queue) { on_device(call, context.fixed_tiles, queue); });
}

void mean_rows(MatrixView x, const Sequences& sequences, bool normalize, MatrixView y,
               Context& context) {
  check_size("mean", "sequences", sequences.host.size(), y.rows);
  if (x.cols != y.cols) fail(ErrorCode::internal, "mean: {} columns into {}", x.cols, y.cols);
  dispatch(
      x, context, [&] { mean_on_cpu(x, sequences, normalize, y); },
      [&](CudaQueue& queue) {
        kernels::cuda::mean_rows(x, sequences.device, static_cast<int>(y.rows), normalize, y,
                                 queue.stream);
      });
}

}  // namespace assay::ops
