#include "models/transformer.h"

#include <algorithm>
#include <cstring>

#include "models/transformer_impl.h"
#include "ops/activation.h"
#include "ops/attention.h"
#include "ops/norm.h"
#include "ops/rope.h"

namespace assay::models {

using tensor::MatrixView;

Transformer::Transformer(ModelConfig config, Weights weights, tensor::DType activations)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(weights), activations)) {}
Transformer::~Transformer() = default;
Transformer::Transformer(Transformer&&) noexcept = default;
Transformer& Transformer::operator=(Transformer&&) noexcept = default;

const ModelConfig& Transformer::config() const { return impl_->config; }
Weights& Transformer::weights() { return impl_->weights; }

MatrixView Transformer::forward(Batch batch, KvCache* cache, ops::Context& context) {
  Impl& impl = *impl_;
  impl.check(batch, cache);
  impl.prepare(batch, cache);
  const MatrixView hidden = impl.pass(batch, cache, context);
  if (impl.overflowed || !kernels::cpu::all_finite(hidden)) {
    // NaN and infinity stay in the stream once they are in it, so one look at its end is enough.
    // The pass is repeated (the cache has not been advanced) to say where they came from.
    impl.locating = true;
    (void)impl.pass(batch, cache, context);
    fail(ErrorCode::internal, "the final hidden states were not finite, and then they were");
  }
  if (cache != nullptr) {
    for (const Sequence& s : batch) cache->advance(s.slot, std::ssize(s.tokens));
  }
  return hidden;
}

void Transformer::Impl::check(Batch batch, const KvCache* cache) const {
  if (batch.empty()) fail(ErrorCode::usage, "the batch is empty");
  if (config.causal != (cache != nullptr)) {
    fail(ErrorCode::internal, "{} {} a cache", config.architecture,
         config.causal ? "needs" : "does not use");
  }
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const std::int64_t count = std::ssize(batch[i].tokens);
    if (count == 0) fail(ErrorCode::usage, "sequence {} of the batch has no tokens", i);
    if (cache == nullptr) {
      check_positions(count);
      continue;
    }
    const int slot = batch[i].slot;
    if (slot < 0 || slot >= cache->slots()) {
      fail(ErrorCode::usage, "slot {} is outside a cache of {} slots", slot, cache->slots());
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (batch[j].slot == slot) fail(ErrorCode::usage, "slot {} is twice in a batch", slot);
    }
    if (cache->length(slot) + count > cache->capacity()) {
      fail(ErrorCode::usage, "{} cached and {} new tokens do not fit a cache of {} positions",
           cache->length(slot), count, cache->capacity());
    }
    check_positions(cache->length(slot) + count);
  }
}

void Transformer::Impl::check_positions(std::int64_t count) const {
  if (config.position != PositionKind::learned || count <= config.max_positions) return;
  fail(ErrorCode::usage, "a sequence of {} tokens is longer than the model's {} positions", count,
       config.max_positions);
}

void Transformer::Impl::prepare(Batch batch, const KvCache* cache) {
  ids.clear();
  positions.clear();
  for (const Sequence& s : batch) {
    const std::int64_t start = cache != nullptr ? cache->length(s.slot) : 0;
    ids.insert(ids.end(), s.tokens.begin(), s.tokens.end());
    auto next = static_cast<std::int32_t>(start + config.padding_id + 1);
    for (const TokenId token : s.tokens) {
      const bool padding = config.padding_id >= 0 && token == config.padding_id;
      positions.push_back(padding ? token : next++);
    }
  }
  zeros.assign(ids.size(), 0);
  overflowed = false;
  locating = false;
}

MatrixView Transformer::Impl::pass(Batch batch, KvCache* cache, ops::Context& context) {
  const MatrixView x = embed_tokens(context);
  const MatrixView normed = other.get(activations, x.rows, config.hidden);
  const auto input = [&](const Norm& norm) {
    if (!config.norm_first || norm.weight.empty()) return x;
    normalize(norm, x, normed, context);
    return normed;
  };
  const auto add = [&](MatrixView part, const Norm& post_norm, const Norm& norm) {
    if (!post_norm.weight.empty()) normalize(post_norm, part, part, context);
    ops::add_in_place(x, part, context.pool);
    located(x, "the residual stream");
    if (!config.norm_first) normalize(norm, x, x, context);
  };
  for (std::int64_t i = 0; i < config.blocks; ++i) {
    const Block& block = blocks[i];
    add(attend(i, input(block.attention_norm), batch, cache, context), block.attention_post_norm,
        block.attention_norm);
    const MatrixView inner = input(block.mlp_norm);
    add(block.router != nullptr ? mixture(block, inner, context) : mlp(block, inner, context),
        block.mlp_post_norm, block.mlp_norm);
  }
  if (final_norm.weight.empty()) return x;
  normalize(final_norm, x, normed, context);
  return normed;
}

MatrixView Transformer::Impl::embed_tokens(ops::Context& context) {
  const std::int64_t rows = std::ssize(ids);
  const MatrixView x = stream.get(activations, rows, config.hidden);
  lookup(*token_table, ids, x, context);
  if (config.embedding_scale != 1.0F) {
    ops::scale(x, config.embedding_scale, context.pool);
  }
  const MatrixView part = projected.get(activations, rows, config.hidden);
  if (type_table != nullptr) {
    lookup(*type_table, zeros, part, context);
    ops::add_in_place(x, part, context.pool);
  }
  if (position_table != nullptr) {
    lookup(*position_table, positions, part, context);
    ops::add_in_place(x, part, context.pool);
  }
  if (!embedding_norm.weight.empty()) normalize(embedding_norm, x, x, context);
  return x;
}

MatrixView Transformer::Impl::attend(std::int64_t index, MatrixView x, Batch batch, KvCache* cache,
                                     ops::Context& context) {
  const Block& block = blocks[index];
  const std::int64_t kv_width = config.kv_heads * config.head_dim;
  const MatrixView q = query.get(activations, x.rows, config.heads * config.head_dim);
  const MatrixView k = key.get(activations, x.rows, kv_width);
  const MatrixView v = value.get(activations, x.rows, kv_width);
  linear_all({block.query, block.key, block.value}, x, {q, k, v}, context);
  if (activations == tensor::DType::f16) {
    // A score of -infinity is a weight of 0, so an overflow here need not reach the stream.
    note_overflow(q);
    note_overflow(k);
  }
  position_heads(index, block.query_norm, q, context);
  position_heads(index, block.key_norm, k, context);
  if (cache != nullptr) append(index, k, v, batch, *cache);

  sequences.clear();
  std::int64_t begin = 0;
  for (const Sequence& s : batch) {
    const std::int64_t count = std::ssize(s.tokens);
    if (cache != nullptr) {
      const MatrixView keys = cache->keys(index, s.slot);
      sequences.push_back({begin, count, keys.data, cache->values(index, s.slot).data, keys.stride,
                           cache->length(s.slot) + count});
    } else {
      sequences.push_back({begin, count, k.row_bytes(begin), v.row_bytes(begin), k.stride, count});
    }
    begin += count;
  }
  const MatrixView out = attended.get(activations, x.rows, config.heads * config.head_dim);
  ops::attention({.q = q,
                  .out = out,
                  .kv = cache != nullptr ? cache->keys(index, 0).type : activations,
                  .heads = config.heads,
                  .kv_heads = config.kv_heads,
                  .head_dim = config.head_dim,
                  .scale = config.attention_scale,
                  .soft_cap = config.attention_soft_cap,
                  .causal = config.causal,
                  .window = config.windows.empty() ? 0 : config.windows[index],
                  .sinks = block.sinks,
                  .sequences = sequences},
                 context.pool, context.workspace);
  located(out, "the attention before " + block.attention_output->name());
  const MatrixView result = projected.get(activations, x.rows, config.hidden);
  linear(*block.attention_output, out, result, context);
  return result;
}

void Transformer::Impl::position_heads(std::int64_t block, const Norm& norm, MatrixView x,
                                       ops::Context& context) const {
  if (!norm.weight.empty()) {
    const std::int64_t width = config.head_dim;
    const MatrixView heads{x.data, x.type, x.rows * x.cols / width, width, width};
    normalize(norm, heads, heads, context);
  }
  if (config.position != PositionKind::rope) return;
  const bool local = config.local_rope && !config.windows.empty() && config.windows[block] > 0;
  ops::rope(x, positions, local ? local_frequencies : inverse_frequencies, config.head_dim,
            context.pool, (local ? *config.local_rope : config.rope).magnitude);
}

void Transformer::Impl::append(std::int64_t block, MatrixView k, MatrixView v, Batch batch,
                               KvCache& cache) {
  const auto copy = [&](MatrixView from, std::int64_t begin, MatrixView to) {
    for (std::int64_t r = 0; r < to.rows; ++r) {
      if (from.type == to.type) {
        std::memcpy(to.row_bytes(r), from.row_bytes(begin + r),
                    static_cast<std::size_t>(from.cols) * tensor::size_of(from.type));
      } else {
        tensor::load_row(from, begin + r, std::span(row).first(from.cols));
        tensor::store_row(to, r, std::span(row).first(from.cols));
      }
    }
  };
  std::int64_t begin = 0;
  for (const Sequence& s : batch) {
    const std::int64_t count = std::ssize(s.tokens);
    const std::int64_t at = cache.length(s.slot);
    copy(k, begin, cache.keys(block, s.slot).slice(at, count));
    copy(v, begin, cache.values(block, s.slot).slice(at, count));
    begin += count;
  }
}

MatrixView Transformer::Impl::mlp(const Block& block, MatrixView x, ops::Context& context) {
  const MatrixView wide = up.get(activations, x.rows, config.intermediate);
  MatrixView inner = wide;
  if (block.gate != nullptr) {
    inner = gate.get(activations, x.rows, config.intermediate);
    linear_all({block.up, block.gate}, x, {wide, inner}, context);
    ops::gated_product(config.activation, inner, wide, context.pool);
  } else {
    linear(*block.up, x, wide, context);
    ops::apply(config.activation, wide, context.pool);
  }
  located(inner, "the activation before " + block.down->name());
  const MatrixView result = projected.get(activations, x.rows, config.hidden);
  linear(*block.down, inner, result, context);
  return result;
}

void Transformer::Impl::normalize(const Norm& norm, MatrixView x, MatrixView y,
                                  ops::Context& context) const {
  if (config.norm == NormKind::rms) {
    ops::rms_norm(x, norm.weight, config.norm_eps, y, context.pool);
  } else {
    ops::layer_norm(x, norm.weight, norm.bias, config.norm_eps, y, context.pool);
  }
}

void Transformer::Impl::linear(const ops::Linear& layer, MatrixView x, MatrixView y,
                               ops::Context& context) const {
  layer.run(x, y, context);
  located(y, layer.name());
}

void Transformer::Impl::linear_all(std::initializer_list<const ops::Linear*> layers, MatrixView x,
                                   std::initializer_list<MatrixView> y,
                                   ops::Context& context) const {
  ops::Linear::run_all({layers.begin(), layers.size()}, x, {y.begin(), y.size()}, context);
  for (std::size_t i = 0; i < layers.size(); ++i) located(y.begin()[i], layers.begin()[i]->name());
}

void Transformer::Impl::lookup(const ops::Linear& table, std::span<const std::int32_t> rows,
                               MatrixView y, ops::Context& context) const {
  table.lookup(rows, y, context);
  located(y, table.name());
}

void Transformer::Impl::note_overflow(MatrixView y) {
  overflowed = overflowed || !kernels::cpu::all_finite(y);
}

void Transformer::Impl::located(MatrixView y, std::string_view layer) const {
  if (locating) demand_finite(y, layer);
}

void Transformer::Impl::demand_finite(MatrixView y, std::string_view layer) const {
  if (kernels::cpu::all_finite(y)) return;
  fail(ErrorCode::numeric, "NaN or infinity in {} activations: first seen in the output of {}{}",
       tensor::name_of(activations), layer,
       activations == tensor::DType::f16 ? "; fp16 ends at 65504, bf16 does not" : "");
}

}  // namespace assay::models
