#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/model_state.h"
#include "ops/scores.h"

namespace assay::engine {

using tensor::MatrixView;

std::vector<TokenScore> Model::score_tokens(models::Batch batch, models::KvCache& cache,
                                            std::span<const WantedToken> wanted) {
  constexpr std::size_t kChunk = 64;  // rows of logits held at a time
  const MatrixView hidden = state_->transformer.forward(batch, &cache, state_->context);
  std::vector<TokenScore> scores(wanted.size());
  std::vector<std::int32_t> chunk_rows;  // of the wanted ones, counted from the chunk's first
  std::vector<std::int32_t> tokens;
  ops::Scores found;
  for (std::size_t begin = 0; begin < wanted.size();) {
    base::check_interrupted();
    auto& rows = state_->rows;
    rows.clear();
    chunk_rows.clear();
    tokens.clear();
    std::size_t end = begin;
    for (; end < wanted.size(); ++end) {
      if (rows.empty() || rows.back() != wanted[end].row) {
        if (rows.size() == kChunk) break;
        rows.push_back(wanted[end].row);
      }
      chunk_rows.push_back(static_cast<std::int32_t>(rows.size()) - 1);
      tokens.push_back(wanted[end].token);
    }
    const MatrixView logits = state_->transformer.logits(hidden, rows, state_->context);
    ops::score(logits, chunk_rows, tokens, found, state_->context);
    for (std::size_t i = begin; i < end; ++i) {
      const auto row = static_cast<std::size_t>(chunk_rows[i - begin]);
      scores[i] = {double{found.values[i - begin]} - found.log_sum_exp[row],
                   found.argmax[row] == wanted[i].token};
    }
    begin = end;
  }
  const bool finite = std::ranges::all_of(
      scores, [](const TokenScore& score) { return std::isfinite(score.log_probability); });
  if (!finite) fail(ErrorCode::numeric, "NaN or infinity in the logits of {}", source_->name());
  return scores;
}

void Model::copy_prefix(models::KvCache& cache, int from, int to, std::int64_t length) {
  if (from == to) fail(ErrorCode::internal, "slot {} copied to itself", from);
  if (length > cache.length(from)) {
    fail(ErrorCode::internal, "{} positions of slot {}, which has {}", length, from,
         cache.length(from));
  }
  // What is on a device is queued from here; the copies on the host are work for the pool.
  for (std::int64_t block = 0; block < config().blocks; ++block) {
    if (!ops::on_cuda(cache.keys(block, from))) continue;
    const auto copy = [&](const MatrixView& source, const MatrixView& target) {
      ops::copy(source.slice(0, length), target.slice(0, length), state_->context);
    };
    copy(cache.keys(block, from), cache.keys(block, to));
    copy(cache.values(block, from), cache.values(block, to));
  }
  state_->pool.parallel_for(config().blocks, [&](int, std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      if (ops::on_cuda(cache.keys(block, from))) continue;
      const auto copy = [&](const MatrixView& source, const MatrixView& target) {
        for (std::int64_t r = 0; r < length; ++r) {
          std::memcpy(target.row_bytes(r), source.row_bytes(r),
                      static_cast<std::size_t>(source.cols) * tensor::size_of(source.type));
        }
      };
      copy(cache.keys(block, from), cache.keys(block, to));
      copy(cache.values(block, from), cache.values(block, to));
    }
  });
  cache.truncate(to, 0);
  cache.advance(to, length);
}

}  // namespace assay::engine
