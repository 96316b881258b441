#include <algorithm>
#include <cmath>

#include "base/io.h"
#include "tasks/metrics.h"

namespace assay::tasks {
namespace {

using engine::TokenId;

/// One window of the text and the tokens of it that are scored.
struct Window {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t first = 0;   ///< index in the text of the first scored token
  std::size_t weight = 0;  ///< how many tokens the procedure counts it for
};

void check_options(const engine::Model& model, const PerplexityOptions& options) {
  if (model.config().head != models::HeadKind::language_model) {
    fail(ErrorCode::usage, "{} is no language model; perplexity needs one", model.source().name());
  }
  const bool strides = options.procedure == PerplexityProcedure::huggingface;
  if (options.context < 2 ||
      (strides && (options.stride < 1 || options.stride > options.context))) {
    fail(ErrorCode::usage,
         "perplexity needs 2 <= context and 1 <= stride <= context, got {} and {}", options.context,
         options.stride);
  }
  if (options.context > model.config().max_positions) {
    fail(ErrorCode::usage, "a context of {} is more than the {} positions of {}", options.context,
         model.config().max_positions, model.source().name());
  }
}

/// As in Hugging Face's guide: a window every `stride` tokens, each scoring what no window before
/// it has seen. The guide weights a window's mean by one token less than it gave labels, though
/// only the first window (or one that begins where the last ended) loses a label to the shift.
std::vector<Window> huggingface_windows(std::size_t tokens, std::size_t context,
                                        std::size_t stride) {
  std::vector<Window> windows;
  std::size_t scored_to = 0;
  for (std::size_t begin = 0; scored_to < tokens; begin += stride) {
    const std::size_t end = std::min(begin + context, tokens);
    windows.push_back({.begin = begin,
                       .end = end,
                       .first = std::max(scored_to, begin + 1),
                       .weight = end - scored_to - 1});
    scored_to = end;
  }
  std::erase_if(windows, [](const Window& w) { return w.weight == 0; });
  return windows;
}

/// As llama-perplexity: whole windows side by side, of which the second half is scored.
std::vector<Window> llama_windows(std::size_t tokens, std::size_t context,
                                  const std::string& file) {
  if (tokens < 2 * context) {
    fail(ErrorCode::bad_data, "{}: {} tokens; llama.cpp's procedure needs two windows of {}", file,
         tokens, context);
  }
  std::vector<Window> windows;
  for (std::size_t begin = 0; begin + context <= tokens; begin += context) {
    const std::size_t first = begin + context / 2 + 1;
    windows.push_back({begin, begin + context, first, begin + context - first});
  }
  return windows;
}

bool begins_with_bos(const text::Tokenizer& tokenizer) {
  const auto ids = tokenizer.encode("a");
  return tokenizer.bos() && !ids.empty() && ids.front() == *tokenizer.bos();
}

/// Sum and sum of squares of the losses of a window's scored tokens.
Json score_window(engine::Model& model, std::span<const TokenId> ids, const Window& window,
                  bool bos, models::KvCache& cache) {
  std::vector<TokenId> tokens(ids.begin() + static_cast<std::ptrdiff_t>(window.begin),
                              ids.begin() + static_cast<std::ptrdiff_t>(window.end));
  if (bos) tokens.front() = *model.source().tokenizer().bos();
  std::vector<engine::WantedToken> wanted;
  for (std::size_t i = window.first; i < window.end; ++i) {
    wanted.push_back({static_cast<std::int32_t>(i - window.begin - 1), ids[i]});
  }
  cache.truncate(0, 0);
  const engine::Sequence sequence{tokens, 0};
  double sum = 0.0;
  double squares = 0.0;
  for (const auto& score : model.score_tokens({&sequence, 1}, cache, wanted)) {
    sum -= score.log_probability;
    squares += score.log_probability * score.log_probability;
  }
  return {{"begin", window.begin},
          {"tokens", wanted.size()},
          {"weight", window.weight},
          {"nll", sum},
          {"nll_squares", squares}};
}

Json perplexity_metrics(const Json& windows, double bytes, double text_tokens) {
  double weighted = 0.0;
  double weight = 0.0;
  double sum = 0.0;
  double squares = 0.0;
  double tokens = 0.0;
  for (const Json& window : windows) {
    const double n = window.at("tokens").get<double>();
    weighted += window.at("nll").get<double>() / n * window.at("weight").get<double>();
    weight += window.at("weight").get<double>();
    sum += window.at("nll").get<double>();
    squares += window.at("nll_squares").get<double>();
    tokens += n;
  }
  const double mean = weighted / weight;
  const double center = sum / tokens;
  const double variance = std::max(0.0, squares / tokens - center * center);
  Json metrics;
  metrics["perplexity"] = metric(std::exp(mean), "1");
  metrics["perplexity"]["stderr"] =
      tokens > 1 ? std::exp(mean) * std::sqrt(variance / (tokens - 1)) : 0.0;
  metrics["negative_log_likelihood"] = metric(mean, "nats/token");
  // The text's bytes belong to all its tokens; the scored ones stand for their share.
  metrics["bits_per_byte"] = metric(mean / std::log(2.0) * text_tokens / bytes, "bits");
  metrics["scored_tokens"] = metric(tokens, "tokens");
  return metrics;
}

}  // namespace

PerplexityProcedure perplexity_procedure(const std::string& name) {
  if (name == "huggingface") return PerplexityProcedure::huggingface;
  if (name == "llama.cpp") return PerplexityProcedure::llama_cpp;
  fail(ErrorCode::usage, "unknown procedure '{}' for perplexity: huggingface or llama.cpp", name);
}

TaskResult run_perplexity(engine::Model& model, const std::filesystem::path& file,
                          const PerplexityOptions& window, const TaskOptions& options) {
  check_options(model, window);
  const std::string text = base::read_text(file);
  const auto ids = model.source().tokenizer().encode(text);
  if (ids.size() < 2) fail(ErrorCode::bad_data, "{}: too short to score", file.string());
  const bool llama = window.procedure == PerplexityProcedure::llama_cpp;
  const auto context = static_cast<std::size_t>(window.context);
  auto windows =
      llama ? llama_windows(ids.size(), context, file.string())
            : huggingface_windows(ids.size(), context, static_cast<std::size_t>(window.stride));
  if (options.limit > 0 && std::ssize(windows) > options.limit) {
    windows.resize(static_cast<std::size_t>(options.limit));
  }
  if (windows.empty()) fail(ErrorCode::bad_data, "{}: no token could be scored", file.string());
  const bool bos = llama && begins_with_bos(model.source().tokenizer());
  auto cache = model.make_cache(1, window.context);
  ItemLog log(windows.size(), options);
  for (std::size_t i = 0; i < windows.size(); ++i) {
    base::check_interrupted();
    if (log.is_done(i, i + 1)) continue;
    Json item = score_window(model, ids, windows[i], bos, cache);
    item["i"] = i;
    log.add(std::move(item));
    log.flush();
    if (options.progress) options.progress("perplexity", double(i + 1) / double(windows.size()));
  }
  TaskResult result{
      .task = "perplexity", .metrics = {}, .items = log.take(), .notes = Json::array()};
  result.metrics = perplexity_metrics(result.items, double(text.size()), double(ids.size()));
  result.notes.push_back(
      llama ? fmt::format("llama.cpp's procedure: the second half of windows of {} tokens",
                          window.context)
            : fmt::format("Hugging Face's procedure: windows of {} tokens, stride {}",
                          window.context, window.stride));
  log.add_notes(result.notes);
  return result;
}

}  // namespace assay::tasks
