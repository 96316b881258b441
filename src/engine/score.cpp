#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/model_state.h"

namespace assay::engine {

using tensor::MatrixView;

std::vector<TokenScore> Model::score_tokens(models::Batch batch, models::KvCache& cache,
                                            std::span<const WantedToken> wanted) {
  constexpr std::size_t kChunk = 64;  // rows of logits held at a time
  const MatrixView hidden = state_->transformer.forward(batch, &cache, state_->context);
  std::vector<TokenScore> scores(wanted.size());
  std::vector<std::size_t> first;  // of the wanted ones, by row of the chunk
  for (std::size_t begin = 0; begin < wanted.size();) {
    base::check_interrupted();
    auto& rows = state_->rows;
    rows.clear();
    first.clear();
    std::size_t end = begin;
    for (; end < wanted.size(); ++end) {
      if (!rows.empty() && rows.back() == wanted[end].row) continue;
      if (rows.size() == kChunk) break;
      rows.push_back(wanted[end].row);
      first.push_back(end);
    }
    first.push_back(end);
    const MatrixView logits = state_->transformer.logits(hidden, rows, state_->context);
    state_->pool.parallel_for(logits.rows, [&](int, std::int64_t from, std::int64_t to) {
      for (std::int64_t r = from; r < to; ++r) {
        const std::span row(logits.row<float>(r), static_cast<std::size_t>(logits.cols));
        const double total = kernels::cpu::log_sum_exp(row);
        const std::int64_t best = kernels::cpu::argmax(row);
        for (std::size_t i = first[r]; i < first[r + 1]; ++i) {
          const double logit = row[static_cast<std::size_t>(wanted[i].token)];
          scores[i] = {logit - total, best == wanted[i].token};
        }
      }
    });
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
  state_->pool.parallel_for(config().blocks, [&](int, std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
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
