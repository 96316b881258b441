# Copyright the assay authors
# SPDX-License-Identifier: Apache-2.0
"""A small gpt-oss checkpoint in MXFP4, and what transformers computes with it.

transformers packs with kernels that need a GPU, so the codes are chosen by the package `gguf` and put
into the published layout here; transformers reads that layout back (dequantize=True), in fp32, and its
values are held against those that `gguf` decodes.
"""

import json
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf.quants import dequantize, quantize
from safetensors.torch import load_file, save_file
from transformers import GptOssConfig, GptOssForCausalLM, Mxfp4Config

from golden_common import check, seed_everything, write_golden
from golden_quantized_models import logits_of, tidy
from golden_random_models import LLAMA_GAINS, SPECIAL, clear_greedy, randomize

NAME = "gpt_oss_mxfp4"
BLOCK, PAIRS = 32, 16
KIND = gguf.GGMLQuantizationType.MXFP4
PROMPT = 17


def small_gpt_oss() -> GptOssForCausalLM:
    """Rows of two and three blocks; two of three experts a token."""
    return GptOssForCausalLM(GptOssConfig(
        vocab_size=97, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=16, max_position_embeddings=256,
        num_local_experts=3, num_experts_per_tok=2, rms_norm_eps=1e-5,
        rope_parameters={
            "rope_type": "yarn", "rope_theta": 10000.0, "factor": 8.0, "beta_fast": 8.0,
            "beta_slow": 1.0, "truncate": False, "original_max_position_embeddings": 32},
        sliding_window=27, tie_word_embeddings=False, **SPECIAL))


def packed(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """[experts, in, out] -> blocks [experts, out, in / 32, 16], scales and values [experts, in, out]."""
    rows = weight.transpose(1, 2).float().contiguous().numpy()
    coded = quantize(rows.reshape(-1, rows.shape[2]), KIND)
    values = dequantize(coded, KIND).reshape(rows.shape)
    blocks = coded.reshape(*rows.shape[:2], rows.shape[2] // BLOCK, 1 + PAIRS)
    # The format's byte j holds weights j and j + 16; the checkpoint's holds weights 2j and 2j + 1.
    codes = np.concatenate([blocks[..., 1:] & 15, blocks[..., 1:] >> 4], axis=-1)
    pairs = codes[..., 0::2] | codes[..., 1::2] << 4
    return (torch.from_numpy(pairs.copy()), torch.from_numpy(blocks[..., 0].copy()),
            torch.from_numpy(values).transpose(1, 2).contiguous())


def pack_experts(folder: Path) -> dict[str, torch.Tensor]:
    """Replaces the experts' matrices in the folder's checkpoint; their decoded values by name."""
    tensors, decoded = {}, {}
    for name, value in load_file(folder / "model.safetensors").items():
        if name.endswith(("experts.gate_up_proj", "experts.down_proj")):
            blocks, scales, decoded[name] = packed(value)
            tensors[name + "_blocks"], tensors[name + "_scales"] = blocks, scales
        else:
            tensors[name] = value
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    # As the published checkpoints have it.
    config["quantization_config"] = {
        "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router",
                                   "model.embed_tokens", "lm_head"], "quant_method": "mxfp4"}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    return decoded


@torch.no_grad()
def make_mxfp4(out: Path, _work: Path) -> None:
    seed_everything(NAME)
    folder = out / "models" / NAME
    plain = small_gpt_oss()
    randomize(plain, LLAMA_GAINS)
    plain.to(torch.bfloat16).save_pretrained(folder)
    decoded = pack_experts(folder)
    tidy(folder)
    model = GptOssForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager",
        quantization_config=Mxfp4Config(dequantize=True)).eval()
    parameters = dict(model.named_parameters())
    for name, values in decoded.items():
        check(parameters[name].dtype == torch.float32, f"{NAME}: {name} is {parameters[name].dtype}")
        check(torch.equal(parameters[name], values), f"{NAME}: {name} is decoded otherwise")
    tensors = logits_of(model, NAME)
    prompt, tokens, margin = clear_greedy(model, PROMPT, NAME)
    tensors |= {"prompt": prompt, "tokens": tokens}
    tensors |= {f"decoded.{name}": parameters[f"model.layers.1.mlp.experts.{name}"].transpose(1, 2)
                for name in ("gate_up_proj", "down_proj")}
    write_golden(folder / "golden.safetensors", tensors, {"greedy_margin": f"{margin:.2e}"})
