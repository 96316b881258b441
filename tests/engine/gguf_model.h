#pragma once

#include <string>

#include "engine/support.h"
#include "engine/write_gguf.h"
#include "precision/sample_weight.h"

namespace assay::testing {

/// Rows as GGUF's converter permutes those of attn_q and attn_k: within a head of 2m rows, row
/// h * m + j goes to place 2j + h.
inline std::vector<float> interleaved(const std::vector<float>& values, std::int64_t cols,
                                      std::int64_t head_dim) {
  std::vector<float> result(values.size());
  const std::int64_t rows = std::ssize(values) / cols;
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t in_head = r % head_dim;
    const std::int64_t to = r - in_head + in_head % (head_dim / 2) * 2 + in_head / (head_dim / 2);
    std::copy_n(values.begin() + r * cols, cols, result.begin() + to * cols);
  }
  return result;
}

/// A Llama of the golden models as a GGUF file: vectors in f32, matrices in `encoding`, or in what
/// `table` says for the token table.
struct GgufModel {
  std::shared_ptr<const engine::ModelSource> source;
  precision::Encoding encoding = precision::Encoding::f32;
  precision::Encoding table = precision::Encoding::f32;

  explicit GgufModel(const std::filesystem::path& folder)
      : source(engine::ModelSource::open(folder)) {}
  static GgufModel golden(const std::string& name) { return GgufModel(golden_model(name)); }

  [[nodiscard]] std::vector<float> values(const std::string& stored) const {
    const auto tensor = source->tensors().encoded(*source->tensors().find(stored));
    std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
    for (std::int64_t r = 0; r < tensor.rows; ++r) {
      precision::info(tensor.encoding)
          .decode_row(tensor, r, std::span(values).subspan(r * tensor.cols, tensor.cols));
    }
    return values;
  }

  static std::string gguf_name(std::string role, const std::string& suffix = ".weight") {
    static const std::vector<std::pair<std::string, std::string>> kNames = {
        {"blocks.", "blk."},           {"attention.norm", "attn_norm"},
        {"attention.query", "attn_q"}, {"attention.key", "attn_k"},
        {"attention.value", "attn_v"}, {"attention.output", "attn_output"},
        {"mlp.norm", "ffn_norm"},      {"mlp.gate", "ffn_gate"},
        {"mlp.up", "ffn_up"},          {"mlp.down", "ffn_down"},
        {"final_norm", "output_norm"}, {"embeddings.token", "token_embd"},
        {"head.output", "output"}};
    for (const auto& [from, to] : kNames) {
      const std::size_t at = role.find(from);
      if (at != std::string::npos) role.replace(at, from.size(), to);
    }
    return role + suffix;
  }

  [[nodiscard]] GgufWriter header() const {
    const models::ModelConfig& c = source->config();
    const auto u32 = [](std::int64_t n) { return static_cast<std::uint32_t>(n); };
    GgufWriter file;
    file.text("general.architecture", "llama");
    file.integer("llama.context_length", u32(c.max_positions));
    file.integer("llama.embedding_length", u32(c.hidden));
    file.integer("llama.block_count", u32(c.blocks));
    file.integer("llama.feed_forward_length", u32(c.intermediate));
    file.integer("llama.attention.head_count", u32(c.heads));
    file.integer("llama.attention.head_count_kv", u32(c.kv_heads));
    file.integer("llama.attention.key_length", u32(c.head_dim));
    file.integer("llama.attention.value_length", u32(c.head_dim));
    file.integer("llama.rope.dimension_count", u32(c.head_dim));
    file.integer("llama.vocab_size", u32(c.vocabulary));
    file.number("llama.rope.freq_base", c.rope.theta);
    file.number("llama.attention.layer_norm_rms_epsilon", c.norm_eps);
    return file;
  }

  [[nodiscard]] std::string bytes(GgufWriter file) const {
    for (const models::WeightSpec& spec : source->weights().weights) {
      if (!spec.layer.tied_to.empty()) continue;
      const std::int64_t head = source->config().head_dim;
      const bool permuted = spec.role.ends_with("query") || spec.role.ends_with("key");
      std::vector<float> plain = values(spec.stored);
      const std::int64_t rows = spec.matrix ? spec.layer.rows : 1;
      const std::int64_t cols = std::ssize(plain) / rows;
      if (permuted) plain = interleaved(plain, cols, head);
      const auto as = !spec.matrix        ? precision::Encoding::f32
                      : spec.layer.lookup ? table
                                          : encoding;
      // What has no encoder gets random blocks.
      const auto encode = precision::info(as).encode;
      file.tensor(gguf_name(spec.role), spec.matrix ? rows : 0,
                  encode != nullptr ? encode(plain, rows, cols)
                                    : precision::sample_weight(as, rows, cols, 7));
      if (spec.bias.empty()) continue;
      std::vector<float> bias = values(spec.bias);
      if (permuted) bias = interleaved(bias, 1, head);
      file.tensor(gguf_name(spec.role, ".bias"), 0,
                  precision::info(precision::Encoding::f32).encode(bias, 1, std::ssize(bias)));
    }
    return file.bytes();
  }
  [[nodiscard]] std::string bytes() const { return bytes(header()); }
};

}  // namespace assay::testing
