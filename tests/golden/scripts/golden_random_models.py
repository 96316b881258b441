# Copyright the assay authors
# SPDX-License-Identifier: Apache-2.0
"""Small random models of every family, and what transformers computes with them in fp32.

The checkpoints are saved first and loaded again, so that the golden values belong to the bytes in
the repository. Sizes avoid multiples of 64 on purpose: remainders are where kernels go wrong.
"""

import json
import math
from pathlib import Path

import torch
from transformers import (BertConfig, BertForSequenceClassification, BertModel, DistilBertConfig,
                          DistilBertForSequenceClassification, Gemma2Config, Gemma2ForCausalLM,
                          Gemma3ForCausalLM, Gemma3TextConfig, GPT2Config, GPT2LMHeadModel,
                          GptOssConfig, GptOssForCausalLM, LlamaConfig, LlamaForCausalLM,
                          MistralConfig, MistralForCausalLM, ModernBertConfig,
                          ModernBertForSequenceClassification, ModernBertModel, Phi3Config, Phi3ForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config,
                          Qwen3ForCausalLM, RobertaConfig, RobertaForSequenceClassification,
                          XLMRobertaConfig, XLMRobertaModel)

from golden_common import check, relative_difference, seed_everything, write_golden

GREEDY_TOKENS = 32
# A token of a greedy golden is kept only where the runner-up is this far behind, relative to
# max|logit|: ten times what two correct fp32 implementations may differ.
GREEDY_MARGIN = 1e-3

LLAMA_LENGTHS = (1, 2, 17, 31, 64, 101)
ENCODER_LENGTHS = (1, 2, 9, 33, 64, 97)
PROMPT_LENGTHS = (1, 5, 23)


def randomize(model: torch.nn.Module, gains: dict[str, float]) -> None:
    """Random weights with the spread of trained ones: norms around 1 and biases are not trivial."""
    for name, parameter in model.named_parameters():
        gain = next((g for part, g in gains.items() if part in name), 1.0)
        with torch.no_grad():
            if parameter.dim() == 1 and name.endswith("weight"):
                # Gemma's norms multiply by 1 + weight.
                center = 0.0 if "gemma" in model.config.model_type else 1.0
                parameter.copy_(center + 0.25 * torch.randn_like(parameter))
            elif parameter.dim() == 1:
                parameter.copy_(0.1 * gain * torch.randn_like(parameter))
            elif "embed" in name or "wte" in name or "wpe" in name:
                parameter.copy_(0.3 * gain * torch.randn_like(parameter))
            else:
                parameter.copy_(gain / math.sqrt(parameter.shape[1]) * torch.randn_like(parameter))


LLAMA_GAINS = {"q_proj": 1.7, "k_proj": 1.7, "qkv_proj": 1.4, "down_proj": 1.5, "lm_head": 2.0,
               "c_attn": 2.2, "c_fc": 1.8, "sinks": 15.0, "router.weight": 3.0,
               "experts.gate_up_proj": 5.0}
# Embeddings are multiplied by sqrt(width), and the head is tied: were they large, a token would
# follow itself for ever.
GEMMA_GAINS = LLAMA_GAINS | {"embed_tokens": 0.2}
BERT_GAINS = {"Wqkv": 1.4, "query": 1.7, "key": 1.7, "q_lin": 1.7, "k_lin": 1.7, "classifier": 2.0}


def llama_tied() -> LlamaForCausalLM:
    """Grouped queries, tied head, default RoPE."""
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=301, hidden_size=64, intermediate_size=200, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=160,
        rms_norm_eps=1e-5, rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=True, bos_token_id=0, eos_token_id=1, pad_token_id=None))


def llama_untied() -> LlamaForCausalLM:
    """Own head, head_dim that is not hidden/heads, other RoPE base and epsilon, three heads."""
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=173, hidden_size=96, intermediate_size=72, num_hidden_layers=2,
        num_attention_heads=3, num_key_value_heads=3, head_dim=20, max_position_embeddings=160,
        rms_norm_eps=1e-3, rope_parameters={"rope_type": "default", "rope_theta": 500000.0},
        tie_word_embeddings=False, bos_token_id=0, eos_token_id=1, pad_token_id=None))


def llama_single_kv() -> LlamaForCausalLM:
    """One key/value head for all queries, three layers, 40 wide."""
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=131, hidden_size=40, intermediate_size=104, num_hidden_layers=3,
        num_attention_heads=5, num_key_value_heads=1, max_position_embeddings=160,
        rms_norm_eps=1e-6, rope_parameters={"rope_type": "default", "rope_theta": 25000.0},
        tie_word_embeddings=False, bos_token_id=0, eos_token_id=1, pad_token_id=None))


SPECIAL = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": None}


def llama_rope3() -> LlamaForCausalLM:
    """Llama 3's scaling of RoPE: of 8 frequencies 1 is kept, 2 are between, 5 are divided."""
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=103, hidden_size=64, intermediate_size=88, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512,
        rms_norm_eps=1e-5, rope_parameters={
            "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 64},
        tie_word_embeddings=True, **SPECIAL))


def llama_linear() -> LlamaForCausalLM:
    """Positions divided by 2.5."""
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=97, hidden_size=48, intermediate_size=88, num_hidden_layers=2,
        num_attention_heads=3, num_key_value_heads=1, max_position_embeddings=400,
        rms_norm_eps=1e-5, rope_parameters={
            "rope_type": "linear", "rope_theta": 10000.0, "factor": 2.5},
        tie_word_embeddings=False, **SPECIAL))


def mistral() -> MistralForCausalLM:
    """A window of 29 positions in every block, head_dim that is not hidden/heads."""
    return MistralForCausalLM(MistralConfig(
        vocab_size=109, hidden_size=64, intermediate_size=104, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=20, max_position_embeddings=160,
        rms_norm_eps=1e-5, rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        sliding_window=29, tie_word_embeddings=False, **SPECIAL))


def qwen2() -> Qwen2ForCausalLM:
    """Biases of query, key and value; no window though the config names its size."""
    return Qwen2ForCausalLM(Qwen2Config(
        vocab_size=107, hidden_size=64, intermediate_size=104, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=160,
        rms_norm_eps=1e-6, rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
        sliding_window=16, use_sliding_window=False, tie_word_embeddings=True, **SPECIAL))


def qwen2_window() -> Qwen2ForCausalLM:
    """A window in the blocks from the second on."""
    return Qwen2ForCausalLM(Qwen2Config(
        vocab_size=101, hidden_size=48, intermediate_size=72, num_hidden_layers=3,
        num_attention_heads=3, num_key_value_heads=3, max_position_embeddings=160,
        rms_norm_eps=1e-6, rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        sliding_window=24, use_sliding_window=True, max_window_layers=1,
        tie_word_embeddings=False, **SPECIAL))


def qwen3() -> Qwen3ForCausalLM:
    """Norms of the heads of query and key, head_dim that is not hidden/heads."""
    return Qwen3ForCausalLM(Qwen3Config(
        vocab_size=113, hidden_size=64, intermediate_size=104, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=20, max_position_embeddings=160,
        rms_norm_eps=1e-6, rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
        tie_word_embeddings=True, **SPECIAL))


def phi3() -> Phi3ForCausalLM:
    """Fused projections, 12 of 20 columns rotated, a window of 37."""
    return Phi3ForCausalLM(Phi3Config(
        vocab_size=103, hidden_size=80, intermediate_size=72, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=160,
        original_max_position_embeddings=160, rms_norm_eps=1e-5, rope_parameters={
            "rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.6},
        sliding_window=37, tie_word_embeddings=False, **SPECIAL))


def gpt2() -> GPT2LMHeadModel:
    """Learned positions, 4 heads of 15, transposed and fused projections, tied head."""
    return GPT2LMHeadModel(GPT2Config(
        vocab_size=103, n_embd=60, n_layer=2, n_head=4, n_positions=160, **SPECIAL))


def gemma2() -> Gemma2ForCausalLM:
    """Soft caps low enough to bend, a window in every other block, norms on both sides."""
    return Gemma2ForCausalLM(Gemma2Config(
        vocab_size=97, hidden_size=64, intermediate_size=72, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=2, head_dim=20, max_position_embeddings=160,
        rms_norm_eps=1e-6, rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        query_pre_attn_scalar=24, attn_logit_softcapping=2.5, final_logit_softcapping=1.5,
        sliding_window=27, tie_word_embeddings=True, **SPECIAL))


def gemma3() -> Gemma3ForCausalLM:
    """Norms of heads, a RoPE of its own in the blocks with a window, the other one scaled."""
    return Gemma3ForCausalLM(Gemma3TextConfig(
        vocab_size=97, hidden_size=64, intermediate_size=72, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=2, head_dim=20, max_position_embeddings=160,
        rms_norm_eps=1e-6, rope_parameters={
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}},
        query_pre_attn_scalar=24, sliding_window=27, sliding_window_pattern=2,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        tie_word_embeddings=True, **SPECIAL))


def gpt_oss() -> GptOssForCausalLM:
    """Two of five experts a token, gates that are clamped, sinks, a window in every other block."""
    return GptOssForCausalLM(GptOssConfig(
        vocab_size=97, hidden_size=64, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=16, max_position_embeddings=256,
        num_local_experts=5, num_experts_per_tok=2, rms_norm_eps=1e-5,
        rope_parameters={
            "rope_type": "yarn", "rope_theta": 10000.0, "factor": 8.0, "beta_fast": 8.0,
            "beta_slow": 1.0, "truncate": False, "original_max_position_embeddings": 32},
        sliding_window=27, tie_word_embeddings=False, **SPECIAL))


def qwen2_yarn() -> Qwen2ForCausalLM:
    """YaRN with its range cut to whole frequencies, as Qwen's long contexts ask for."""
    return Qwen2ForCausalLM(Qwen2Config(
        vocab_size=97, hidden_size=48, intermediate_size=72, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=256,
        rms_norm_eps=1e-6, rope_parameters={
            "rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0,
            "original_max_position_embeddings": 64},
        tie_word_embeddings=True, **SPECIAL))


MODERNBERT = {
    "vocab_size": 113, "hidden_size": 48, "intermediate_size": 40, "num_hidden_layers": 4,
    "num_attention_heads": 3, "max_position_embeddings": 100, "local_attention": 18,
    "norm_eps": 1e-5, "bos_token_id": 0, "eos_token_id": 1, "cls_token_id": 0, "sep_token_id": 1,
    "pad_token_id": 2}


def modernbert_classifier() -> ModernBertForSequenceClassification:
    """Two RoPE bases, nine positions to either side in two of four blocks, a head of its own."""
    return ModernBertForSequenceClassification(ModernBertConfig(
        **MODERNBERT, num_labels=3, id2label={0: "no", 1: "perhaps", 2: "yes"},
        label2id={"no": 0, "perhaps": 1, "yes": 2}, classifier_pooling="mean"))


def modernbert_embedding() -> ModernBertModel:
    return ModernBertModel(ModernBertConfig(**MODERNBERT))


def roberta_classifier() -> RobertaForSequenceClassification:
    """100 positions behind the padding token's."""
    return RobertaForSequenceClassification(RobertaConfig(
        vocab_size=131, hidden_size=48, intermediate_size=88, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=102, type_vocab_size=1,
        layer_norm_eps=1e-5, hidden_act="gelu", pad_token_id=1, num_labels=3,
        id2label={0: "negative", 1: "neutral", 2: "positive"},
        label2id={"negative": 0, "neutral": 1, "positive": 2}))


def xlm_roberta_embedding() -> XLMRobertaModel:
    return XLMRobertaModel(XLMRobertaConfig(
        vocab_size=127, hidden_size=48, intermediate_size=72, num_hidden_layers=2,
        num_attention_heads=3, max_position_embeddings=102, type_vocab_size=1,
        layer_norm_eps=1e-5, hidden_act="gelu", pad_token_id=1))


def bert_embedding() -> BertModel:
    return BertModel(BertConfig(
        vocab_size=211, hidden_size=48, intermediate_size=200, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=100, type_vocab_size=2,
        layer_norm_eps=1e-3, hidden_act="gelu", pad_token_id=0))


def bert_classifier() -> BertForSequenceClassification:
    return BertForSequenceClassification(BertConfig(
        vocab_size=151, hidden_size=96, intermediate_size=88, num_hidden_layers=2,
        num_attention_heads=6, max_position_embeddings=100, type_vocab_size=2,
        layer_norm_eps=1e-12, hidden_act="gelu", pad_token_id=0, num_labels=3,
        id2label={0: "contradiction", 1: "entailment", 2: "neutral"},
        label2id={"contradiction": 0, "entailment": 1, "neutral": 2}))


def distilbert_classifier() -> DistilBertForSequenceClassification:
    return DistilBertForSequenceClassification(DistilBertConfig(
        vocab_size=197, dim=72, hidden_dim=136, n_layers=3, n_heads=6,
        max_position_embeddings=100, activation="gelu", pad_token_id=0, num_labels=2,
        id2label={0: "NEGATIVE", 1: "POSITIVE"}, label2id={"NEGATIVE": 0, "POSITIVE": 1}))


def as_transformers_4(path: Path) -> None:
    """Rewrites config.json to the keys of transformers 4: most files on the hub have these."""
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    if "full_attention" in rope:
        config["global_rope_theta"] = rope["full_attention"]["rope_theta"]
        config["local_rope_theta"] = rope["sliding_attention"]["rope_theta"]
        config["global_attn_every_n_layers"] = 3
    else:
        config["rope_theta"] = rope["rope_theta"]
        scaled = {key: value for key, value in rope.items() if key != "rope_theta"}
        config["rope_scaling"] = scaled if scaled["rope_type"] != "default" else None
    config.pop("layer_types", None)
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.46.3"
    if config.get("head_dim") == config["hidden_size"] // config["num_attention_heads"]:
        del config["head_dim"]  # older files leave it to hidden/heads
    path.write_text(json.dumps(config, indent=2) + "\n")


def save_and_reload(model, stored: torch.dtype, folder: Path, transformers_4: bool):
    folder.mkdir(parents=True, exist_ok=True)
    model.to(stored).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if transformers_4:
        as_transformers_4(folder / "config.json")
    (folder / "model.safetensors").chmod(0o644)
    size = (folder / "model.safetensors").stat().st_size
    check(size < 300 * 1024, f"{folder}: the checkpoint has {size} bytes, more than 300 KiB")
    loaded = type(model).from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    return loaded.eval()


def random_ids(vocabulary: int, length: int) -> torch.Tensor:
    return torch.randint(2, vocabulary, (length,))


def padded(sequences: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(len(s) for s in sequences)
    ids = torch.zeros(len(sequences), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, :len(sequence)] = sequence
        mask[row, :len(sequence)] = 1
    return ids, mask


def greedy(model, prompt: torch.Tensor, count: int) -> tuple[list[int], float]:
    """Cached greedy tokens and the smallest lead of a winner, relative to max|logit|."""
    tokens, cache, step, smallest = [], None, prompt[None], math.inf
    for _ in range(count):
        output = model(step, past_key_values=cache, use_cache=True)
        cache, logits = output.past_key_values, output.logits[0, -1]
        best = logits.topk(2).values
        smallest = min(smallest, ((best[0] - best[1]) / logits.abs().max()).item())
        tokens.append(int(logits.argmax()))
        step = torch.tensor([[tokens[-1]]])
    return tokens, smallest


def check_uncached(model, prompt: torch.Tensor, tokens: list[int], name: str) -> None:
    full = torch.cat([prompt, torch.tensor(tokens)])
    again = model(full[None]).logits[0, len(prompt) - 1:-1].argmax(-1)
    check(again.tolist() == tokens, f"{name}: cached and uncached greedy tokens differ")


def clear_greedy(model, length: int, name: str) -> tuple[torch.Tensor, list[int], float]:
    """The first random prompt whose greedy tokens no rounding can change and that never stops."""
    vocabulary, stop = model.config.vocab_size, model.config.eos_token_id
    for _ in range(2000):
        prompt = random_ids(vocabulary, length)
        tokens, margin = greedy(model, prompt, GREEDY_TOKENS)
        if margin >= GREEDY_MARGIN and stop not in tokens and len(set(tokens)) >= 6:
            check_uncached(model, prompt, tokens, name)
            return prompt, tokens, margin
    raise SystemExit(f"make_model_golden: {name}: no prompt of {length} with a clear greedy path")


def decoder_golden(model, name: str) -> tuple[dict, dict]:
    tensors, sequences = {}, [random_ids(model.config.vocab_size, n) for n in LLAMA_LENGTHS]
    for i, ids in enumerate(sequences):
        tensors[f"seq{i}.ids"] = ids
        tensors[f"seq{i}.logits"] = model(ids[None]).logits[0]
    ids, mask = padded(sequences)
    batch = model(ids, attention_mask=mask).logits
    worst = max(relative_difference(batch[i, :len(s)], tensors[f"seq{i}.logits"])
                for i, s in enumerate(sequences))
    check(worst < 1e-5, f"{name}: a padded batch differs from single sequences by {worst:.1e}")
    margins = []
    for i, length in enumerate(PROMPT_LENGTHS):
        prompt, tokens, margin = clear_greedy(model, length, name)
        tensors[f"greedy{i}.prompt"], tensors[f"greedy{i}.tokens"] = prompt, tokens
        margins.append(margin)
    return tensors, {"sequences": len(sequences), "greedy": len(PROMPT_LENGTHS),
                     "smallest_greedy_margin": f"{min(margins):.2e}",
                     "padded_batch_difference": f"{worst:.1e}"}


def mean_pooled(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """sentence-transformers' mean pooling: mean over the tokens that the mask keeps."""
    weight = mask[..., None].to(hidden.dtype)
    return (hidden * weight).sum(1) / weight.sum(1).clamp(min=1e-9)


def encoder_outputs(model, ids: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
    classifier = hasattr(model, "classifier")
    hidden = model.base_model(ids, attention_mask=mask).last_hidden_state
    mean = mean_pooled(hidden, mask)
    result = {"hidden": hidden, "mean": mean,
              "normalized": torch.nn.functional.normalize(mean, p=2, dim=1)}
    if classifier:
        result["logits"] = model(ids, attention_mask=mask).logits
    return result


def encoder_golden(model, name: str) -> tuple[dict, dict]:
    tensors, sequences = {}, [random_ids(model.config.vocab_size, n) for n in ENCODER_LENGTHS]
    for i, ids in enumerate(sequences):
        tensors[f"seq{i}.ids"] = ids
        single = encoder_outputs(model, ids[None], torch.ones(1, len(ids), dtype=torch.long))
        tensors |= {f"seq{i}.{key}": value[0] for key, value in single.items()}
    ids, mask = padded(sequences)
    worst = 0.0
    for key, value in encoder_outputs(model, ids, mask).items():
        for i, sequence in enumerate(sequences):
            row = value[i, :len(sequence)] if key == "hidden" else value[i]
            worst = max(worst, relative_difference(row, tensors[f"seq{i}.{key}"]))
    check(worst < 1e-5, f"{name}: a padded batch differs from single sequences by {worst:.1e}")
    return tensors, {"sequences": len(sequences), "padded_batch_difference": f"{worst:.1e}"}


# name: (maker, stored type, keys of transformers 4)
MODELS = {
    "llama_tied": (llama_tied, torch.bfloat16, True),
    "llama_untied": (llama_untied, torch.float16, False),
    "llama_single_kv": (llama_single_kv, torch.float32, False),
    "llama_rope3": (llama_rope3, torch.bfloat16, True),
    "llama_linear": (llama_linear, torch.float16, False),
    "mistral": (mistral, torch.bfloat16, True),
    "qwen2": (qwen2, torch.bfloat16, False),
    "qwen2_window": (qwen2_window, torch.float16, False),
    "qwen3": (qwen3, torch.bfloat16, False),
    "phi3": (phi3, torch.bfloat16, False),
    "gpt2": (gpt2, torch.float16, False),
    "gemma2": (gemma2, torch.bfloat16, True),
    "gemma3": (gemma3, torch.bfloat16, False),
    "gpt_oss": (gpt_oss, torch.bfloat16, False),
    "qwen2_yarn": (qwen2_yarn, torch.bfloat16, True),
    "modernbert_classifier": (modernbert_classifier, torch.float16, True),
    "modernbert_embedding": (modernbert_embedding, torch.bfloat16, False),
    "bert_embedding": (bert_embedding, torch.float32, False),
    "bert_classifier": (bert_classifier, torch.float16, False),
    "distilbert_classifier": (distilbert_classifier, torch.float16, False),
    "roberta_classifier": (roberta_classifier, torch.float16, False),
    "xlm_roberta_embedding": (xlm_roberta_embedding, torch.float16, False),
}


@torch.no_grad()
def make_random_models(out: Path, only: list[str] | None = None) -> None:
    for name in only or MODELS:
        maker, stored, transformers_4 = MODELS[name]
        seed_everything(name)
        model = maker()
        decoder = hasattr(model, "lm_head")
        gains = GEMMA_GAINS if name.startswith("gemma") else LLAMA_GAINS
        randomize(model, gains if decoder else BERT_GAINS)
        model = save_and_reload(model, stored, out / "models" / name, transformers_4)
        tensors, metadata = (decoder_golden if decoder else encoder_golden)(model, name)
        write_golden(out / "models" / name / "golden.safetensors", tensors, metadata)
        print("   ", metadata)
