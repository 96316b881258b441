# Copyright the assay authors
# SPDX-License-Identifier: Apache-2.0
"""Small quantized checkpoints, written by the packages that define them, and what they compute.

A checkpoint is loaded again before it is run: the golden values belong to the bytes in the repository.
"""

from pathlib import Path

import torch
from transformers import BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

from golden_common import check, relative_difference, seed_everything, write_golden
from golden_random_models import LLAMA_GAINS, random_ids, randomize

LENGTHS = (1, 5, 33, 70)
# Of each checkpoint the decoded weight of this layer is kept: 320 columns, so that there are several
# groups to a row and several nested groups to the weight.
DECODED = "model.layers.1.mlp.down_proj"


def small_llama(key_value_heads: int) -> LlamaForCausalLM:
    """Widths are multiples of 64: bitsandbytes decodes others wrongly on the CPU."""
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=131, hidden_size=64, intermediate_size=320, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=key_value_heads, max_position_embeddings=128,
        rms_norm_eps=1e-5, rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=False, bos_token_id=0, eos_token_id=1, pad_token_id=None))


def plain_checkpoint(name: str, folder: Path, key_value_heads: int = 2) -> None:
    seed_everything(name)
    model = small_llama(key_value_heads)
    randomize(model, LLAMA_GAINS)
    model.save_pretrained(folder)


def tidy(folder: Path) -> None:
    (folder / "generation_config.json").unlink(missing_ok=True)
    (folder / "model.safetensors").chmod(0o644)
    size = (folder / "model.safetensors").stat().st_size
    check(size < 300 * 1024, f"{folder}: the checkpoint has {size} bytes, more than 300 KiB")


def logits_of(model, seed: str) -> dict[str, torch.Tensor]:
    seed_everything(seed)
    tensors = {}
    for i, length in enumerate(LENGTHS):
        ids = random_ids(model.config.vocab_size, length)
        tensors[f"seq{i}.ids"] = ids
        tensors[f"seq{i}.logits"] = model(ids[None]).logits[0]
    return tensors


def bnb_configs() -> dict[str, BitsAndBytesConfig]:
    four = {"load_in_4bit": True, "bnb_4bit_compute_dtype": torch.float32}
    return {
        "bnb_nf4": BitsAndBytesConfig(bnb_4bit_quant_type="nf4", **four),
        "bnb_nf4_double": BitsAndBytesConfig(bnb_4bit_quant_type="nf4",
                                             bnb_4bit_use_double_quant=True, **four),
        "bnb_fp4": BitsAndBytesConfig(bnb_4bit_quant_type="fp4", **four),
        "bnb_int8": BitsAndBytesConfig(load_in_8bit=True, llm_int8_threshold=3.5),
    }


def bnb_decoded(module) -> torch.Tensor:
    import bitsandbytes.functional as bnb
    weight = module.weight
    if getattr(weight, "quant_state", None) is not None:
        return bnb.dequantize_4bit(weight.data, weight.quant_state).float()
    return weight.data.float() * weight.SCB[:, None] * (1.0 / 127.0)


# Two programs that follow numerics.md in fp32 agree in all codes but those whose scaled activation is so
# near to a half that their roundings decide. Llamas agree to 3.3e-6 (docs/models.md), so a scaled
# activation, of at most 127, is certain to this much:
CODE_DOUBT = 127 * 3.3e-6


def token_codes(rows: torch.Tensor, shift: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """int8 codes of each row and its absmax. A shift of CODE_DOUBT, up or down, moves all codes that
    are in doubt one way."""
    absmax = rows.abs().amax(-1, keepdim=True).clamp(min=1e-30)
    return torch.round(rows * (127.0 / absmax) + shift).clamp(-127, 127), absmax


def with_tolerance(logits_with) -> dict[str, torch.Tensor]:
    """Logits, and by how much those may differ that have the codes in doubt otherwise: twice what moving
    all of them, up or down, makes. `logits_with(shift)` gives the tensors of logits_of()."""
    tensors = logits_with(0.0)
    moved = [logits_with(shift) for shift in (CODE_DOUBT, -CODE_DOUBT)]
    for key in [key for key in tensors if key.endswith(".logits")]:
        worst = max(relative_difference(other[key], tensors[key]) for other in moved)
        tensors[key.replace("logits", "tolerance")] = torch.tensor([2 * worst])
    return tensors


def int8_forward(codes: torch.Tensor, scale: torch.Tensor, threshold: float):
    """LLM.int8() as numerics.md has it, with activations in fp32."""
    def forward(x: torch.Tensor) -> torch.Tensor:
        rows = x.flatten(0, -2)
        outlier = (rows.abs() >= threshold).any(0)
        quantized, absmax = token_codes(rows.masked_fill(outlier, 0.0))
        y = (quantized @ codes.T) * absmax * scale / 16129.0
        y += rows[:, outlier] @ (codes * scale[:, None] / 127.0)[:, outlier].T
        return y.view(*x.shape[:-1], -1)
    return forward


def bnb_reference(plain: Path, quantized, threshold: float):
    """The model in fp32 with the decoded weights, or with LLM.int8() by its definition."""
    model = LlamaForCausalLM.from_pretrained(plain, dtype=torch.float32,
                                             attn_implementation="eager").eval()
    for name, module in quantized.named_modules():
        if "bitsandbytes" not in type(module).__module__:
            continue
        target = model.get_submodule(name)
        target.weight.data = bnb_decoded(module)
        if hasattr(module.weight, "SCB"):
            target.forward = int8_forward(module.weight.data.float(), module.weight.SCB, threshold)
    return model


@torch.no_grad()
def make_bitsandbytes(out: Path, work: Path) -> None:
    for name, config in bnb_configs().items():
        plain_checkpoint(name, work / name)
        load = {"dtype": torch.float32, "device_map": "cpu", "attn_implementation": "eager"}
        folder = out / "models" / name
        LlamaForCausalLM.from_pretrained(work / name, quantization_config=config,
                                         **load).save_pretrained(folder)
        tidy(folder)
        model = LlamaForCausalLM.from_pretrained(folder, **load).eval()
        reference = bnb_reference(work / name, model, config.llm_int8_threshold)
        tensors = logits_of(reference, name)
        tensors["decoded"] = bnb_decoded(model.get_submodule(DECODED))
        # The package itself rounds to 16 bits on the CPU, and packs its weights anew when it runs.
        package = logits_of(model, name)
        worst = max(relative_difference(package[k], v) for k, v in tensors.items()
                    if k.endswith("logits"))
        check(worst < 0.05, f"{name}: the package differs from the definition by {worst:.1e}")
        write_golden(folder / "golden.safetensors", tensors, {"package_difference": f"{worst:.1e}"})
        print("   ", f"package differs by {worst:.1e}")
