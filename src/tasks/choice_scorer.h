#pragma once

#include <functional>
#include <span>
#include <vector>

#include "engine/model.h"
#include "tasks/choice_text.h"

namespace assay::tasks {

/// What the model thinks of one choice.
struct ChoiceScore {
  double log_likelihood = 0.0;  ///< natural logarithm, summed over the continuation's tokens
  bool greedy = true;           ///< every token of it is the likeliest
};

struct ScoringOptions {
  int batch = 16;            ///< items at a time
  bool prefix_cache = true;  ///< false: every choice in one pass of its own; for tests
};

/// Scores choices. What the items of a group have in common is computed once and copied, as keys
/// and values, to each item; an item's context once for all its choices; logits only where a token
/// of a choice is predicted. In fp32 on the CPU none of this changes a bit of the result.
///
/// A context and continuation longer than the model lose tokens on the left, as in lm-eval;
/// a continuation longer than the model alone is a usage error.
class ChoiceScorer {
 public:
  ChoiceScorer(engine::Model& model, std::span<const ChoiceTokens> items,
               const ScoringOptions& options);

  /// Items that lost tokens.
  [[nodiscard]] int truncated() const { return truncated_; }
  /// Tokens that items of their group share, and tokens in all, of what is fed to the model with
  /// the prefix cache.
  [[nodiscard]] std::int64_t tokens() const;

  struct Scored {
    std::size_t item = 0;
    std::vector<ChoiceScore> choices;
  };
  /// Scores all items but those whose `done` flag is set (may be empty: none) and hands them over
  /// batch by batch, longest contexts of a group first. A batch is left out only as a whole, so
  /// that an evaluation that goes on where it stopped runs the same batches. `each` also gets the
  /// fraction of all work that is done.
  void run(const std::vector<bool>& done,
           const std::function<void(std::span<const Scored>, double)>& each);

 private:
  /// Choices of one item with one context.
  struct Stem {
    std::size_t item = 0;
    std::vector<engine::TokenId> context;
    std::vector<std::size_t> choices;
  };
  /// Stems of one group: stems_[begin, end).
  struct Group {
    std::size_t begin = 0;
    std::size_t end = 0;
    std::size_t shared = 0;  ///< tokens at the front of all contexts
    bool truncated = false;
  };

  void add_stems(std::size_t item);
  void make_groups();
  [[nodiscard]] const std::vector<engine::TokenId>& continuation(const Stem& stem,
                                                                 std::size_t choice) const {
    return items_[stem.item].continuations[choice];
  }
  [[nodiscard]] std::size_t longest(const Stem& stem) const;
  void prepare_cache(const Group& group);
  void score_batch(std::span<const Stem> stems, std::size_t shared);
  void score_contexts(std::span<const Stem> stems, std::size_t shared);
  void score_continuations(std::span<const Stem> stems);
  void score_whole(std::span<const Stem> stems);

  engine::Model& model_;
  std::span<const ChoiceTokens> items_;
  ScoringOptions options_;
  std::vector<Stem> stems_;
  std::vector<Group> groups_;
  std::vector<std::vector<ChoiceScore>> scores_;  ///< by item and choice
  std::vector<std::size_t> open_stems_;           ///< by item
  int truncated_ = 0;
  std::unique_ptr<models::KvCache> cache_;
  std::size_t batch_ = 0;  ///< stems at a time in this cache
  int width_ = 1;          ///< slots of a stem
};

}  // namespace assay::tasks
