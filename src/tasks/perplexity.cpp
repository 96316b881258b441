#include <cmath>

#include "base/io.h"
#include "stats/samples.h"
#include "tasks/task.h"

namespace assay::tasks {
namespace {

/// One pass over a window: log-probabilities of its tokens from `first` on, given those before.
void score_window(engine::Model& model, std::span<const engine::TokenId> window, std::size_t first,
                  models::KvCache& cache, std::vector<double>& losses) {
  cache.truncate(0, 0);
  model.score({window, 0}, cache, [&](std::int64_t position, std::span<const float> logits) {
    const auto next = static_cast<std::size_t>(position) + 1;
    if (next < first || next >= window.size()) return;
    const double total = kernels::cpu::log_sum_exp(logits);
    losses.push_back(total - double{logits[static_cast<std::size_t>(window[next])]});
  });
}

void check_window(const engine::Model& model, const PerplexityOptions& window) {
  if (!model.config().causal) {
    fail(ErrorCode::usage, "{} is an encoder; perplexity needs a decoder", model.source().name());
  }
  if (window.context < 2 || window.stride < 1 || window.stride > window.context) {
    fail(ErrorCode::usage,
         "perplexity needs 2 <= context and 1 <= stride <= context, got {} and {}", window.context,
         window.stride);
  }
  if (window.context > model.config().max_positions) {
    fail(ErrorCode::usage, "a context of {} is more than the {} positions of {}", window.context,
         model.config().max_positions, model.source().name());
  }
}

Json value_of(double value, const std::string& unit) { return {{"value", value}, {"unit", unit}}; }

Json perplexity_metrics(const std::vector<double>& losses, double bytes, double tokens) {
  const double mean = stats::mean(losses);
  const double perplexity = std::exp(mean);
  Json metrics;
  metrics["perplexity"] = value_of(perplexity, "1");
  metrics["perplexity"]["stderr"] = perplexity * stats::standard_error(losses);
  metrics["negative_log_likelihood"] = value_of(mean, "nats/token");
  // The text's bytes belong to all its tokens; the scored ones stand for their share.
  metrics["bits_per_byte"] = value_of(mean / std::log(2.0) * tokens / bytes, "bits");
  metrics["scored_tokens"] = value_of(double(losses.size()), "tokens");
  return metrics;
}

}  // namespace

TaskResult run_perplexity(engine::Model& model, const std::filesystem::path& file,
                          const PerplexityOptions& window, const TaskOptions& options) {
  check_window(model, window);
  const std::string text = base::read_text(file);
  const auto ids = model.source().tokenizer().encode(text);
  if (ids.size() < 2) fail(ErrorCode::bad_data, "{}: too short to score", file.string());
  auto cache = model.make_cache(1, window.context);
  const auto context = static_cast<std::size_t>(window.context);
  const auto stride = static_cast<std::size_t>(window.stride);
  TaskResult result{.task = "perplexity"};
  std::vector<double> losses;
  std::size_t scored_to = 1;  // the first token has no context
  int windows = 0;
  for (std::size_t begin = 0; scored_to < ids.size(); begin += stride, ++windows) {
    if (options.limit > 0 && windows == options.limit) break;
    base::check_interrupted();
    const std::size_t end = std::min(begin + context, ids.size());
    const bool disjoint = stride == context;
    const std::size_t first = disjoint ? 1 : scored_to - begin;
    const std::size_t before = losses.size();
    score_window(model, std::span(ids).subspan(begin, end - begin), first, cache, losses);
    double loss = 0.0;
    for (std::size_t i = before; i < losses.size(); ++i) loss += losses[i];
    result.items.push_back({{"begin", begin}, {"tokens", losses.size() - before}, {"nll", loss}});
    scored_to = end;
    if (options.progress) options.progress("perplexity", double(end) / double(ids.size()));
  }
  if (losses.empty()) fail(ErrorCode::bad_data, "{}: no token could be scored", file.string());
  result.metrics = perplexity_metrics(losses, double(text.size()), double(ids.size()));
  result.notes.push_back(
      fmt::format("windows of {} tokens, stride {}", window.context, window.stride));
  return result;
}

}  // namespace assay::tasks
