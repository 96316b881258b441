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

}  // namespace

Model::State::State(const ModelSource& source, const precision::Plan& plan,
                    precision::Ledger& ledger, const LoadOptions& options)
    : pool(checked_threads(options.threads)),
      context{.pool = pool, .workspace = workspace, .ledger = ledger},
      transformer(source.config(), load_weights(source, plan, context, options.progress),
                  plan.activations) {}

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
  for (const auto& [role, vector] : weights.vectors) add("fp32", std::ssize(vector) * 4);
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
  return {config(), plan_.kv, slots, capacity};
}

MatrixView Model::decode(models::Batch batch, models::KvCache& cache) {
  const MatrixView hidden = state_->transformer.forward(batch, &cache, state_->context);
  state_->rows.clear();
  std::int32_t end = 0;
  for (const Sequence& s : batch) {
    end += static_cast<std::int32_t>(s.tokens.size());
    state_->rows.push_back(end - 1);
  }
  return state_->transformer.logits(hidden, state_->rows, state_->context);
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
    const MatrixView logits = state_->transformer.logits(hidden, state_->rows, state_->context);
    for (std::int64_t r = 0; r < logits.rows; ++r) {
      each(start + begin + r, {logits.row<float>(r), static_cast<std::size_t>(logits.cols)});
    }
  }
}

MatrixView Model::encode(models::Batch batch) {
  return state_->transformer.forward(batch, nullptr, state_->context);
}

MatrixView Model::classify(models::Batch batch) {
  return state_->transformer.classify(encode(batch), batch, state_->context);
}

MatrixView Model::embed(models::Batch batch, bool normalize) {
  return state_->transformer.embed(encode(batch), batch, normalize);
}

void Model::observe(ops::LinearObserver observer) {
  state_->context.observer = std::move(observer);
}

models::Weights& Model::weights_for_test() { return state_->transformer.weights(); }

}  // namespace assay::engine
