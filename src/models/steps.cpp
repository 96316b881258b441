// Steps of a transformer: tables to the devices, the pass, the head, what is read back; repeated
// steps of one shape as CUDA graphs.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "models/transformer_impl.h"

namespace assay::models {

using tensor::DType;
using tensor::MatrixView;

namespace {

constexpr std::size_t kMostGraphs = 32;
constexpr std::size_t kMostShapes = 4096;
/// Grids of attention in a graph are sized for so many positions, then for twice as many, ...
constexpr std::int64_t kFewestKeys = 256;

std::int64_t longest(Batch batch, const KvCache& cache) {
  std::int64_t most = 0;
  for (const Sequence& s : batch) {
    most = std::max(most, cache.length(s.slot) + std::ssize(s.tokens));
  }
  return most;
}

std::int32_t key_bound(Batch batch, const KvCache* cache) {
  if (cache == nullptr) return 0;
  const auto wanted = static_cast<std::uint64_t>(std::max(kFewestKeys, longest(batch, *cache)));
  return static_cast<std::int32_t>(
      std::min(static_cast<std::int64_t>(std::bit_ceil(wanted)), cache->capacity()));
}

StepKind kind_of(EncoderOutput output) {
  switch (output) {
    case EncoderOutput::classes:
      return StepKind::classes;
    case EncoderOutput::embedding:
      return StepKind::embedding;
    case EncoderOutput::normalized_embedding:
      return StepKind::normalized_embedding;
    default:
      return StepKind::hidden;
  }
}

/// Calls f(queue) for the queues of all arenas on CUDA devices.
template <typename Arenas, typename F>
void each_queue(const Arenas& arenas, ops::Context& context, const F& f) {
  for (const auto& arena : arenas) {
    if (arena->device.kind == tensor::DeviceKind::cuda) f(context.queue(arena->device));
  }
}

/// Pinned memory for what a step brings to the host, had before a graph is captured.
void reserve_host(Step& step, std::size_t bytes) {
  if (step.host.size() < bytes) step.host = kernels::cuda::PinnedBuffer(bytes);
}

constexpr std::size_t kStatisticsOfRow = sizeof(double) + sizeof(std::int32_t);

void reserve_statistics(Step& step, std::int64_t rows, tensor::Device device) {
  const std::size_t bytes = static_cast<std::size_t>(rows) * kStatisticsOfRow;
  if (step.statistics.size() < bytes) step.statistics = tensor::Buffer(bytes, device);
  reserve_host(step, bytes);
}

void reserve_drawing(Step& step, std::int64_t rows, tensor::Device device) {
  const auto count = static_cast<std::size_t>(rows);
  const std::size_t bytes = count * (sizeof(ops::Draw) + sizeof(TokenId));
  if (step.drawing.size() < bytes) step.drawing = tensor::Buffer(bytes, device);
  reserve_host(step, count * sizeof(TokenId));
}

/// Where the copy to a device, also that of a graph, finds them.
void keep_draws(Step& step, std::span<const ops::Draw> draws) {
  const std::size_t bytes = draws.size_bytes();
  if (step.draws.size() < bytes) step.draws = kernels::cuda::PinnedBuffer(bytes);
  std::memcpy(step.draws.data(), draws.data(), bytes);
}

bool decodes(StepKind kind) { return kind == StepKind::tokens || kind == StepKind::drawn; }

}  // namespace

bool Transformer::Impl::may_repeat(StepKind kind, Batch batch) const {
  if (!on_one_device || kind == StepKind::states || !use_graphs) return false;
  return !config.causal ||
         std::ranges::all_of(batch, [](const Sequence& s) { return s.tokens.size() == 1; });
}

void Transformer::Impl::fill(Step& step, StepKind kind, Batch batch, const KvCache* cache,
                             bool repeats) const {
  step.tables.fill(batch, cache, config, decodes(kind), repeats ? key_bound(batch, cache) : 0);
  if (kind == StepKind::drawn && !on_cpu()) keep_draws(step, draws);
}

void Transformer::Impl::begin_notes(ops::Context& context) {
  overflowed = false;
  each_queue(arenas, context, [](ops::CudaQueue& queue) { queue.begin_notes(); });
}

bool Transformer::Impl::end_notes(ops::Context& context) {
  bool finite = !overflowed;
  each_queue(arenas, context, [&](ops::CudaQueue& queue) {
    queue.stream.synchronize();
    if (queue.take_notes(context.ledger)) finite = false;
  });
  return finite;
}

void Transformer::Impl::compute(StepKind kind, Step& step, KvCache* cache, ops::Context& context) {
  const MatrixView states = pass(cache, context);
  // NaN and infinity stay in the stream once they are in it, so one look at its end is enough.
  note_overflow(states, context);
  located(states, "the last norm", context);
  switch (kind) {
    case StepKind::tokens:
    case StepKind::drawn:
      step.result = logits(states, step.tables.picked(states.device), context);
      break;
    case StepKind::classes:
      step.result = classify(states, context);
      break;
    case StepKind::embedding:
    case StepKind::normalized_embedding:
      step.result = embed(states, kind == StepKind::normalized_embedding, context);
      break;
    default:
      step.result = states;
  }
}

void Transformer::Impl::queue(StepKind kind, Step& step, KvCache* cache, ops::Context& context) {
  each_queue(arenas, context, [&](ops::CudaQueue& queue) { step.tables.upload(queue); });
  begin_notes(context);
  compute(kind, step, cache, context);
  step.read_back = step.result;
  if (ops::on_cuda(step.result) && kind != StepKind::states) read_back(kind, step, context);
  each_queue(arenas, context, [](ops::CudaQueue& queue) { queue.copy_notes(); });
}

void Transformer::Impl::reserve_read_back(StepKind kind, Step& step, std::int64_t rows,
                                          tensor::Device device) const {
  if (kind == StepKind::tokens) {
    reserve_statistics(step, rows, device);
  } else if (kind == StepKind::drawn) {
    reserve_drawing(step, rows, device);
  } else {
    reserve_host(step, result_bytes(kind, step));
  }
}

void Transformer::Impl::draw(Step& step, ops::Context& context) {
  const MatrixView& result = step.result;
  kernels::cuda::Stream& stream = context.queue(result.device).stream;
  const auto count = static_cast<std::size_t>(result.rows);
  reserve_drawing(step, result.rows, result.device);
  auto* how = step.drawing.as<ops::Draw>();
  auto* tokens = reinterpret_cast<TokenId*>(how + count);
  stream.copy_to_device(how, step.draws.data(), count * sizeof(ops::Draw));
  ops::sample(result, how, tokens, context);
  stream.copy_to_host(step.host.data(), tokens, count * sizeof(TokenId));
}

void Transformer::Impl::read_back(StepKind kind, Step& step, ops::Context& context) {
  const MatrixView& result = step.result;
  ops::CudaQueue& queue = context.queue(result.device);
  if (kind == StepKind::drawn) return draw(step, context);
  if (kind == StepKind::tokens) {
    reserve_statistics(step, result.rows, result.device);
    auto* sums = step.statistics.as<double>();
    auto* best = reinterpret_cast<std::int32_t*>(sums + result.rows);
    kernels::cuda::row_statistics(result, best, sums, queue.stream);
    queue.stream.copy_to_host(step.host.data(), step.statistics.data(),
                              static_cast<std::size_t>(result.rows) * kStatisticsOfRow);
    return;
  }
  const std::size_t bytes =
      static_cast<std::size_t>(result.rows * result.cols) * tensor::size_of(result.type);
  reserve_host(step, bytes);
  queue.stream.copy_to_host(step.host.data(), result.data, bytes);
  step.read_back = {step.host.data(), result.type, result.rows, result.cols, result.cols, {}};
}

std::size_t Transformer::Impl::result_bytes(StepKind kind, const Step& step) const {
  const std::int64_t sequences = step.tables.sequence_count();
  switch (kind) {
    case StepKind::classes:
      return static_cast<std::size_t>(sequences * std::ssize(config.labels)) * sizeof(float);
    case StepKind::embedding:
    case StepKind::normalized_embedding:
      return static_cast<std::size_t>(sequences * config.hidden) * sizeof(float);
    default:
      return static_cast<std::size_t>(step.tables.rows() * config.hidden) *
             tensor::size_of(activations);
  }
}

Step* Transformer::Impl::graph_for(StepKind kind, Batch batch, KvCache* cache,
                                   ops::Context& context) {
  std::vector<std::int64_t> key = {static_cast<std::int64_t>(kind), context.fixed_tiles ? 1 : 0,
                                   cache != nullptr ? static_cast<std::int64_t>(cache->id()) : 0,
                                   key_bound(batch, cache)};
  for (const Sequence& s : batch) key.push_back(std::ssize(s.tokens));
  const auto found = std::ranges::find_if(captured, [&](const auto& s) { return s->key == key; });
  if (found != captured.end()) {
    if ((*found)->growths == growths()) return found->get();
    captured.erase(found);
  }
  if (seen.size() > kMostShapes) seen.clear();
  if (seen[key]++ == 0) return nullptr;
  if (captured.size() >= kMostGraphs) captured.erase(captured.begin());
  auto step = std::make_unique<Step>(true);
  capture(kind, *step, batch, cache, context);
  step->key = std::move(key);
  step->growths = growths();
  return captured.emplace_back(std::move(step)).get();
}

void Transformer::Impl::capture(StepKind kind, Step& step, Batch batch, KvCache* cache,
                                ops::Context& context) {
  ops::CudaQueue& queue_there = context.queue(arenas.front()->device);
  current = &step;
  fill(step, kind, batch, cache, true);
  step.tables.upload(queue_there);  // has its memory from now on
  reserve_read_back(kind, step, step.tables.sequence_count(), queue_there.device());
  queue_there.stream.begin_capture();
  context.ledger.begin_capture();
  try {
    queue(kind, step, cache, context);
  } catch (...) {
    context.ledger.cancel_capture();
    try {
      (void)queue_there.stream.end_capture();
    } catch (const Error&) {
      // The first error is the one to tell.
    }
    throw;
  }
  step.graph = queue_there.stream.end_capture();
  step.calls = context.ledger.end_capture();
}

void Transformer::Impl::run(StepKind kind, Batch batch, KvCache* cache, ops::Context& context) {
  check(batch, cache);
  locating = false;
  const bool repeats = may_repeat(kind, batch);
  Step* graph = repeats ? graph_for(kind, batch, cache, context) : nullptr;
  current = graph != nullptr ? graph : eager.get();
  fill(*current, kind, batch, cache, repeats);
  if (graph != nullptr) {
    context.queue(arenas.front()->device).stream.launch(graph->graph);
    context.ledger.replay(graph->calls);
    ++launches;
  } else {
    queue(kind, *current, cache, context);
  }
  if (!end_notes(context)) locate(kind, cache, context);
  if (cache == nullptr) return;
  for (const Sequence& s : batch) cache->advance(s.slot, std::ssize(s.tokens));
}

void Transformer::Impl::locate(StepKind kind, KvCache* cache, ops::Context& context) {
  // The step is repeated (the cache has not been advanced) to say where they came from.
  each_queue(arenas, context, [&](ops::CudaQueue& queue) { current->tables.upload(queue); });
  locating = true;
  compute(kind, *current, cache, context);
  fail(ErrorCode::internal, "something of the step was not finite, and then it was");
}

Transformer::Transformer(ModelConfig config, Weights weights, tensor::DType activations,
                         std::vector<tensor::Device> blocks, ops::Context& context)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(weights), activations,
                                   std::move(blocks), context)) {}
Transformer::~Transformer() = default;
Transformer::Transformer(Transformer&&) noexcept = default;
Transformer& Transformer::operator=(Transformer&&) noexcept = default;

const ModelConfig& Transformer::config() const { return impl_->config; }
Weights& Transformer::weights() { return impl_->weights; }
void Transformer::use_graphs(bool use) { impl_->use_graphs = use; }
Transformer::GraphCounts Transformer::graphs() const {
  return {static_cast<int>(impl_->captured.size()), impl_->launches};
}

MatrixView Transformer::forward(Batch batch, KvCache* cache, ops::Context& context) {
  impl_->run(StepKind::states, batch, cache, context);
  return impl_->current->result;
}

MatrixView Transformer::logits(MatrixView hidden, const ops::Indices& rows, ops::Context& context) {
  ops::Indices there = rows;
  if (ops::on_cuda(hidden) && rows.device == nullptr) {
    const std::size_t bytes = rows.host.size_bytes();
    if (impl_->chosen_rows.size() < bytes || impl_->chosen_rows.device() != hidden.device) {
      impl_->chosen_rows = tensor::Buffer(bytes, hidden.device);
    }
    context.queue(hidden.device)
        .stream.copy_to_device(impl_->chosen_rows.data(), rows.host.data(), bytes);
    there.device = impl_->chosen_rows.as<std::int32_t>();
  }
  const bool noted = impl_->config.logit_soft_cap > 0 || !impl_->on_cpu();
  if (noted) impl_->begin_notes(context);
  const MatrixView y = impl_->logits(hidden, there, context);
  if (noted) {
    each_queue(impl_->arenas, context, [](ops::CudaQueue& queue) { queue.copy_notes(); });
    if (!impl_->end_notes(context)) {
      fail(ErrorCode::numeric, "NaN or infinity in {} activations: first seen in the output of {}",
           tensor::name_of(impl_->activations), impl_->head_output->name());
    }
  }
  return y;
}

MatrixView Transformer::decode(Batch batch, KvCache& cache, ops::Context& context) {
  impl_->run(StepKind::tokens, batch, &cache, context);
  return impl_->current->result;
}

std::span<const TokenId> Transformer::likeliest() const {
  const MatrixView& result = impl_->current->result;
  std::vector<TokenId>& best = impl_->chosen;
  best.clear();
  if (!ops::on_cuda(result)) {
    for (std::int64_t r = 0; r < result.rows; ++r) {
      const std::span row(result.row<float>(r), static_cast<std::size_t>(result.cols));
      best.push_back(static_cast<TokenId>(ops::argmax(row)));
    }
    return best;
  }
  const auto* sums = reinterpret_cast<const double*>(impl_->current->host.data());
  const auto* indices = reinterpret_cast<const std::int32_t*>(sums + result.rows);
  for (std::int64_t r = 0; r < result.rows; ++r) {
    if (!std::isfinite(sums[r])) {
      fail(ErrorCode::numeric, "the {} logits to choose from are not finite", result.cols);
    }
    best.push_back(indices[r]);
  }
  return best;
}

std::span<const TokenId> Transformer::sample(Batch batch, KvCache& cache,
                                             std::span<const ops::Draw> draws,
                                             ops::Context& context) {
  if (draws.size() != batch.size()) {
    fail(ErrorCode::internal, "{} draws for {} sequences", draws.size(), batch.size());
  }
  impl_->draws = draws;
  impl_->run(StepKind::drawn, batch, &cache, context);
  const MatrixView& result = impl_->current->result;
  std::vector<TokenId>& tokens = impl_->chosen;
  tokens.resize(draws.size());
  if (ops::on_cuda(result)) {
    std::memcpy(tokens.data(), impl_->current->host.data(), tokens.size() * sizeof(TokenId));
  } else {
    ops::sample(result, draws.data(), tokens.data(), context);
  }
  if (std::ranges::any_of(tokens, [](TokenId token) { return token < 0; })) {
    fail(ErrorCode::numeric, "the {} logits to sample from are not finite", result.cols);
  }
  return tokens;
}

MatrixView Transformer::encode(Batch batch, EncoderOutput output, ops::Context& context) {
  impl_->run(kind_of(output), batch, nullptr, context);
  return impl_->current->read_back;
}

MatrixView Transformer::on_host(MatrixView view, ops::Context& context) {
  if (!ops::on_cuda(view)) return view;
  const std::size_t bytes =
      static_cast<std::size_t>(view.rows * view.cols) * tensor::size_of(view.type);
  if (impl_->host_copy.size() < bytes) impl_->host_copy = kernels::cuda::PinnedBuffer(bytes);
  const MatrixView copy{impl_->host_copy.data(), view.type, view.rows, view.cols, view.cols, {}};
  ops::copy(view, copy, context);
  return copy;
}

}  // namespace assay::models
