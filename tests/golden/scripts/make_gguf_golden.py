#!/usr/bin/env python3
# Copyright the assay authors
# SPDX-License-Identifier: Apache-2.0
"""Writes random models of tests/golden/models once more as GGUF files, with the package `gguf`.

    make_gguf_golden.py --golden tests/golden [--only NAME ...]

What is written follows the format's own tables (gguf.MODEL_TENSORS, gguf.Keys) and what llama.cpp's
converter does to the weights of each architecture: rows of attn_q and attn_k of llama take turns, 1 is
added to Gemma's norms, the fused projections of GPT-2 are transposed, those of gpt-oss's experts are
taken apart. Matrices keep the type of the checkpoint, vectors are F32.
"""

import argparse
import json
import math
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.torch import load_file

BLOCK = "model.layers.{i}."
# Hugging Face module -> tensor of the format, for the architectures that are built like Llama.
LIKE_LLAMA = {
    "model.embed_tokens": "TOKEN_EMBD", "model.norm": "OUTPUT_NORM", "lm_head": "OUTPUT",
    BLOCK + "input_layernorm": "ATTN_NORM", BLOCK + "self_attn.q_proj": "ATTN_Q",
    BLOCK + "self_attn.k_proj": "ATTN_K", BLOCK + "self_attn.v_proj": "ATTN_V",
    BLOCK + "self_attn.o_proj": "ATTN_OUT", BLOCK + "self_attn.q_norm": "ATTN_Q_NORM",
    BLOCK + "self_attn.k_norm": "ATTN_K_NORM", BLOCK + "self_attn.qkv_proj": "ATTN_QKV",
    BLOCK + "post_attention_layernorm": "FFN_NORM", BLOCK + "mlp.gate_proj": "FFN_GATE",
    BLOCK + "mlp.up_proj": "FFN_UP", BLOCK + "mlp.down_proj": "FFN_DOWN",
    BLOCK + "mlp.gate_up_proj": "FFN_UP"}
LIKE_GEMMA = LIKE_LLAMA | {
    BLOCK + "post_attention_layernorm": "ATTN_POST_NORM",
    BLOCK + "pre_feedforward_layernorm": "FFN_PRE_NORM",
    BLOCK + "post_feedforward_layernorm": "FFN_POST_NORM"}
LIKE_GPT_OSS = LIKE_LLAMA | {
    BLOCK + "post_attention_layernorm": "ATTN_POST_NORM", BLOCK + "self_attn.sinks": "ATTN_SINKS",
    BLOCK + "mlp.router": "FFN_GATE_INP", BLOCK + "mlp.experts.gate": "FFN_GATE_EXP",
    BLOCK + "mlp.experts.up": "FFN_UP_EXP", BLOCK + "mlp.experts.down": "FFN_DOWN_EXP"}
GPT2 = {
    "transformer.wte": "TOKEN_EMBD", "transformer.wpe": "POS_EMBD",
    "transformer.ln_f": "OUTPUT_NORM", "transformer.h.{i}.ln_1": "ATTN_NORM",
    "transformer.h.{i}.attn.c_attn": "ATTN_QKV", "transformer.h.{i}.attn.c_proj": "ATTN_OUT",
    "transformer.h.{i}.ln_2": "FFN_NORM", "transformer.h.{i}.mlp.c_fc": "FFN_UP",
    "transformer.h.{i}.mlp.c_proj": "FFN_DOWN"}
LAYER = "encoder.layer.{i}."
BERT = {
    "embeddings.word_embeddings": "TOKEN_EMBD", "embeddings.token_type_embeddings": "TOKEN_TYPES",
    "embeddings.position_embeddings": "POS_EMBD", "embeddings.LayerNorm": "TOKEN_EMBD_NORM",
    LAYER + "attention.self.query": "ATTN_Q", LAYER + "attention.self.key": "ATTN_K",
    LAYER + "attention.self.value": "ATTN_V", LAYER + "attention.output.dense": "ATTN_OUT",
    LAYER + "attention.output.LayerNorm": "ATTN_OUT_NORM", LAYER + "intermediate.dense": "FFN_UP",
    LAYER + "output.dense": "FFN_DOWN", LAYER + "output.LayerNorm": "LAYER_OUT_NORM"}

# name of the golden model: (architecture, modules)
MODELS = {
    "mistral": ("llama", LIKE_LLAMA), "llama_rope3": ("llama", LIKE_LLAMA),
    "qwen2": ("qwen2", LIKE_LLAMA), "qwen2_yarn": ("qwen2", LIKE_LLAMA),
    "qwen3": ("qwen3", LIKE_LLAMA), "gemma2": ("gemma2", LIKE_GEMMA),
    "gemma3": ("gemma3", LIKE_GEMMA), "phi3": ("phi3", LIKE_LLAMA), "gpt2": ("gpt2", GPT2),
    "gpt_oss": ("gpt-oss", LIKE_GPT_OSS), "bert_embedding": ("bert", BERT)}


def interleave(rows: torch.Tensor, heads: int) -> torch.Tensor:
    """The converter's order for llama: the halves of a head take turns."""
    shape = (heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return rows.reshape(shape).transpose(1, 2).reshape(rows.shape)


def experts_apart(tensors: dict) -> dict:
    """gate_up_proj [experts, in, 2 out] with columns by turns -> gate and up [experts, out, in]."""
    result = {}
    for name, value in tensors.items():
        if name.endswith("gate_up_proj_bias"):
            stem = name.removesuffix("gate_up_proj_bias")
            result[stem + "gate.bias"], result[stem + "up.bias"] = value[:, ::2], value[:, 1::2]
        elif name.endswith("experts.gate_up_proj"):
            stem = name.removesuffix("gate_up_proj")
            rows = value.transpose(1, 2)
            result[stem + "gate.weight"], result[stem + "up.weight"] = rows[:, ::2], rows[:, 1::2]
        elif name.endswith("experts.down_proj_bias"):
            result[name.removesuffix("_proj_bias") + ".bias"] = value
        elif name.endswith("experts.down_proj"):
            result[name.removesuffix("_proj") + ".weight"] = value.transpose(1, 2)
        elif name.endswith("sinks"):
            result[name + ".weight"] = value
        else:
            result[name] = value
    return result


def converted(name: str, module: str, value: torch.Tensor, architecture: str, config: dict):
    if architecture == "llama" and module.endswith(("q_proj", "k_proj")):
        kind = "num_attention_heads" if module.endswith("q_proj") else "num_key_value_heads"
        return interleave(value, config[kind])
    if architecture == "gpt2" and value.dim() == 2 and ".h." in module:
        return value.T
    if architecture.startswith("gemma") and "norm" in module:
        return value.float() + 1.0
    return value


def tensor_name(module: str, modules: dict, architecture: str) -> str | None:
    parts = module.split(".")
    block = next((int(part) for part in parts if part.isdigit()), -1)
    pattern = ".".join("{i}" if part.isdigit() else part for part in parts)
    if pattern not in modules:
        return None
    kind = gguf.MODEL_TENSOR[modules[pattern]]
    arch = next(a for a, n in gguf.MODEL_ARCH_NAMES.items() if n == architecture)
    if kind not in gguf.MODEL_TENSORS[arch]:
        raise SystemExit(f"make_gguf_golden: {architecture} has no {modules[pattern]}")
    return gguf.TENSOR_NAMES[kind].format(bid=block)


def add_tensor(writer: gguf.GGUFWriter, name: str, value: torch.Tensor) -> None:
    vector = value.dim() == 1 or name.endswith(".bias")
    array = np.ascontiguousarray(value.float().numpy())
    if vector or value.dtype == torch.float32:
        writer.add_tensor(name, array)
    elif value.dtype == torch.float16:
        writer.add_tensor(name, array.astype(np.float16))
    else:
        kind = gguf.GGMLQuantizationType.BF16
        writer.add_tensor(name, gguf.quantize(array, kind), raw_dtype=kind)


def first(config: dict, *keys: str):
    return next(config[key] for key in keys if config.get(key) is not None)


def add_rope(writer: gguf.GGUFWriter, config: dict, head: int) -> None:
    rope = config.get("rope_parameters") or {}
    if "full_attention" in rope:
        writer.add_rope_freq_base_swa(rope["sliding_attention"]["rope_theta"])
        rope = rope["full_attention"]
    scaling = config.get("rope_scaling") or rope
    writer.add_rope_freq_base(rope.get("rope_theta") or config["rope_theta"])
    writer.add_rope_dimension_count(int(head * rope.get("partial_rotary_factor", 1.0)))
    kind = scaling.get("rope_type", "default")
    if kind == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(scaling["factor"])
    elif kind == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(scaling["factor"])
        writer.add_rope_scaling_orig_ctx_len(scaling["original_max_position_embeddings"])
        if "beta_fast" in scaling:
            writer.add_rope_scaling_yarn_beta_fast(scaling["beta_fast"])
            writer.add_rope_scaling_yarn_beta_slow(scaling["beta_slow"])
    elif kind == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_divisors(scaling, config, head))


def llama3_divisors(scaling: dict, config: dict, head: int) -> np.ndarray:
    """What each frequency is divided by: the tensor of the converter."""
    divisors = []
    for i in range(0, head, 2):
        wave = 2 * math.pi * config["rope_theta"] ** (i / head)
        turns = scaling["original_max_position_embeddings"] / wave
        low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
        share = min(max((turns - low) / (high - low), 0.0), 1.0)
        divisors.append(1.0 / ((1.0 - share) / scaling["factor"] + share))
    return np.array(divisors, dtype=np.float32)


def add_metadata(writer: gguf.GGUFWriter, architecture: str, config: dict) -> None:
    hidden = first(config, "hidden_size", "n_embd")
    heads = first(config, "num_attention_heads", "n_head")
    head = config.get("head_dim") or hidden // heads
    writer.add_context_length(first(config, "max_position_embeddings", "n_positions"))
    writer.add_embedding_length(hidden)
    writer.add_block_count(first(config, "num_hidden_layers", "n_layer"))
    writer.add_feed_forward_length(config.get("intermediate_size") or 4 * hidden)
    writer.add_head_count(heads)
    writer.add_vocab_size(config["vocab_size"])
    if "rms_norm_eps" in config:
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    else:
        writer.add_layer_norm_eps(first(config, "layer_norm_eps", "layer_norm_epsilon"))
    if architecture in ("gpt2", "bert"):
        if architecture == "bert":
            writer.add_causal_attention(False)
            writer.add_pooling_type(gguf.PoolingType.MEAN)
            writer.add_token_type_count(config["type_vocab_size"])
        return
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(head)
    writer.add_value_length(head)
    add_rope(writer, config, head)
    if config.get("sliding_window") and config.get("use_sliding_window", True):
        writer.add_sliding_window(config["sliding_window"])
    if architecture == "gemma3":
        writer.add_uint32("gemma3.attention.sliding_window_pattern", 2)
    if "query_pre_attn_scalar" in config:
        writer.add_attention_scale(config["query_pre_attn_scalar"] ** -0.5)
    if config.get("attn_logit_softcapping"):
        writer.add_attn_logit_softcapping(config["attn_logit_softcapping"])
    if config.get("final_logit_softcapping"):
        writer.add_final_logit_softcapping(config["final_logit_softcapping"])
    if "num_local_experts" in config:
        writer.add_expert_count(config["num_local_experts"])
        writer.add_expert_used_count(config["num_experts_per_tok"])
        writer.add_expert_feed_forward_length(config["intermediate_size"])


def write(folder: Path, name: str, target: Path) -> None:
    architecture, modules = MODELS[name]
    config = json.loads((folder / name / "config.json").read_text())
    writer = gguf.GGUFWriter(target, architecture)
    add_metadata(writer, architecture, config)
    left = []
    for stored, value in experts_apart(load_file(folder / name / "model.safetensors")).items():
        module, _, suffix = stored.rpartition(".")
        tensor = tensor_name(module, modules, architecture)
        if tensor is None:
            left.append(stored)
        else:
            value = converted(name, module, value, architecture, config)
            add_tensor(writer, f"{tensor}.{suffix}", value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    print(f"{target}: {target.stat().st_size / 1024:.0f} KiB{', without ' if left else ''}"
          f"{', '.join(left)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--golden", type=Path, required=True, help="the folder tests/golden")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=list(MODELS))
    options = parser.parse_args()
    (options.golden / "gguf").mkdir(exist_ok=True)
    for name in options.only:
        write(options.golden / "models", name, options.golden / "gguf" / f"{name}.gguf")


if __name__ == "__main__":
    main()
