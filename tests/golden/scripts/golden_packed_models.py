# Copyright the assay authors
# SPDX-License-Identifier: Apache-2.0
"""Small checkpoints of GPTQ, AWQ and compressed-tensors, packed by the packages that define them.

GPTQ and AWQ: GPTQModel quantizes, saves and decodes. compressed-tensors: its compressors pack scales
and codes of plain rounding (llm-compressor, which chooses better ones, packs with the same code). The
logits are those of a plain model in fp32 whose linear layers hold the decoded weights.
"""

import json
import os
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM

from golden_common import check, relative_difference, write_golden
from golden_quantized_models import (DECODED, logits_of, plain_checkpoint, tidy, token_codes,
                                     with_tolerance)
from golden_random_models import random_ids

PLAIN = {"dtype": torch.float32, "attn_implementation": "eager"}


def linear_names(model) -> list[str]:
    return [name for name, module in model.named_modules()
            if isinstance(module, torch.nn.Linear) and name != "lm_head"]


def golden_of(folder: Path, plain: Path, decoded: dict[str, torch.Tensor], activations=None) -> None:
    model = LlamaForCausalLM.from_pretrained(plain, **PLAIN).eval()
    check(set(decoded) == set(linear_names(model)), f"{folder}: not every layer was decoded")
    for name, weight in decoded.items():
        module = model.get_submodule(name)
        check(module.weight.shape == weight.shape, f"{folder}: {name} has another shape")
        module.weight.data = weight.float()
    # What the checkpoint itself keeps in 16 bits is rounded there.
    stored = load_file(folder / "model.safetensors")
    for name, parameter in model.named_parameters():
        if name in stored and name.removesuffix(".weight") not in decoded:
            parameter.data = stored[name].float()
    def logits_with(hook) -> dict[str, torch.Tensor]:
        handles = [model.get_submodule(name).register_forward_pre_hook(hook) for name in decoded]
        tensors = logits_of(model, folder.name)
        for handle in handles:
            handle.remove()
        return tensors

    if activations is None:
        tensors, metadata = logits_of(model, folder.name), {}
    else:
        tensors = with_tolerance(lambda shift: logits_with(definition_rounding(shift)))
        package = logits_with(token_rounding(activations))
        worst = max(relative_difference(package[key], tensors[key]) for key in package
                    if key.endswith(".logits"))
        metadata = {"package_difference": f"{worst:.1e}"}
        print("   ", f"package differs by {worst:.1e}")
    tensors["decoded"] = decoded[DECODED]
    write_golden(folder / "golden.safetensors", tensors, metadata)


def word_tokenizer(folder: Path) -> None:
    """GPTQModel wants a tokenizer beside the model; nothing is tokenized."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast
    words = Tokenizer(models.WordLevel({f"t{i}": i for i in range(131)}, unk_token="t0"))
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="t0", pad_token="t0",
                            bos_token="t0", eos_token="t1").save_pretrained(folder)


def decoded_gptq(module) -> torch.Tensor:
    module.scales = module.scales.float()  # the package's product would be rounded to fp16
    module.dequant_dtype = torch.int32
    return module.dequantize_weight().T.float().contiguous()


def decoded_awq(module) -> torch.Tensor:
    from gptqmodel.quantization.awq.utils.packing_utils import reverse_awq_order, unpack_awq
    codes, zeros = unpack_awq(module.qweight, module.qzeros, module.bits)
    codes, zeros = reverse_awq_order(codes, zeros, module.bits)
    size = module.in_features // module.scales.shape[0]
    codes, zeros = codes & 15, (zeros & 15).repeat_interleave(size, 0)
    scales = module.scales.float().repeat_interleave(size, 0)
    return ((codes - zeros).float() * scales).T.contiguous()


def gptq_variants() -> dict:
    from gptqmodel.quantization import FORMAT, METHOD
    return {
        "gptq_act_order": {"bits": 4, "group_size": 64, "desc_act": True, "sym": True},
        "gptq_asymmetric": {"bits": 4, "group_size": 32, "desc_act": False, "sym": False},
        "gptq_v2": {"bits": 4, "group_size": 64, "desc_act": True, "sym": False,
                    "format": FORMAT.GPTQ_V2},
        "gptq_row_8bit": {"bits": 8, "group_size": -1, "desc_act": False, "sym": True,
                          "act_group_aware": False},
        "awq_gemm": {"bits": 4, "group_size": 64, "sym": False, "method": METHOD.AWQ, "format": FORMAT.GEMM},
    }


def make_gptq(out: Path, work: Path) -> None:
    os.environ["GPTQMODEL_CPU_WORKERS"] = "2"
    from gptqmodel import BACKEND, GPTQModel, QuantizeConfig
    for name, options in gptq_variants().items():
        awq = name.startswith("awq")
        # AWQ's search works on 64 output channels at a time.
        plain_checkpoint(name, work / name, key_value_heads=4 if awq else 2)
        word_tokenizer(work / name)
        data = [{"input_ids": random_ids(131, 64).tolist(), "attention_mask": [1] * 64}
                for _ in range(16)]
        model = GPTQModel.load(str(work / name), QuantizeConfig(**options), device="cpu")
        model.quantize(data, batch_size=1)
        model.save(str(work / f"{name}-quantized"))
        folder = out / "models" / name
        folder.mkdir(parents=True, exist_ok=True)
        for file in ("config.json", "model.safetensors"):
            (folder / file).write_bytes((work / f"{name}-quantized" / file).read_bytes())
        tidy(folder)
        backend = BACKEND.AWQ_TORCH if awq else BACKEND.GPTQ_TORCH
        loaded = GPTQModel.load(str(work / f"{name}-quantized"), backend=backend, device="cpu",
                                dtype=torch.float16)  # by itself it rounds the scales to bf16
        decoded = {path: (decoded_awq if awq else decoded_gptq)(module)
                   for path, module in loaded.model.named_modules() if hasattr(module, "qweight")}
        with torch.no_grad():
            golden_of(folder, work / name, decoded)


def ct_variants() -> dict:
    from compressed_tensors.quantization import QuantizationArgs
    int4 = {"num_bits": 4, "type": "int", "strategy": "group"}
    token = {"num_bits": 8, "type": "int", "strategy": "token", "dynamic": True, "symmetric": True}
    channel = {"num_bits": 8, "strategy": "channel", "symmetric": True}
    return {
        "ct_int4": ("pack-quantized", QuantizationArgs(group_size=64, symmetric=True, **int4), None),
        "ct_int4_asymmetric": ("pack-quantized",
                               QuantizationArgs(group_size=32, symmetric=False, **int4), None),
        "ct_w8a16": ("pack-quantized", QuantizationArgs(type="int", **channel), None),
        "ct_w8a8": ("int-quantized", QuantizationArgs(type="int", **channel),
                    QuantizationArgs(**token)),
        "ct_fp8": ("float-quantized", QuantizationArgs(type="float", **channel), None),
    }


def scales_and_zeros(weight: torch.Tensor, args):
    from compressed_tensors.quantization.utils import calculate_qparams
    size = args.group_size or weight.shape[1]
    groups = weight.unflatten(1, (-1, size))
    return calculate_qparams(groups.amin(-1), groups.amax(-1), args)


def definition_rounding(shift: float):
    """Codes of absmax / 127, as numerics.md has them; the package takes absmax / 127.5."""
    def hook(_, inputs):
        codes, absmax = token_codes(inputs[0], shift)
        return (codes * (absmax / 127.0),)
    return hook


def token_rounding(args):
    from compressed_tensors.quantization.lifecycle.forward import fake_quantize
    from compressed_tensors.quantization.utils import calculate_qparams

    def hook(_, inputs):
        x = inputs[0]
        scale, zero = calculate_qparams(x.amin(-1, keepdim=True), x.amax(-1, keepdim=True), args)
        return (fake_quantize(x, scale, zero, args),)
    return hook


@torch.no_grad()
def make_compressed_tensors(out: Path, work: Path) -> None:
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationConfig, QuantizationScheme
    for name, (form, weights, activations) in ct_variants().items():
        plain_checkpoint(name, work / name)
        model = LlamaForCausalLM.from_pretrained(work / name, dtype=torch.bfloat16)
        scheme = QuantizationScheme(targets=["Linear"], weights=weights,
                                    input_activations=activations)
        compressor = BaseCompressor.get_value_from_registry(form)
        state = {k: v.clone() for k, v in model.state_dict().items()}
        decoded = {}
        for path in linear_names(model):
            weight = state.pop(f"{path}.weight")
            scale, zero = scales_and_zeros(weight, weights)
            parts = compressor.compress(
                {"weight": weight, "weight_scale": scale, "weight_zero_point": zero}, scheme)
            whole = dict(parts, weight_scale=parts["weight_scale"].float())
            decoded[path] = compressor.decompress(whole, scheme)["weight"].float()
            state |= {f"{path}.{key}": value.contiguous() for key, value in parts.items()}
        folder = out / "models" / name
        folder.mkdir(parents=True, exist_ok=True)
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        config = json.loads((work / name / "config.json").read_text())
        config["dtype"] = "bfloat16"
        config["quantization_config"] = json.loads(QuantizationConfig(
            config_groups={"group_0": scheme}, format=form, quantization_status="compressed",
            ignore=["lm_head"]).model_dump_json())
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        tidy(folder)
        golden_of(folder, work / name, decoded, activations)
