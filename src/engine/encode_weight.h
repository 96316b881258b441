#pragma once

#include "base/thread_pool.h"
#include "precision/encoding.h"

namespace assay::engine {

/// `stored` in the encoding `wanted`: itself where it has that encoding already, else decoded and
/// encoded in pieces over the pool. Numeric error on NaN, infinity or a value that does not fit.
[[nodiscard]] precision::EncodedTensor encode_weight(const precision::EncodedTensor& stored,
                                                     precision::Encoding wanted,
                                                     base::ThreadPool& pool);

/// Undoes the permutation that GGUF's converter gives the rows of attn_q and attn_k: within a head
/// of 2m rows, stored row 2j + h is row h * m + j. Works on whole rows of any row-aligned encoding.
[[nodiscard]] precision::EncodedTensor undo_interleaving(const precision::EncodedTensor& stored,
                                                         std::int64_t head_dim);

/// Rows first, first + step, ... (`count` of them) of a weight. Neighbours come with their scales
/// and borrow the bytes; unsupported where they begin inside of a block. With a step, only of a
/// weight whose rows are aligned and have no scales of their own; internal error for others.
[[nodiscard]] precision::EncodedTensor slice_rows(const precision::EncodedTensor& stored,
                                                  std::int64_t first, std::int64_t count,
                                                  std::int64_t step = 1);

/// [cols, rows] of an f32, f16 or bf16 weight; internal error for others.
[[nodiscard]] precision::EncodedTensor transposed(const precision::EncodedTensor& stored);

}  // namespace assay::engine
