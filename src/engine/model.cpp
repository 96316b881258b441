#include "engine/model.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "engine/load.h"
#include "engine/model_state.h"

namespace assay::engine {
namespace {

using tensor::MatrixView;

int checked_threads(int wanted) {
  constexpr int kMost = 1024;
  if (wanted < 0 || wanted > kMost) {
    fail(ErrorCode::usage, "{} threads: must be from 1 to {}, or 0 for all available", wanted,
         kMost);
  }
  return wanted == 0 ? base::available_threads() : wanted;
}

/// Opens the devices of the plan before anything is put there.
ops::CudaQueues opened(const precision::Plan& plan) {
  ops::CudaQueues queues;
  for (const tensor::Device& device : plan.devices()) {
    if (device.kind == tensor::DeviceKind::cuda) queues.open(device.index);
  }
  for (const tensor::Device& device : plan.blocks) {
    if (device.kind == tensor::DeviceKind::cuda) queues.open(device.index);
  }
  for (const auto& queue : queues.all()) queue->reserve(std::ssize(plan.entries));
  return queues;
}

}  // namespace

Model::State::State(const ModelSource& source, const precision::Plan& plan,
                    precision::Ledger& ledger, const LoadOptions& options)
    : pool(checked_threads(options.threads)),
      queues(opened(plan)),
      context{.pool = pool,
              .workspace = workspace,
              .ledger = ledger,
              .cuda = &queues,
              .fixed_tiles = options.deterministic},
      transformer(source.config(), load_weights(source, plan, context, options.progress),
                  plan.activations, plan.blocks, context) {
  transformer.use_graphs(options.graphs);
}

Model::Model(std::shared_ptr<const ModelSource> source, precision::Plan plan,
             const LoadOptions& options)
    : source_(std::move(source)), plan_(std::move(plan)) {
  if (!plan_.supported()) {
    fail(ErrorCode::unsupported, "{} cannot run {}: {}", source_->name(), plan_.recipe,
         plan_.reasons());
  }
  if (plan_.awaits_calibration()) {
    fail(ErrorCode::internal, "{}: the plan was made without the calibration that it asks for",
         plan_.recipe);
  }
  state_ = std::make_unique<State>(*source_, plan_, ledger_, options);
}

Model::~Model() = default;

int Model::threads() const { return state_->pool.threads(); }

Json Model::weight_bytes() const {
  Json bytes = Json::object();
  const auto add = [&](const std::string& name, std::int64_t count) {
    bytes[name] = bytes.value(name, std::int64_t{0}) + count;
  };
  std::set<const void*> seen;
  const models::Weights& weights = state_->transformer.weights();
  for (const auto& [role, layer] : weights.matrices) {
    if (!seen.insert(layer.storage()).second) continue;
    add(display_name(layer.encoding()), layer.bytes());
  }
  for (const auto& [role, vector] : weights.vectors) add("fp32", vector.size() * 4);
  return bytes;
}

std::int64_t Model::total_weight_bytes() const {
  std::int64_t total = 0;
  const Json by_encoding = weight_bytes();
  for (const auto& [name, bytes] : by_encoding.items()) total += bytes.get<std::int64_t>();
  return total;
}

models::KvCache Model::make_cache(int slots, std::int64_t capacity) const {
  if (!config().causal)
    fail(ErrorCode::usage, "{} is an encoder and has no cache", source_->name());
  if (slots < 1 || capacity < 1) {
    fail(ErrorCode::usage, "a cache of {} slots of {} positions", slots, capacity);
  }
  return {config(), plan_.kv, slots, capacity, plan_.blocks};
}

MatrixView Model::decode(models::Batch batch, models::KvCache& cache) {
  State& s = *state_;
  return s.transformer.on_host(s.transformer.decode(batch, cache, s.context), s.context);
}

void Model::step(models::Batch batch, models::KvCache& cache) {
  (void)state_->transformer.decode(batch, cache, state_->context);
}

std::span<const TokenId> Model::decode_greedy(models::Batch batch, models::KvCache& cache) {
  step(batch, cache);
  return state_->transformer.likeliest();
}

std::span<const TokenId> Model::decode_sampled(models::Batch batch, models::KvCache& cache,
                                               std::span<const ops::Draw> draws) {
  return state_->transformer.sample(batch, cache, draws, state_->context);
}

void Model::score(const Sequence& sequence, models::KvCache& cache,
                  const std::function<void(std::int64_t, std::span<const float>)>& each) {
  constexpr std::int64_t kChunk = 64;  // rows of logits held at a time
  const std::int64_t start = cache.length(sequence.slot);
  const MatrixView hidden = state_->transformer.forward({&sequence, 1}, &cache, state_->context);
  for (std::int64_t begin = 0; begin < hidden.rows; begin += kChunk) {
    base::check_interrupted();
    state_->rows.resize(static_cast<std::size_t>(std::min(kChunk, hidden.rows - begin)));
    std::iota(state_->rows.begin(), state_->rows.end(), static_cast<std::int32_t>(begin));
    const MatrixView logits = state_->transformer.on_host(
        state_->transformer.logits(hidden, state_->rows, state_->context), state_->context);
    for (std::int64_t r = 0; r < logits.rows; ++r) {
      each(start + begin + r, {logits.row<float>(r), static_cast<std::size_t>(logits.cols)});
    }
  }
}

MatrixView Model::encode(models::Batch batch) {
  return state_->transformer.encode(batch, models::EncoderOutput::hidden, state_->context);
}

MatrixView Model::classify(models::Batch batch) {
  return state_->transformer.encode(batch, models::EncoderOutput::classes, state_->context);
}

MatrixView Model::embed(models::Batch batch, bool normalize) {
  const auto output =
      normalize ? models::EncoderOutput::normalized_embedding : models::EncoderOutput::embedding;
  return state_->transformer.encode(batch, output, state_->context);
}

void Model::observe(ops::LinearObserver observer) {
  state_->context.observer = std::move(observer);
}

void Model::set_fixed_tiles(bool fixed) { state_->context.fixed_tiles = fixed; }

models::Transformer::GraphCounts Model::graphs() const { return state_->transformer.graphs(); }

models::Weights& Model::weights_for_test() { return state_->transformer.weights(); }

}  // namespace assay::engine
