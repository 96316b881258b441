#pragma once

#include "engine/support.h"

namespace assay::testing {

struct WideShape {
  std::int64_t hidden = 128;  ///< of 4 heads, and 2 of keys and values
  std::int64_t inner = 192;
  std::int64_t vocabulary = 131;
};

/// A random llama of two blocks whose widths are whole blocks of every encoding. The golden ones
/// are narrower, and 4-bit kernels of devices want 64 columns.
inline std::string write_wide_model(const ScratchFolder& folder, const WideShape& shape = {}) {
  const std::int64_t key_value = shape.hidden / 2;
  Json config = golden_config("llama_untied");
  config.update({{"hidden_size", shape.hidden},
                 {"intermediate_size", shape.inner},
                 {"num_attention_heads", 4},
                 {"num_key_value_heads", 2},
                 {"head_dim", shape.hidden / 4},
                 {"vocab_size", shape.vocabulary}});
  base::Random random(11);
  RawTensors tensors;
  const auto add = [&](const std::string& name, std::int64_t rows, std::int64_t cols) {
    std::vector<float> values(static_cast<std::size_t>(rows * cols));
    const double deviation = cols == 1 ? 0.1 : 1.0 / std::sqrt(double(cols));
    for (float& v : values) v = float(deviation * random.normal() + (cols == 1 ? 1.0 : 0.0));
    tensors[name + ".weight"] =
        floats(cols == 1 ? std::vector<std::int64_t>{rows} : std::vector{rows, cols}, values);
  };
  add("model.embed_tokens", shape.vocabulary, shape.hidden);
  add("lm_head", shape.vocabulary, shape.hidden);
  add("model.norm", shape.hidden, 1);
  for (int i = 0; i < 2; ++i) {
    const std::string block = fmt::format("model.layers.{}.", i);
    add(block + "input_layernorm", shape.hidden, 1);
    add(block + "post_attention_layernorm", shape.hidden, 1);
    add(block + "self_attn.q_proj", shape.hidden, shape.hidden);
    add(block + "self_attn.k_proj", key_value, shape.hidden);
    add(block + "self_attn.v_proj", key_value, shape.hidden);
    add(block + "self_attn.o_proj", shape.hidden, shape.hidden);
    add(block + "mlp.gate_proj", shape.inner, shape.hidden);
    add(block + "mlp.up_proj", shape.inner, shape.hidden);
    add(block + "mlp.down_proj", shape.hidden, shape.inner);
  }
  return std::filesystem::absolute(write_model(folder, config, tensors)).string();
}

/// Ids of its vocabulary.
inline Tokens some_tokens(std::int64_t count) {
  Tokens tokens;
  for (std::int64_t i = 0; i < count; ++i) tokens.push_back(static_cast<TokenId>(i * 37 % 131));
  return tokens;
}

}  // namespace assay::testing
