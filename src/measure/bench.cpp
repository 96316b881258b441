#include "measure/bench.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "base/hash.h"
#include "base/progress.h"
#include "measure/environment.h"

namespace assay::measure {
namespace {

using engine::TokenId;

/// Real samples give at most so many different inputs; the outputs of each are kept to compare
/// with.
constexpr std::size_t kMostInputs = 16;

/// Ids of a workload: taken from `data` in turn, or random with a fixed seed.
class TokenStream {
 public:
  TokenStream(TokenSequences data, std::int64_t vocabulary, std::uint64_t seed)
      : data_(data), vocabulary_(vocabulary), random_(seed) {}

  /// How many different batches there are before samples come again.
  [[nodiscard]] std::size_t batches(int batch) const {
    const std::size_t all = data_.size() / static_cast<std::size_t>(batch);
    return std::clamp<std::size_t>(all, 1, kMostInputs);
  }
  /// From the beginning of a sample; where that is too short, the next ones follow.
  std::vector<TokenId> take(std::int64_t count) {
    if (position_ > 0) next_sample();
    std::vector<TokenId> ids;
    ids.reserve(static_cast<std::size_t>(count));
    while (static_cast<std::int64_t>(ids.size()) < count) ids.push_back(next());
    return ids;
  }

 private:
  TokenId next() {
    if (data_.empty()) {
      return static_cast<TokenId>(random_.below(static_cast<std::uint64_t>(vocabulary_)));
    }
    while (position_ >= data_[sample_].size()) next_sample();
    return data_[sample_][position_++];
  }
  void next_sample() {
    sample_ = data_.empty() ? 0 : (sample_ + 1) % data_.size();
    position_ = 0;
  }

  TokenSequences data_;
  std::int64_t vocabulary_;
  base::Random random_;
  std::size_t sample_ = 0;
  std::size_t position_ = 0;
};

/// The outputs of the verification pass, against which timed outputs are held.
class Reference {
 public:
  void keep(const tensor::MatrixView& output) {
    values_.clear();
    for (std::int64_t r = 0; r < output.rows; ++r) {
      const float* row = output.row<float>(r);
      values_.insert(values_.end(), row, row + output.cols);
    }
  }

  /// Empty when every value agrees within `tolerance` x the largest reference value.
  [[nodiscard]] std::string difference(const tensor::MatrixView& output, double tolerance) const {
    if (static_cast<std::int64_t>(values_.size()) != output.rows * output.cols) {
      return "the timed output has another shape than the verification pass";
    }
    double largest = 0.0;
    double worst = 0.0;
    std::size_t i = 0;
    for (std::int64_t r = 0; r < output.rows; ++r) {
      for (std::int64_t c = 0; c < output.cols; ++c, ++i) {
        const double difference = std::abs(double{output.row<float>(r)[c]} - values_[i]);
        if (!(difference <= 1e30)) return "the timed output is not finite";
        worst = std::max(worst, difference);
        largest = std::max(largest, std::abs(double{values_[i]}));
      }
    }
    if (worst <= tolerance * largest) return {};
    return fmt::format("timed outputs differ from the verification pass by {:.3g} of {:.3g}", worst,
                       largest);
  }

 private:
  std::vector<float> values_;
};

/// The tolerance of the linear kernels' own tests, per compute type.
double tolerance_of(const engine::Model& model) {
  return model.plan().activations == tensor::DType::f32 ? 1e-5 : 2e-2;
}

std::vector<engine::Sequence> sequences_of(const std::vector<std::vector<TokenId>>& tokens) {
  std::vector<engine::Sequence> sequences;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    sequences.push_back({tokens[i], static_cast<int>(i)});
  }
  return sequences;
}

std::vector<std::vector<TokenId>> take_batch(TokenStream& stream, int batch, int length) {
  std::vector<std::vector<TokenId>> tokens(static_cast<std::size_t>(batch));
  for (auto& sequence : tokens) sequence = stream.take(length);
  return tokens;
}

/// The most that our own Buffers held on GPUs so far.
Json peak_device_memory(const precision::Plan& plan) {
  if (std::ranges::none_of(plan.devices(), [](const tensor::Device& device) {
        return device.kind == tensor::DeviceKind::cuda;
      })) {
    return {{"value", nullptr}, {"unit", "B"}, {"reason", "the cell ran on the CPU"}};
  }
  return {{"value", tensor::allocation_stats(tensor::DeviceKind::cuda).peak}, {"unit", "B"}};
}

using TokenBatch = std::vector<std::vector<TokenId>>;

/// The inputs that iterations cycle through: one of random tokens, several of real samples.
std::vector<TokenBatch> take_batches(TokenStream& stream, int batch, int length) {
  std::vector<TokenBatch> batches(stream.batches(batch));
  for (TokenBatch& tokens : batches) tokens = take_batch(stream, batch, length);
  return batches;
}

void add_memory(Json& metrics, const engine::Model& model) {
  metrics["weight_bytes"] = {{"value", model.total_weight_bytes()}, {"unit", "B"}};
  metrics["peak_host_memory"] = {{"value", peak_resident_bytes()}, {"unit", "B"}};
  metrics["peak_device_memory"] = peak_device_memory(model.plan());
}

void add_energy(Json& metrics, const Metering& metering, double units, const std::string& unit) {
  metrics["energy_gross"] = metering.gross(units, unit);
  metrics["energy_net"] = metering.net(units, unit);
}

std::string batch_prefix(int batch) { return batch > 1 ? fmt::format("b{}", batch) : ""; }

/// How a row is timed: options, what reads meters beside it, and what to tell between iterations.
struct RowTiming {
  TimingOptions options;
  Metering& metering;
  std::function<void(double)> tick;
};

/// What of a row does not depend on what kind of work it was.
void describe(BenchRow& row, const Timing& samples, std::size_t inputs, const Metering& metering) {
  row.samples = samples.seconds;
  row.iterations = {
      {"inputs", inputs},         {"asked", samples.asked},   {"ran", samples.seconds.size()},
      {"warmup", samples.warmup}, {"steady", samples.steady}, {"checked", samples.checked}};
  row.conditions = metering.conditions();
  row.marks = metering.marks();
}

/// An untimed pass over each input, then the timed ones, which cycle through them: outputs of those
/// are held against it. The ledger holds what ran behind the untimed passes.
Timing measured(engine::Model& model, const RowTiming& timing, std::size_t inputs,
                const std::function<tensor::MatrixView(std::size_t)>& pass, BenchRow& row) {
  std::vector<Reference> references(inputs);
  for (std::size_t i = 0; i < inputs; ++i) references[i].keep(pass(i));
  const double tolerance = tolerance_of(model);
  tensor::MatrixView output;
  std::size_t input = inputs - 1;
  model.ledger().clear();
  const auto iteration = [&] {
    input = (input + 1) % inputs;
    output = pass(input);
  };
  const auto check = [&] {
    if (row.reason.empty()) row.reason = references[input].difference(output, tolerance);
  };
  timing.metering.forget_windows();
  Timing samples =
      time_iterations(timing.options, {.iteration = iteration, .after = check, .tick = timing.tick},
                      &timing.metering);
  describe(row, samples, inputs, timing.metering);
  return samples;
}

/// Prompt processing: an empty cache each time, all tokens in one pass.
BenchRow prompt_row(engine::Model& model, int batch, int length, const RowTiming& timing,
                    TokenStream& stream) {
  const auto batches = take_batches(stream, batch, length);
  auto cache = model.make_cache(batch, length);
  const auto pass = [&](std::size_t input) {
    for (int slot = 0; slot < batch; ++slot) cache.truncate(slot, 0);
    return model.decode(sequences_of(batches[input]), cache);
  };
  BenchRow row{.test = fmt::format("{}pp{}", batch_prefix(batch), length)};
  const Timing samples = measured(model, timing, batches.size(), pass, row);
  row.metrics["tokens_per_second"] = samples.rate(double(batch) * length, "tokens/s");
  row.metrics["ttft"] = samples.latency(1.0, "ms");
  add_energy(row.metrics, timing.metering, double(batch) * length, "J/token");
  return row;
}

/// Token generation: `count` single-token steps behind `depth` cached positions. The tokens are
/// given, not sampled, so that every iteration and the verification pass do the same work.
BenchRow generate_row(engine::Model& model, int batch, int count, int depth,
                      const RowTiming& timing, TokenStream& stream) {
  const auto prefix = take_batch(stream, batch, std::max(depth, 1));
  const auto tokens = take_batch(stream, batch, count);
  auto cache = model.make_cache(batch, std::max(depth, 1) + count);
  const std::int64_t start = depth;
  if (depth > 0) std::ignore = model.decode(sequences_of(prefix), cache);
  const auto steps = [&](std::size_t) {
    for (int slot = 0; slot < batch; ++slot) cache.truncate(slot, start);
    std::vector<engine::Sequence> step(static_cast<std::size_t>(batch));
    for (int i = 0; i < count; ++i) {
      for (int slot = 0; slot < batch; ++slot) {
        step[slot] = {std::span(tokens[slot]).subspan(i, 1), slot};
      }
      if (i + 1 < count) model.step(step, cache);
    }
    return model.decode(step, cache);  // the last one, whose logits are compared
  };
  BenchRow row{.test = fmt::format("{}tg{}", batch_prefix(batch), count)};
  if (depth > 0) row.test += fmt::format("@d{}", depth);
  const Timing samples = measured(model, timing, 1, steps, row);
  row.metrics["tokens_per_second"] = samples.rate(double(batch) * count, "tokens/s");
  row.metrics["tpot"] = samples.latency(count, "ms");
  add_energy(row.metrics, timing.metering, double(batch) * count, "J/token");
  return row;
}

BenchRow encoder_row(engine::Model& model, int batch, int length, const RowTiming& timing,
                     TokenStream& stream) {
  const auto batches = take_batches(stream, batch, length);
  const bool labels = model.config().head == models::HeadKind::classifier;
  const auto pass = [&](std::size_t input) {
    const auto sequences = sequences_of(batches[input]);
    return labels ? model.classify(sequences) : model.embed(sequences);
  };
  BenchRow row{.test = fmt::format("b{}s{}", batch, length)};
  const Timing samples = measured(model, timing, batches.size(), pass, row);
  row.metrics["latency"] = samples.latency(batch, "ms");
  row.metrics["samples_per_second"] = samples.rate(batch, "samples/s");
  add_energy(row.metrics, timing.metering, batch, "J/sample");
  return row;
}

RowTiming row_timing(const TimingOptions& options, Metering& metering, const std::string& stage,
                     const base::ProgressSink& progress) {
  if (!progress) return {options, metering, {}};
  progress(stage, 0.0);
  return {options, metering, [&progress, stage](double fraction) { progress(stage, fraction); }};
}

/// The devices that a plan's kernels run on, watched, with the power they draw when idle.
class PlanMetering {
 public:
  PlanMetering(const engine::Model& model, const base::ProgressSink& progress)
      : metering_(watch_all(model.plan())) {
    if (metering_.windows() == 1) return;
    if (progress) progress("idle power", 0.0);
    metering_.measure_idle([] { base::check_interrupted(); });
  }
  [[nodiscard]] Metering& get() { return metering_; }

 private:
  static std::vector<WatchedDevice> watch_all(const precision::Plan& plan) {
    std::vector<WatchedDevice> devices;
    for (const tensor::Device& device : plan.devices()) devices.push_back(watch(device));
    if (devices.empty()) devices.push_back(watch(plan.device));
    return devices;
  }

  Metering metering_;
};

void check_length(const engine::Model& model, std::int64_t positions) {
  const std::int64_t most = model.config().max_positions;
  if (positions <= most) return;
  fail(ErrorCode::usage, "the workload needs {} positions, {} has {}; ask for fewer tokens",
       positions, model.source().name(), most);
}

}  // namespace

void bench_decoder(engine::Model& model, const DecoderWorkload& workload, TokenSequences data,
                   const base::ProgressSink& progress, const RowSink& sink) {
  PlanMetering metering(model, progress);
  const auto run = [&](const std::string& stage, auto&& make_row) {
    TokenStream stream(data, model.config().vocabulary, workload.seed);
    BenchRow row = make_row(stream, row_timing(workload.timing, metering.get(), stage, progress));
    add_memory(row.metrics, model);
    sink(std::move(row));
  };
  for (const int batch : workload.batch) {
    for (const int length : workload.prompt) {
      if (length == 0) continue;
      check_length(model, length);
      run(fmt::format("prompt {}", length), [&](TokenStream& stream, const RowTiming& timing) {
        return prompt_row(model, batch, length, timing, stream);
      });
    }
    for (const int count : workload.generate) {
      for (const int depth : workload.depth) {
        if (count == 0) continue;
        check_length(model, std::int64_t{count} + depth);
        run(fmt::format("generate {} at depth {}", count, depth),
            [&](TokenStream& stream, const RowTiming& timing) {
              return generate_row(model, batch, count, depth, timing, stream);
            });
      }
    }
  }
}

void bench_encoder(engine::Model& model, const EncoderWorkload& workload, TokenSequences data,
                   const base::ProgressSink& progress, const RowSink& sink) {
  PlanMetering metering(model, progress);
  for (const int batch : workload.batch) {
    for (const int length : workload.sequence) {
      check_length(model, length);
      const auto timing = row_timing(workload.timing, metering.get(),
                                     fmt::format("batch {} x {} tokens", batch, length), progress);
      TokenStream stream(data, model.config().vocabulary, workload.seed);
      BenchRow row = encoder_row(model, batch, length, timing, stream);
      add_memory(row.metrics, model);
      sink(std::move(row));
    }
  }
}

}  // namespace assay::measure
