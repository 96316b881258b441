#include <algorithm>
#include <cmath>

#include "engine/model.h"

namespace assay::engine {
namespace {

void check_options(const SamplingOptions& options) {
  if (!(options.temperature >= 0.0F) || !std::isfinite(options.temperature)) {
    fail(ErrorCode::usage, "temperature must be a number from 0, is {}", options.temperature);
  }
  if (options.top_k < 0) fail(ErrorCode::usage, "top_k must be from 0, is {}", options.top_k);
  if (!(options.top_p > 0.0F && options.top_p <= 1.0F)) {
    fail(ErrorCode::usage, "top_p must be above 0 and at most 1, is {}", options.top_p);
  }
}

/// The token behind `step`, which is all of its batch.
TokenId next_token(Model& model, const Sequence& step, models::KvCache& cache,
                   const SamplingOptions& options, base::Random& random) {
  if (!(options.temperature > 0.0F)) return model.decode_greedy({&step, 1}, cache).front();
  const ops::Draw draw{random.uniform(), options.temperature, options.top_p, options.top_k};
  return model.decode_sampled({&step, 1}, cache, {&draw, 1}).front();
}

void check_positions(const Model& model, std::int64_t positions) {
  if (positions > model.config().max_positions) {
    fail(ErrorCode::usage, "{} positions are more than the {} of {}", positions,
         model.config().max_positions, model.source().name());
  }
}

TokenId first_token(const Model& model) {
  const models::ModelConfig& config = model.config();
  if (config.bos_id >= 0) return static_cast<TokenId>(config.bos_id);
  if (!config.eos_ids.empty()) return static_cast<TokenId>(config.eos_ids.front());
  fail(ErrorCode::usage, "{} names no BOS or EOS token to start a sample with; give a text file",
       model.source().name());
}

}  // namespace

std::vector<TokenId> generate(Model& model, std::span<const TokenId> prompt,
                              std::int64_t max_tokens, const SamplingOptions& options,
                              const std::function<bool(TokenId)>& on_token) {
  check_options(options);
  base::Random random(options.seed);
  if (prompt.empty()) fail(ErrorCode::usage, "the prompt has no tokens");
  std::vector<TokenId> tokens;
  if (max_tokens <= 0) return tokens;
  // Compared before they are added: max_tokens may be anything.
  const std::int64_t positions = std::ssize(prompt) + std::min(max_tokens, std::int64_t{1} << 32);
  check_positions(model, positions);
  models::KvCache cache = model.make_cache(1, positions);
  const std::vector<std::int64_t>& eos = model.config().eos_ids;
  std::span<const TokenId> next = prompt;
  while (true) {
    base::check_interrupted();
    const TokenId token = next_token(model, {next, 0}, cache, options, random);
    if (options.stop_at_eos && std::find(eos.begin(), eos.end(), token) != eos.end()) break;
    tokens.push_back(token);
    if (on_token && !on_token(token)) break;
    if (std::ssize(tokens) == max_tokens) break;
    next = {&tokens.back(), 1};
  }
  return tokens;
}

std::vector<std::vector<TokenId>> sample_sequences(Model& model, int count, std::int64_t length,
                                                   std::uint64_t seed) {
  if (count < 1 || length < 1) {
    fail(ErrorCode::usage, "{} sequences of {} tokens cannot be sampled", count, length);
  }
  check_positions(model, length);
  // Every sequence has its own stream, so that it does not depend on how many there are.
  base::Random seeds(seed);
  std::vector<base::Random> streams;
  std::vector<std::vector<TokenId>> sequences(static_cast<std::size_t>(count),
                                              {first_token(model)});
  streams.reserve(sequences.size());
  for (int i = 0; i < count; ++i) streams.emplace_back(seeds.next());
  models::KvCache cache = model.make_cache(count, length);
  std::vector<Sequence> step(sequences.size());
  std::vector<ops::Draw> draws(sequences.size());
  for (std::int64_t n = 1; n < length; ++n) {
    base::check_interrupted();
    for (int i = 0; i < count; ++i) {
      step[i] = {{&sequences[i].back(), 1}, i};
      draws[i].uniform = streams[i].uniform();
    }
    const std::span<const TokenId> tokens = model.decode_sampled(step, cache, draws);
    for (int i = 0; i < count; ++i) sequences[i].push_back(tokens[i]);
  }
  return sequences;
}

}  // namespace assay::engine
