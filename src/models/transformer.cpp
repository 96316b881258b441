#include "models/transformer.h"

#include <algorithm>

#include "models/transformer_impl.h"
#include "ops/activation.h"
#include "ops/attention.h"
#include "ops/norm.h"
#include "ops/rope.h"

namespace assay::models {

using tensor::MatrixView;

void Transformer::Impl::check(Batch batch, const KvCache* cache) const {
  if (batch.empty()) fail(ErrorCode::usage, "the batch is empty");
  if (config.causal != (cache != nullptr)) {
    fail(ErrorCode::internal, "{} {} a cache", config.architecture,
         config.causal ? "needs" : "does not use");
  }
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const std::int64_t count = std::ssize(batch[i].tokens);
    if (count == 0) fail(ErrorCode::usage, "sequence {} of the batch has no tokens", i);
    check_tokens(batch[i].tokens);
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

/// A graph looks its rows up without asking.
void Transformer::Impl::check_tokens(std::span<const TokenId> tokens) const {
  for (const TokenId token : tokens) {
    if (token >= 0 && token < token_table->rows()) continue;
    fail(ErrorCode::bad_data, "{}: row {} was asked of a table of {} rows", token_table->name(),
         token, token_table->rows());
  }
}

MatrixView Transformer::Impl::pass(KvCache* cache, ops::Context& context) {
  MatrixView x = embed_tokens(context);
  for (std::int64_t i = 0; i < config.blocks; ++i) x = block_pass(i, x, cache, context);
  if (final_norm.weight.empty()) return x;
  Arena& here = arena(x.device);
  const MatrixView normed = here.get(here.other, activations, x.rows, config.hidden);
  normalize(final_norm, x, normed, context);
  return normed;
}

MatrixView Transformer::Impl::block_pass(std::int64_t index, MatrixView x, KvCache* cache,
                                         ops::Context& context) {
  const Block& block = blocks[static_cast<std::size_t>(index)];
  Arena& here = arena(devices[static_cast<std::size_t>(index)]);
  if (x.device != here.device) {
    const MatrixView from = x;
    x = here.get(here.stream, activations, x.rows, config.hidden);
    ops::copy(from, x, context);
  }
  const MatrixView normed = here.get(here.other, activations, x.rows, config.hidden);
  const auto input = [&](const Norm& norm) {
    if (!config.norm_first || norm.weight.empty()) return x;
    normalize(norm, x, normed, context);
    return normed;
  };
  const auto add = [&](MatrixView part, const Norm& post_norm, const Norm& norm) {
    if (!post_norm.weight.empty()) normalize(post_norm, part, part, context);
    ops::add_in_place(x, part, context);
    located(x, "the residual stream", context);
    if (!config.norm_first) normalize(norm, x, x, context);
  };
  add(attend(index, input(block.attention_norm), cache, context), block.attention_post_norm,
      block.attention_norm);
  const MatrixView inner = input(block.mlp_norm);
  add(block.router != nullptr ? mixture(block, inner, context) : mlp(block, inner, context),
      block.mlp_post_norm, block.mlp_norm);
  return x;
}

MatrixView Transformer::Impl::embed_tokens(ops::Context& context) {
  const BatchTables& tables = current->tables;
  Arena& here = arena(devices.front());
  const MatrixView x = here.get(here.stream, activations, tables.rows(), config.hidden);
  lookup(*token_table, tables.ids(token_table->device()), x, context);
  if (config.embedding_scale != 1.0F) ops::scale(x, config.embedding_scale, context);
  const MatrixView part = here.get(here.projected, activations, tables.rows(), config.hidden);
  if (type_table != nullptr) {
    lookup(*type_table, tables.zeros(type_table->device()), part, context);
    ops::add_in_place(x, part, context);
  }
  if (position_table != nullptr) {
    lookup(*position_table, tables.positions(position_table->device()), part, context);
    ops::add_in_place(x, part, context);
  }
  if (!embedding_norm.weight.empty()) normalize(embedding_norm, x, x, context);
  return x;
}

MatrixView Transformer::Impl::attend(std::int64_t index, MatrixView x, KvCache* cache,
                                     ops::Context& context) {
  const Block& block = blocks[static_cast<std::size_t>(index)];
  Arena& here = arena(x.device);
  const std::int64_t kv_width = config.kv_heads * config.head_dim;
  const std::int64_t width = config.heads * config.head_dim;
  const MatrixView q = here.get(here.query, activations, x.rows, width);
  const MatrixView k = here.get(here.key, activations, x.rows, kv_width);
  const MatrixView v = here.get(here.value, activations, x.rows, kv_width);
  linear_all({block.query, block.key, block.value}, x, {q, k, v}, context);
  if (activations == tensor::DType::f16) {
    // A score of -infinity is a weight of 0, so an overflow here need not reach the stream.
    note_overflow(q, context);
    note_overflow(k, context);
  }
  position_heads(index, block.query_norm, q, context);
  position_heads(index, block.key_norm, k, context);
  const ops::Sequences sequences = current->tables.sequences(x.device);
  ops::CacheView cached;
  if (cache != nullptr) {
    cached = cache->view(index);
    ops::append_to_cache(k, v, config.head_dim, sequences, cached, context);
  }
  const MatrixView out = here.get(here.attended, activations, x.rows, width);
  ops::attention(
      {.q = q,
       .out = out,
       .k = k,
       .v = v,
       .cache = cache != nullptr ? &cached : nullptr,
       .heads = config.heads,
       .kv_heads = config.kv_heads,
       .head_dim = config.head_dim,
       .scale = config.attention_scale,
       .soft_cap = config.attention_soft_cap,
       .causal = config.causal,
       .window = config.windows.empty() ? 0 : config.windows[static_cast<std::size_t>(index)],
       .sinks = block.sinks,
       .sequences = sequences},
      context);
  located(out, "the attention before " + block.attention_output->name(), context);
  const MatrixView result = here.get(here.projected, activations, x.rows, config.hidden);
  linear(*block.attention_output, out, result, context);
  return result;
}

void Transformer::Impl::position_heads(std::int64_t block, const Norm& norm, MatrixView x,
                                       ops::Context& context) {
  if (!norm.weight.empty()) {
    const std::int64_t width = config.head_dim;
    const MatrixView heads{x.data, x.type, x.rows * x.cols / width, width, width, x.device};
    normalize(norm, heads, heads, context);
  }
  if (config.position != PositionKind::rope) return;
  const bool local = config.local_rope && !config.windows.empty() &&
                     config.windows[static_cast<std::size_t>(block)] > 0;
  const Arena& here = arena(x.device);
  ops::rope(x, current->tables.positions(x.device),
            (local ? here.local_frequencies : here.inverse_frequencies).view(), config.head_dim,
            context, (local ? *config.local_rope : config.rope).magnitude);
}

MatrixView Transformer::Impl::mlp(const Block& block, MatrixView x, ops::Context& context) {
  Arena& here = arena(x.device);
  const MatrixView wide = here.get(here.up, activations, x.rows, config.intermediate);
  MatrixView inner = wide;
  if (block.gate != nullptr) {
    inner = here.get(here.gate, activations, x.rows, config.intermediate);
    linear_all({block.up, block.gate}, x, {wide, inner}, context);
    ops::gated_product(config.activation, inner, wide, context);
  } else {
    linear(*block.up, x, wide, context);
    ops::apply(config.activation, wide, context);
  }
  located(inner, "the activation before " + block.down->name(), context);
  const MatrixView result = here.get(here.projected, activations, x.rows, config.hidden);
  linear(*block.down, inner, result, context);
  return result;
}

void Transformer::Impl::normalize(const Norm& norm, MatrixView x, MatrixView y,
                                  ops::Context& context) const {
  if (config.norm == NormKind::rms) {
    ops::rms_norm(x, norm.weight, config.norm_eps, y, context);
  } else {
    ops::layer_norm(x, norm.weight, norm.bias, config.norm_eps, y, context);
  }
}

void Transformer::Impl::linear(const ops::Linear& layer, MatrixView x, MatrixView y,
                               ops::Context& context) {
  if (layer.device() == x.device && layer.device() == y.device) {
    layer.run(x, y, context);
  } else {
    Arena& there = arena(layer.device());
    const MatrixView in = there.get(there.arrived, x.type, x.rows, x.cols);
    const MatrixView out = there.get(there.leaving, y.type, y.rows, y.cols);
    ops::copy(x, in, context);
    layer.run(in, out, context);
    ops::copy(out, y, context);
  }
  located(y, layer.name(), context);
}

void Transformer::Impl::linear_all(std::initializer_list<const ops::Linear*> layers, MatrixView x,
                                   std::initializer_list<MatrixView> y, ops::Context& context) {
  const bool here = std::ranges::all_of(
      layers, [&](const ops::Linear* layer) { return layer->device() == x.device; });
  if (here) {
    ops::Linear::run_all({layers.begin(), layers.size()}, x, {y.begin(), y.size()}, context);
  }
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (here) {
      located(y.begin()[i], layers.begin()[i]->name(), context);
    } else {
      linear(*layers.begin()[i], x, y.begin()[i], context);
    }
  }
}

void Transformer::Impl::lookup(const ops::Linear& table, const ops::Indices& rows, MatrixView y,
                               ops::Context& context) {
  if (table.device() == y.device) {
    table.lookup(rows, y, context);
  } else {
    Arena& there = arena(table.device());
    const MatrixView out = there.get(there.leaving, y.type, y.rows, y.cols);
    table.lookup(rows, out, context);
    ops::copy(out, y, context);
  }
  located(y, table.name(), context);
}

void Transformer::Impl::note_overflow(MatrixView y, ops::Context& context) {
  ops::note_non_finite(y, overflowed, context);
}

void Transformer::Impl::located(MatrixView y, std::string_view layer, ops::Context& context) const {
  if (!locating || ops::all_finite(y, context)) return;
  fail(ErrorCode::numeric, "NaN or infinity in {} activations: first seen in the output of {}{}",
       tensor::name_of(activations), layer,
       activations == tensor::DType::f16 ? "; fp16 ends at 65504, bf16 does not" : "");
}

}  // namespace assay::models
