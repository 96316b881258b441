#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "kernels/cpu/elementwise.h"

namespace assay::kernels::cpu {

// How attention is cut into pieces of work; plain arithmetic, the same for every instruction set.

/// Key positions per tile of the online softmax. Part of the arithmetic: another value, other bits.
inline constexpr std::size_t kTile = 64;
/// Queries that share a widened tile, unless one group alone has more heads.
inline constexpr std::int64_t kBundle = 32;
/// The same where a tile is packed for products of matrices.
inline constexpr std::int64_t kMatrixBundle = 64;
/// Floats of the widest vector of any target.
inline constexpr std::size_t kWidestVector = 16;

/// Queries [query_begin, query_end) of heads [head_begin, head_end), which share one key-value
/// head.
struct AttentionBundle {
  std::size_t sequence = 0;
  std::int64_t head_begin = 0;
  std::int64_t head_end = 0;
  std::int64_t query_begin = 0;
  std::int64_t query_end = 0;
};

/// End of the positions that query i of a sequence sees.
inline std::int64_t visible_keys(const AttentionCall& call, const AttentionSequence& s,
                                 std::int64_t i) {
  const std::int64_t position = s.key_count - s.query_count + i;
  if (call.causal) return position + 1;
  return call.window == 0 ? s.key_count : std::min(s.key_count, position + call.window);
}

/// First position that query i of a sequence sees.
inline std::int64_t first_visible_key(const AttentionCall& call, const AttentionSequence& s,
                                      std::int64_t i) {
  if (call.window == 0) return 0;
  return std::max<std::int64_t>(0, s.key_count - s.query_count + i + 1 - call.window);
}

/// The queries of a bundle, ordered by position, then by head, and where they lie.
struct BundleQueries {
  const AttentionCall& call;
  const AttentionBundle& bundle;
  const AttentionSequence& sequence;
  std::size_t heads;
  std::size_t count;

  BundleQueries(const AttentionCall& of, const AttentionBundle& bundle_of)
      : call(of),
        bundle(bundle_of),
        sequence(of.sequences[bundle_of.sequence]),
        heads(static_cast<std::size_t>(bundle.head_end - bundle.head_begin)),
        count(heads * static_cast<std::size_t>(bundle.query_end - bundle.query_begin)) {}

  [[nodiscard]] std::int64_t position(std::size_t i) const {
    return bundle.query_begin + static_cast<std::int64_t>(i / heads);
  }
  [[nodiscard]] std::int64_t row(std::size_t i) const { return sequence.query_begin + position(i); }
  [[nodiscard]] std::size_t head(std::size_t i) const {
    return static_cast<std::size_t>(bundle.head_begin) + i % heads;
  }
  [[nodiscard]] std::size_t column(std::size_t i) const {
    return head(i) * static_cast<std::size_t>(call.head_dim);
  }
  [[nodiscard]] std::size_t visible(std::size_t i) const {
    return static_cast<std::size_t>(visible_keys(call, sequence, position(i)));
  }
  [[nodiscard]] std::size_t first(std::size_t i) const {
    return static_cast<std::size_t>(first_visible_key(call, sequence, position(i)));
  }
  /// Elements from the first key (or value) of the sequence to this bundle's at `position`.
  [[nodiscard]] std::size_t offset(std::size_t position) const {
    const std::int64_t kv_head = bundle.head_begin / (call.heads / call.kv_heads);
    const std::int64_t head_size = kv_head_elements(call.kv, call.head_dim);
    return position * static_cast<std::size_t>(sequence.stride) +
           static_cast<std::size_t>(kv_head * head_size);
  }
  /// A sink is a position of weight exp(sink - largest) and value 0, seen before all others.
  [[nodiscard]] float first_largest(std::size_t i) const {
    return call.sinks.empty() ? -std::numeric_limits<float>::infinity() : call.sinks[head(i)];
  }
  [[nodiscard]] float first_total() const { return call.sinks.empty() ? 0.0F : 1.0F; }
};

/// Positions of a tile that a query sees: [first, end).
struct Seen {
  std::size_t first;
  std::size_t end;
};

inline std::int64_t queries_per_block(const AttentionCall& call, std::int64_t bundle) {
  return std::max<std::int64_t>(1, bundle / (call.heads / call.kv_heads));
}

/// Memory of one thread: two tiles, queries and sums of a bundle, weights of two queries, and per
/// query its maximum and its total.
inline std::size_t attention_scratch_bytes(const AttentionCall& call) {
  const auto head_dim = static_cast<std::size_t>(call.head_dim);
  const std::size_t width = (head_dim + kWidestVector - 1) / kWidestVector * kWidestVector;
  const auto queries = static_cast<std::size_t>(std::max(kBundle, call.heads / call.kv_heads));
  const std::size_t floats = 2 * (kTile + queries) * width + 2 * kTile + 2 * queries;
  return (floats * sizeof(float) + 63) / 64 * 64;
}

/// Calls f(sequence, kv_head, query_begin, query_end, cost of one head) for every block, in order.
template <typename F>
void for_each_block(const AttentionCall& call, std::int64_t bundle, const F& f) {
  const std::int64_t block = queries_per_block(call, bundle);
  for (std::size_t s = 0; s < call.sequences.size(); ++s) {
    const AttentionSequence& sequence = call.sequences[s];
    for (std::int64_t kv_head = 0; kv_head < call.kv_heads; ++kv_head) {
      for (std::int64_t begin = 0; begin < sequence.query_count; begin += block) {
        const std::int64_t end = std::min(begin + block, sequence.query_count);
        const auto keys = [&](std::int64_t i) {
          return visible_keys(call, sequence, i) - first_visible_key(call, sequence, i);
        };
        const std::int64_t seen = keys(begin) + keys(end - 1);
        f(s, kv_head, begin, end, (end - begin) * seen);
      }
    }
  }
}

/// The bundles of part `part` of `parts`: contiguous shares of nearly equal cost, cut between
/// heads.
template <typename F>
void for_each_bundle(const AttentionCall& call, std::int64_t part, std::int64_t parts, const F& f,
                     std::int64_t queries = kBundle) {
  const std::int64_t group = call.heads / call.kv_heads;
  std::int64_t total = 0;
  for_each_block(call, queries,
                 [&](std::size_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t cost) {
                   total += cost * group;
                 });
  std::int64_t before = 0;
  for_each_block(
      call, queries,
      [&](std::size_t s, std::int64_t kv_head, std::int64_t begin, std::int64_t end,
          std::int64_t cost) {
        // A head belongs to the part in which the middle of its work lies.
        std::int64_t first = group;
        std::int64_t last = 0;
        for (std::int64_t h = 0; h < group; ++h, before += cost) {
          if ((2 * before + cost) * parts / (2 * total) != part) continue;
          first = std::min(first, h);
          last = h + 1;
        }
        if (first < last)
          f(AttentionBundle{s, kv_head * group + first, kv_head * group + last, begin, end});
      });
}

}  // namespace assay::kernels::cpu
