#include "calibrate/calibrate.h"

#include <numeric>

#include "base/hash.h"
#include "calibrate/observer.h"
#include "engine/samples.h"

namespace assay::calibrate {
namespace {

using engine::TokenId;

std::int64_t token_count(const Data& data) {
  return std::accumulate(
      data.sequences.begin(), data.sequences.end(), std::int64_t{0},
      [](std::int64_t sum, const auto& sequence) { return sum + std::ssize(sequence); });
}

/// Every layer that the model's outputs need, the head included.
void pass(engine::Model& model, std::span<const TokenId> tokens) {
  const engine::Sequence sequence{tokens, 0};
  if (model.config().causal) {
    auto cache = model.make_cache(1, std::ssize(tokens));
    model.score(sequence, cache, [](std::int64_t, std::span<const float>) {});
  } else if (model.config().head == models::HeadKind::classifier) {
    (void)model.classify({&sequence, 1});
  } else {
    (void)model.embed({&sequence, 1});
  }
}

std::string hash_of(const Data& data) {
  base::Sha256 hash;
  for (const auto& sequence : data.sequences) {
    const std::int64_t length = std::ssize(sequence);
    hash.update(std::as_bytes(std::span(&length, 1)));
    hash.update(std::as_bytes(std::span(sequence)));
  }
  return hash.hex();
}

/// There to measure speed where no data are; what it says about a real text is nothing.
Data random_tokens(const engine::ModelSource& source, const precision::CalibrationData& wanted) {
  base::Random random(*wanted.random_seed);
  const auto length = std::min<std::int64_t>(wanted.length, source.config().max_positions);
  Data data;
  data.sequences.resize(static_cast<std::size_t>(wanted.samples));
  for (auto& sequence : data.sequences) {
    sequence.resize(static_cast<std::size_t>(length));
    for (TokenId& id : sequence) {
      id = static_cast<TokenId>(
          random.below(static_cast<std::uint64_t>(source.config().vocabulary)));
    }
  }
  data.origin = fmt::format("random tokens (seed {}), {} sequences, {} tokens", *wanted.random_seed,
                            wanted.samples, token_count(data));
  return data;
}

}  // namespace

Data read_data(const engine::ModelSource& source, const precision::CalibrationData& wanted) {
  Data data;
  if (wanted.random_seed) return random_tokens(source, wanted);
  const std::filesystem::path file(wanted.file);
  data.sequences = engine::read_samples(source, file, wanted.samples, wanted.length);
  data.origin = fmt::format("{}, {} sequences, {} tokens", file.filename().string(),
                            data.sequences.size(), token_count(data));
  return data;
}

precision::CalibrationTable run(const std::shared_ptr<const engine::ModelSource>& source,
                                const Data& data, const engine::LoadOptions& options) {
  const auto recipe = precision::parse_recipe("fp32", "fp32", "calibration");
  engine::Model model(source, engine::make_plan(*source, recipe, {}), options);
  Observer observer;
  model.observe([&](const std::string& layer, tensor::MatrixView x) { observer.see(layer, x); });
  for (std::size_t i = 0; i < data.sequences.size(); ++i) {
    base::check_interrupted();
    if (options.progress) {
      options.progress("calibrate", double(i) / double(data.sequences.size()));
    }
    pass(model, data.sequences[i]);
  }
  return {.origin = data.origin,
          .data_hash = hash_of(data),
          .tokens = token_count(data),
          .layers = observer.take()};
}

}  // namespace assay::calibrate
