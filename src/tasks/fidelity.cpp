#include <algorithm>
#include <cmath>

#include "engine/samples.h"
#include "stats/paired.h"
#include "tasks/metrics.h"
#include "tasks/sentences.h"

namespace assay::tasks {
namespace {

using engine::TokenId;

/// Outputs of a model in the order that BaselineOutputs promises.
void each_output(
    engine::Model& model, const FidelityInputs& inputs,
    const std::function<void(std::size_t, std::int64_t, std::span<const float>)>& each) {
  if (!model.config().causal) {
    const bool labels = model.config().head == models::HeadKind::classifier;
    for (std::size_t i = 0; i < inputs.sequences.size(); ++i) {
      const engine::Sequence sequence{inputs.sequences[i], 0};
      const auto out = labels ? model.classify({&sequence, 1}) : model.embed({&sequence, 1});
      each(i, 0, {out.row<float>(0), static_cast<std::size_t>(out.cols)});
    }
    return;
  }
  std::size_t longest = 0;
  for (const auto& sequence : inputs.sequences) longest = std::max(longest, sequence.size());
  auto cache = model.make_cache(1, static_cast<std::int64_t>(longest));
  for (std::size_t i = 0; i < inputs.sequences.size(); ++i) {
    base::check_interrupted();
    cache.truncate(0, 0);
    const auto last = static_cast<std::int64_t>(inputs.sequences[i].size()) - 1;
    model.score({inputs.sequences[i], 0}, cache,
                [&](std::int64_t position, std::span<const float> logits) {
                  if (position < last) each(i, position, logits);
                });
  }
}

/// sum p_base (log p_base - log p), in double; not below 0 but for rounding.
double kl_divergence(std::span<const float> base, std::span<const float> other) {
  const double base_total = kernels::cpu::log_sum_exp(base);
  const double other_total = kernels::cpu::log_sum_exp(other);
  double sum = 0.0;
  for (std::size_t i = 0; i < base.size(); ++i) {
    const double log_base = double{base[i]} - base_total;
    sum += std::exp(log_base) * (log_base - (double{other[i]} - other_total));
  }
  return sum;
}

double cosine(std::span<const float> a, std::span<const float> b) {
  double dot = 0.0;
  double aa = 0.0;
  double bb = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    dot += double{a[i]} * b[i];
    aa += double{a[i]} * a[i];
    bb += double{b[i]} * b[i];
  }
  return dot / std::sqrt(aa * bb);
}

constexpr std::size_t kFewestDrawn = 8;  ///< samples or sequences, for an interval by bootstrap
constexpr int kDraws = 2000;
constexpr std::uint64_t kDrawSeed = 1;

/// Mean with standard error, and how it is distributed.
Json distribution_metric(std::span<const double> samples, const std::string& unit) {
  Json result = mean_metric(samples, unit);
  for (const auto& [name, percent] :
       {std::pair{"p50", 50.0}, {"p99", 99.0}, {"p999", 99.9}, {"max", 100.0}}) {
    result[name] = stats::percentile(samples, percent);
  }
  return result;
}

/// What a decoder's positions add up to.
struct DecoderScore {
  std::vector<double> divergence;
  std::vector<double> agreement;
  std::vector<double> base_loss;           ///< of the token that follows, by the baseline
  std::vector<double> loss;                ///< and by the recipe
  std::vector<double> probability_change;  ///< p(recipe) - p(baseline) of that token
  std::vector<double> sequence_sums;       ///< of the divergence, by sequence
  std::vector<double> sequence_lengths;

  void add(std::span<const float> base, std::span<const float> other, TokenId next,
           std::size_t sequence) {
    divergence.push_back(kl_divergence(base, other));
    agreement.push_back(kernels::cpu::argmax(base) == kernels::cpu::argmax(other) ? 1.0 : 0.0);
    const auto token = static_cast<std::size_t>(next);
    base_loss.push_back(kernels::cpu::log_sum_exp(base) - double{base[token]});
    loss.push_back(kernels::cpu::log_sum_exp(other) - double{other[token]});
    probability_change.push_back(std::exp(-loss.back()) - std::exp(-base_loss.back()));
    sequence_sums.resize(std::max(sequence_sums.size(), sequence + 1));
    sequence_lengths.resize(sequence_sums.size());
    sequence_sums[sequence] += divergence.back();
    sequence_lengths[sequence] += 1.0;
  }

  [[nodiscard]] Json divergence_metric() const {
    Json result = distribution_metric(divergence, "nats/token");
    // Positions of one sequence are not independent, so whole sequences are drawn.
    if (sequence_sums.size() < kFewestDrawn) return result;
    const auto interval =
        stats::bootstrap_ratio_interval(sequence_sums, sequence_lengths, 0.95, kDraws, kDrawSeed);
    result["ci95"] = {interval.low, interval.high};
    return result;
  }

  [[nodiscard]] Json metrics() const {
    Json result;
    result["kl_divergence"] = divergence_metric();
    result["top1_agreement"] = mean_metric(agreement, "1");
    std::vector<double> change;
    std::vector<double> squares;
    for (std::size_t i = 0; i < loss.size(); ++i) {
      change.push_back(loss[i] - base_loss[i]);
      squares.push_back(probability_change[i] * probability_change[i]);
    }
    result["probability_change"] = mean_metric(probability_change, "1");
    result["probability_change"]["rms"] = std::sqrt(stats::mean(squares));
    result["perplexity_ratio"] = metric(std::exp(stats::mean(change)), "1");
    result["perplexity_ratio"]["stderr"] =
        std::exp(stats::mean(change)) * stats::standard_error(change);
    result["baseline_perplexity"] = metric(std::exp(stats::mean(base_loss)), "1");
    result["recipe_perplexity"] = metric(std::exp(stats::mean(loss)), "1");
    result["log_probability_correlation"] = metric(stats::correlation(base_loss, loss), "1");
    result["scored_tokens"] = metric(double(divergence.size()), "tokens");
    return result;
  }
};

/// What an encoder's outputs add up to. `labels`: they are the logits of classes, else embeddings.
struct EncoderScore {
  explicit EncoderScore(bool has_labels) : labels(has_labels) {}

  bool labels;
  std::vector<double> cosines;
  std::vector<double> errors;
  std::vector<double> divergence;  ///< of the distribution over labels
  std::int64_t flips = 0;

  /// The answer that stands for this input in the store.
  Json add(std::span<const float> base, std::span<const float> other) {
    cosines.push_back(cosine(base, other));
    double worst = 0.0;
    for (std::size_t i = 0; i < base.size(); ++i) {
      worst = std::max(worst, std::abs(double{base[i]} - other[i]));
    }
    errors.push_back(worst);
    Json item = {{"cosine", cosines.back()}, {"error", worst}};
    if (!labels) return item;
    divergence.push_back(kl_divergence(base, other));
    const bool flips_here = kernels::cpu::argmax(base) != kernels::cpu::argmax(other);
    flips += flips_here ? 1 : 0;
    item["kl"] = divergence.back();
    item["same_top"] = !flips_here;
    return item;
  }

  [[nodiscard]] Json metrics() const {
    Json result;
    result["cosine"] = mean_metric(cosines, "1");
    result["cosine"]["min"] = stats::percentile(cosines, 0);
    const char* error = labels ? "logit_error" : "output_error";
    result[error] = mean_metric(errors, "1");
    result[error]["max"] = stats::percentile(errors, 100);
    if (!labels) return result;
    result["kl_divergence"] = distribution_metric(divergence, "nats/sample");
    if (divergence.size() >= kFewestDrawn) {
      const auto interval = stats::bootstrap_mean_interval(divergence, 0.95, kDraws, kDrawSeed);
      result["kl_divergence"]["ci95"] = {interval.low, interval.high};
    }
    const auto samples = std::ssize(divergence);
    const auto same = stats::wilson_interval(samples - flips, samples);
    result["top1_agreement"] = metric(double(samples - flips) / double(samples), "1");
    result["top1_agreement"]["ci95"] = {same.low, same.high};
    result["label_flips"] = metric(double(flips), "items");
    result["label_flips"]["n"] = samples;
    return result;
  }
};

}  // namespace

FidelityInputs default_fidelity_inputs(engine::Model& baseline, int sequences, int length,
                                       std::uint64_t seed) {
  if (baseline.config().causal) {
    return {.sequences = engine::sample_sequences(baseline, sequences, length, seed),
            .origin = fmt::format("{} x {} tokens sampled from {} at temperature 1, seed {}",
                                  sequences, length, baseline.plan().recipe, seed)};
  }
  FidelityInputs inputs;
  const text::EncodeOptions options{.max_length =
                                        static_cast<std::size_t>(baseline.config().max_positions)};
  for (const auto sentence : kSentences) {
    inputs.sequences.push_back(baseline.source().tokenizer().encode(sentence, options));
  }
  inputs.origin = fmt::format("{} built-in sentences", inputs.sequences.size());
  return inputs;
}

FidelityInputs fidelity_inputs_from_text(const engine::ModelSource& source,
                                         const std::filesystem::path& file, int sequences,
                                         int length) {
  return {.sequences = engine::read_samples(source, file, sequences, length),
          .origin = file.filename().string()};
}

void stream_outputs(engine::Model& model, const FidelityInputs& inputs,
                    const std::function<void(std::span<const float>)>& write) {
  each_output(model, inputs,
              [&](std::size_t, std::int64_t, std::span<const float> output) { write(output); });
}

TaskResult run_fidelity(engine::Model& model, const FidelityInputs& inputs,
                        BaselineOutputs& baseline, const TaskOptions& options) {
  TaskResult result{.task = "fidelity"};
  DecoderScore decoder;
  EncoderScore encoder(model.config().head == models::HeadKind::classifier);
  const bool causal = model.config().causal;
  each_output(model, inputs,
              [&](std::size_t i, std::int64_t position, std::span<const float> output) {
                const auto base = baseline.next();
                if (base.size() != output.size()) {
                  fail(ErrorCode::internal, "the baseline gave {} values, this model {}",
                       base.size(), output.size());
                }
                if (causal) {
                  const auto next = inputs.sequences[i][static_cast<std::size_t>(position) + 1];
                  decoder.add(base, output, next, i);
                  result.items.push_back({{"kl", decoder.divergence.back()},
                                          {"same_top", decoder.agreement.back() > 0.5},
                                          {"sequence", i}});
                } else {
                  result.items.push_back(encoder.add(base, output));
                }
                if (options.progress) {
                  options.progress("fidelity", double(i) / double(inputs.sequences.size()));
                }
              });
  result.metrics = causal ? decoder.metrics() : encoder.metrics();
  result.notes.push_back(inputs.origin);
  return result;
}

}  // namespace assay::tasks
