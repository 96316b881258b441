#include "tasks/choice_scorer.h"

#include <algorithm>

namespace assay::tasks {
namespace {

using engine::TokenId;

/// Tokens of one pass: enough for the matrix products, little enough for the caches.
constexpr std::size_t kPassTokens = 1024;
/// Keys and values held at a time.
constexpr double kCacheBytes = 1e9;

/// Sequences of one pass and the tokens that are asked for, each with where its score goes.
class Pass {
 public:
  Pass(engine::Model& model, models::KvCache& cache) : model_(model), cache_(cache) {}
  ~Pass() = default;
  Pass(const Pass&) = delete;
  Pass& operator=(const Pass&) = delete;

  /// Appends `tokens` to a slot; runs what has been gathered first if both together are too many.
  void append(std::span<const TokenId> tokens, int slot) {
    if (rows_ + tokens.size() > kPassTokens) run();
    batch_.push_back({tokens, slot});
    first_row_ = rows_;
    rows_ += tokens.size();
  }
  /// Asks for the probability of `token` after the token at `offset` of the sequence just appended.
  void want(std::size_t offset, TokenId token, ChoiceScore& score) {
    wanted_.push_back({static_cast<std::int32_t>(first_row_ + offset), token});
    goes_to_.push_back(&score);
  }
  void run() {
    if (batch_.empty()) return;
    base::check_interrupted();
    const auto scores = model_.score_tokens(batch_, cache_, wanted_);
    for (std::size_t i = 0; i < scores.size(); ++i) {
      goes_to_[i]->log_likelihood += scores[i].log_probability;
      goes_to_[i]->greedy = goes_to_[i]->greedy && scores[i].greedy;
    }
    batch_.clear();
    wanted_.clear();
    goes_to_.clear();
    rows_ = 0;
  }

 private:
  engine::Model& model_;
  models::KvCache& cache_;
  std::vector<engine::Sequence> batch_;
  std::vector<engine::WantedToken> wanted_;
  std::vector<ChoiceScore*> goes_to_;
  std::size_t rows_ = 0;
  std::size_t first_row_ = 0;
};

std::size_t common_prefix(std::span<const TokenId> a, std::span<const TokenId> b) {
  const auto end = std::ranges::mismatch(a, b);
  return static_cast<std::size_t>(end.in1 - a.begin());
}

}  // namespace

ChoiceScorer::ChoiceScorer(engine::Model& model, std::span<const ChoiceTokens> items,
                           const ScoringOptions& options)
    : model_(model), items_(items), options_(options) {
  open_stems_.resize(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    scores_.emplace_back(items[i].continuations.size());
    add_stems(i);
  }
  make_groups();
}

void ChoiceScorer::add_stems(std::size_t item) {
  const auto most = static_cast<std::size_t>(model_.config().max_positions);
  const ChoiceTokens& tokens = items_[item];
  Stem whole{.item = item, .context = tokens.context, .choices = {}};
  const std::size_t before = stems_.size();
  for (std::size_t c = 0; c < tokens.continuations.size(); ++c) {
    const std::size_t count = tokens.continuations[c].size();
    if (tokens.context.size() + count <= most + 1) {
      whole.choices.push_back(c);
      continue;
    }
    if (count > most) {
      fail(ErrorCode::usage, "choice {} of item {} has {} tokens, more than the {} positions of {}",
           c + 1, item + 1, count, most, model_.source().name());
    }
    const auto keep = static_cast<std::ptrdiff_t>(most + 1 - count);
    stems_.push_back({.item = item,
                      .context = {tokens.context.end() - keep, tokens.context.end()},
                      .choices = {c}});
  }
  truncated_ += stems_.size() > before ? 1 : 0;
  if (!whole.choices.empty()) stems_.push_back(std::move(whole));
  open_stems_[item] = stems_.size() - before;
}

std::size_t ChoiceScorer::longest(const Stem& stem) const {
  std::size_t most = 0;
  for (const std::size_t c : stem.choices) most = std::max(most, continuation(stem, c).size());
  return most;
}

void ChoiceScorer::make_groups() {
  const auto is_cut = [&](const Stem& stem) {
    return stem.context.size() < items_[stem.item].context.size();
  };
  const auto key = [&](const Stem& stem) {
    return std::tuple(items_[stem.item].group, is_cut(stem));
  };
  std::ranges::stable_sort(stems_, [&](const Stem& a, const Stem& b) {
    if (key(a) != key(b)) return key(a) < key(b);
    return a.context.size() > b.context.size();
  });
  for (std::size_t begin = 0; begin < stems_.size();) {
    Group group{.begin = begin, .end = begin, .truncated = is_cut(stems_[begin])};
    group.shared = group.truncated ? 0 : stems_[begin].context.size() - 1;
    while (group.end < stems_.size() && key(stems_[group.end]) == key(stems_[begin])) {
      const Stem& stem = stems_[group.end++];
      // The last token's logits are each item's own.
      group.shared = std::min({group.shared, stem.context.size() - 1,
                               common_prefix(stem.context, stems_[begin].context)});
    }
    if (group.end - group.begin < 2 || !options_.prefix_cache) group.shared = 0;
    begin = group.end;
    groups_.push_back(group);
  }
}

std::int64_t ChoiceScorer::tokens() const {
  std::int64_t total = 0;
  for (const Group& group : groups_) {
    total += static_cast<std::int64_t>(group.shared);
    for (std::size_t s = group.begin; s < group.end; ++s) {
      total += static_cast<std::int64_t>(stems_[s].context.size() - group.shared);
      for (const std::size_t c : stems_[s].choices) {
        total += static_cast<std::int64_t>(continuation(stems_[s], c).size()) - 1;
      }
    }
  }
  return total;
}

/// Slots for as many stems at a time as the memory allows; kept from group to group where it fits.
void ChoiceScorer::prepare_cache(const Group& group) {
  std::size_t positions = 1;
  std::size_t several = 0;
  for (std::size_t s = group.begin; s < group.end; ++s) {
    const Stem& stem = stems_[s];
    positions = std::max(positions, stem.context.size() + longest(stem) - 1);
    const auto continued = std::ranges::count_if(
        stem.choices, [&](std::size_t c) { return continuation(stem, c).size() > 1; });
    several = std::max(
        several, options_.prefix_cache ? static_cast<std::size_t>(continued) : stem.choices.size());
  }
  width_ = static_cast<int>(std::max<std::size_t>(several, 1));
  const models::ModelConfig& config = model_.config();
  const auto position_bytes =
      double(config.blocks * models::kv_position_bytes(config, model_.plan().kv));
  const double stem_bytes = position_bytes * double(positions) * width_;
  batch_ = static_cast<std::size_t>(
      std::clamp(std::floor(kCacheBytes / stem_bytes), 1.0, double(std::max(options_.batch, 1))));
  batch_ = std::min(batch_, group.end - group.begin);
  const auto slots = static_cast<int>(batch_) * width_;
  const auto capacity = static_cast<std::int64_t>(positions);
  if (cache_ && cache_->slots() >= slots && cache_->capacity() >= capacity) {
    for (int slot = 0; slot < cache_->slots(); ++slot) cache_->truncate(slot, 0);
    return;
  }
  cache_.reset();
  cache_ = std::make_unique<models::KvCache>(model_.make_cache(slots, capacity));
}

void ChoiceScorer::score_contexts(std::span<const Stem> stems, std::size_t shared) {
  Pass pass(model_, *cache_);
  for (std::size_t s = 0; s < stems.size(); ++s) {
    const Stem& stem = stems[s];
    pass.append(std::span(stem.context).subspan(shared), static_cast<int>(s) * width_);
    for (const std::size_t c : stem.choices) {
      pass.want(stem.context.size() - shared - 1, continuation(stem, c).front(),
                scores_[stem.item][c]);
    }
  }
  pass.run();
}

void ChoiceScorer::score_continuations(std::span<const Stem> stems) {
  Pass pass(model_, *cache_);
  for (std::size_t s = 0; s < stems.size(); ++s) {
    const Stem& stem = stems[s];
    const int first = static_cast<int>(s) * width_;
    const auto length = static_cast<std::int64_t>(stem.context.size());
    int slot = first;
    for (const std::size_t c : stem.choices) {
      const auto& tokens = continuation(stem, c);
      if (tokens.size() < 2) continue;
      if (slot != first) model_.copy_prefix(*cache_, first, slot, length);
      pass.append(std::span(tokens).first(tokens.size() - 1), slot++);
      for (std::size_t t = 0; t + 1 < tokens.size(); ++t) {
        pass.want(t, tokens[t + 1], scores_[stem.item][c]);
      }
    }
  }
  pass.run();
}

void ChoiceScorer::score_whole(std::span<const Stem> stems) {
  std::vector<std::vector<TokenId>> texts;  // outlives the pass, and does not move
  for (const Stem& stem : stems) {
    for (const std::size_t c : stem.choices) {
      const auto& tokens = continuation(stem, c);
      texts.push_back(stem.context);
      texts.back().insert(texts.back().end(), tokens.begin(), tokens.end() - 1);
    }
  }
  Pass pass(model_, *cache_);
  std::size_t text = 0;
  for (std::size_t s = 0; s < stems.size(); ++s) {
    const Stem& stem = stems[s];
    int slot = static_cast<int>(s) * width_;
    for (const std::size_t c : stem.choices) {
      const auto& tokens = continuation(stem, c);
      pass.append(texts[text++], slot++);
      for (std::size_t t = 0; t < tokens.size(); ++t) {
        pass.want(stem.context.size() - 1 + t, tokens[t], scores_[stem.item][c]);
      }
    }
  }
  pass.run();
}

void ChoiceScorer::score_batch(std::span<const Stem> stems, std::size_t shared) {
  for (const Stem& stem : stems) {
    for (const std::size_t c : stem.choices) scores_[stem.item][c] = {};
  }
  for (int slot = 0; slot < static_cast<int>(stems.size()) * width_; ++slot) {
    const bool first = slot % width_ == 0;
    cache_->truncate(slot, first ? static_cast<std::int64_t>(shared) : 0);
  }
  if (!options_.prefix_cache) return score_whole(stems);
  score_contexts(stems, shared);
  score_continuations(stems);
}

void ChoiceScorer::run(const std::vector<bool>& done,
                       const std::function<void(std::span<const Scored>, double)>& each) {
  const auto is_done = [&](const Stem& stem) { return !done.empty() && done[stem.item]; };
  for (const Group& group : groups_) {
    const std::span<const Stem> all =
        std::span(stems_).subspan(group.begin, group.end - group.begin);
    prepare_cache(group);
    bool prefix_there = group.shared == 0;
    for (std::size_t begin = 0; begin < all.size(); begin += batch_) {
      const auto stems = all.subspan(begin, std::min(batch_, all.size() - begin));
      std::vector<Scored> scored;
      if (!std::ranges::all_of(stems, is_done)) {
        if (!prefix_there) {
          Pass pass(model_, *cache_);
          pass.append(std::span(stems.front().context).first(group.shared), 0);
          pass.run();
          for (std::size_t s = 1; s < batch_; ++s) {
            model_.copy_prefix(*cache_, 0, static_cast<int>(s) * width_,
                               static_cast<std::int64_t>(group.shared));
          }
          prefix_there = true;
        }
        score_batch(stems, group.shared);
      }
      for (const Stem& stem : stems) {
        if (--open_stems_[stem.item] == 0 && !is_done(stem)) {
          scored.push_back({stem.item, scores_[stem.item]});
        }
      }
      each(scored, double(group.begin + begin + stems.size()) / double(stems_.size()));
    }
  }
}

}  // namespace assay::tasks
