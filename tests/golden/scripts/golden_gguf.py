# Copyright the assay authors
# SPDX-License-Identifier: Apache-2.0
"""A Llama-family GGUF file as a transformers model in fp32, and its tokenizer.

Written against the file format, not with transformers' own GGUF reader, so that the reference does
not share that reader's choices (numerics.md, "GGUF").
"""

from pathlib import Path

import gguf
import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

from golden_common import check

BLOCK_NAMES = {
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
TOP_NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def hugging_face_name(name: str) -> str:
    parts = name.split(".")
    if parts[0] == "blk":
        return f"model.layers.{parts[1]}.{BLOCK_NAMES[parts[2]]}.{parts[3]}"
    return f"{TOP_NAMES[parts[0]]}.{parts[1]}"


def undo_permutation(rows: np.ndarray, heads: int) -> np.ndarray:
    """The converter interleaves the two halves of each head of q and k; put them back."""
    half = rows.shape[0] // heads // 2
    return rows.reshape(heads, half, 2, -1).swapaxes(1, 2).reshape(rows.shape)


class GgufLlama:
    def __init__(self, path: Path):
        self.reader = gguf.GGUFReader(str(path))
        check(self.value("general.architecture") == "llama", f"{path} is not a Llama GGUF")

    def value(self, key: str):
        return self.reader.fields[key].contents()

    def id_of(self, key: str) -> int | None:
        """Of a special token; none in files without a tokenizer."""
        return self.value(key) if key in self.reader.fields else None

    def config(self, tied: bool) -> LlamaConfig:
        return LlamaConfig(
            vocab_size=self.value("llama.vocab_size"),
            hidden_size=self.value("llama.embedding_length"),
            intermediate_size=self.value("llama.feed_forward_length"),
            num_hidden_layers=self.value("llama.block_count"),
            num_attention_heads=self.value("llama.attention.head_count"),
            num_key_value_heads=self.value("llama.attention.head_count_kv"),
            max_position_embeddings=self.value("llama.context_length"),
            rms_norm_eps=self.value("llama.attention.layer_norm_rms_epsilon"),
            rope_parameters={"rope_type": "default",
                             "rope_theta": self.value("llama.rope.freq_base")},
            bos_token_id=self.id_of("tokenizer.ggml.bos_token_id"),
            eos_token_id=self.id_of("tokenizer.ggml.eos_token_id"),
            tie_word_embeddings=tied, attn_implementation="eager", dtype=torch.float32)

    def state(self) -> dict[str, torch.Tensor]:
        heads = {"attn_q": self.value("llama.attention.head_count"),
                 "attn_k": self.value("llama.attention.head_count_kv")}
        state = {}
        for tensor in self.reader.tensors:
            weight = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
            for part, count in heads.items():
                if f".{part}." in tensor.name:
                    weight = undo_permutation(weight, count)
            state[hugging_face_name(tensor.name)] = torch.from_numpy(np.ascontiguousarray(weight))
        return state

    def model(self) -> LlamaForCausalLM:
        state = self.state()
        tied = "lm_head.weight" not in state
        model = LlamaForCausalLM(self.config(tied)).to(torch.float32)
        missing, unexpected = model.load_state_dict(state, strict=False)
        allowed = ["lm_head.weight"] if tied else []
        check(missing == allowed or not missing, f"GGUF lacks {missing}")
        check(not unexpected, f"GGUF has unknown tensors {unexpected}")
        if tied:
            model.tie_weights()
        return model.eval()

    def tokenizer(self) -> Tokenizer:
        """tokenizer.ggml.pre = smollm: single digits, then the byte-level pattern of GPT-2."""
        check(self.value("tokenizer.ggml.pre") == "smollm", "unknown tokenizer.ggml.pre")
        pieces = self.value("tokenizer.ggml.tokens")
        merges = [tuple(m.split(" ")) for m in self.value("tokenizer.ggml.merges")]
        tokenizer = Tokenizer(models.BPE(vocab={p: i for i, p in enumerate(pieces)},
                                         merges=merges))
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
        tokenizer.decoder = decoders.ByteLevel()
        control = [p for p, t in zip(pieces, self.value("tokenizer.ggml.token_type"))
                   if t == gguf.TokenType.CONTROL]
        tokenizer.add_special_tokens([AddedToken(p, special=True, normalized=False)
                                      for p in control])
        return tokenizer
