#!/usr/bin/env python3
# Copyright the assay authors
# SPDX-License-Identifier: Apache-2.0
"""KL(fp32 || precision) of SmolLM2: assay's int8 and nf4 beside bitsandbytes' on the CPU.

    fidelity.py --assay build/release/assay --smollm2 FILE.gguf --text FILE
    fidelity.py --smollm2 FILE.gguf --text FILE            the reference's figures alone

Both sides cut the text into the same windows of tokens and score every position but the last of each.
The reference holds activations in bf16 and the head and embedding in bf16, as assay's recipes do where
16 bit means bf16. The figures are means over the same tokens of two programs whose rounding differs,
so they should lie within a few standard errors of their difference, not be equal; the script ends
with 1 where assay's mean is more than --tolerance above the reference's.
"""

import argparse
import json
import tempfile
from pathlib import Path

from parity_common import run_assay

import bitsandbytes as bnb  # noqa: E402
import torch  # noqa: E402
from golden_gguf import GgufLlama  # noqa: E402

PRECISIONS = ("bf16", "int8", "nf4")
THRESHOLD = 6.0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assay", type=Path, help="the binary; without it the reference alone")
    parser.add_argument("--smollm2", type=Path, required=True, help="the GGUF, for both sides")
    parser.add_argument("--text", type=Path, required=True, help="UTF-8 text to score")
    parser.add_argument("--sequences", type=int, default=8)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--tolerance", type=float, default=0.1,
                        help="relative excess of assay's mean KL that is still parity")
    return parser.parse_args()


def windows(tokenizer, options: argparse.Namespace) -> list[torch.Tensor]:
    # The text's beginning is enough: a token is at most some dozen characters.
    wanted = options.sequences * options.length
    text = options.text.read_text(encoding="utf-8")[:wanted * 32]
    ids = torch.tensor(tokenizer.encode(text).ids[:wanted])
    return [w for w in ids.split(options.length) if len(w) == options.length]


def quantized_layer(linear: torch.nn.Linear, weight: torch.Tensor, precision: str):
    if precision == "int8":
        layer = bnb.nn.Linear8bitLt(linear.in_features, linear.out_features, bias=False,
                                    has_fp16_weights=False, threshold=THRESHOLD)
        layer.weight = bnb.nn.Int8Params(weight, requires_grad=False, has_fp16_weights=False)
    else:
        layer = bnb.nn.Linear4bit(linear.in_features, linear.out_features, bias=False,
                                  compute_dtype=torch.bfloat16, compress_statistics=False,
                                  quant_type=precision)
        layer.weight = bnb.nn.Params4bit(weight, requires_grad=False, compress_statistics=False,
                                         quant_type=precision)
    return layer.to("cpu")


def reference_model(source: GgufLlama, precision: str):
    """bf16 activations; the linear layers of the blocks quantized from their fp32 weights."""
    model = source.model()
    weights = {name: module.weight.data.clone() for name, module in model.model.named_modules()
               if isinstance(module, torch.nn.Linear)}
    model = model.to(torch.bfloat16)
    if precision != "bf16":
        for name, weight in weights.items():
            parent, leaf = name.rsplit(".", 1)
            owner = model.model.get_submodule(parent)
            layer = quantized_layer(getattr(owner, leaf), weight, precision)
            setattr(owner, leaf, layer)
    return model


def log_probabilities(model, sequences: list[torch.Tensor]) -> list[torch.Tensor]:
    return [model(s[None]).logits[0, :-1].double().log_softmax(-1) for s in sequences]


def divergence(baseline: list[torch.Tensor], other: list[torch.Tensor]) -> dict[str, float]:
    kl = torch.cat([(b.exp() * (b - o)).sum(-1) for b, o in zip(baseline, other)])
    same = torch.cat([b.argmax(-1) == o.argmax(-1) for b, o in zip(baseline, other)])
    return {"kl": kl.mean().item(), "stderr": (kl.std() / len(kl) ** 0.5).item(),
            "top1": same.double().mean().item()}


@torch.no_grad()
def reference(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    source = GgufLlama(options.smollm2)
    sequences = windows(source.tokenizer(), options)
    if len(sequences) < options.sequences:
        raise SystemExit(f"parity: {options.text} has only {len(sequences)} windows")
    baseline = log_probabilities(source.model(), sequences)
    return {precision: divergence(baseline, log_probabilities(reference_model(source, precision),
                                                              sequences))
            for precision in PRECISIONS}


def assay(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory() as folder:
        report = json.loads(run_assay(
            options.assay, "eval", "-m", str(options.smollm2), "--precision", ",".join(PRECISIONS),
            "--baseline", "fp32", "--tasks", f"fidelity={options.text}", "--sequences",
            str(options.sequences), "--length", str(options.length), "--store",
            str(Path(folder) / "parity.db"), "-q", "-o", "json"))
    figures = {}
    for row in report["rows"]:
        if row["test"] != "fidelity":
            continue
        if row["status"] != "ok" or row["proved"] is not True:
            raise SystemExit(f"parity: {row['recipe']} is {row['status']}: {row['reason']}")
        kl = row["metrics"]["kl_divergence"]
        # A row's recipe carries its source: "int8 (from q4_1)".
        figures[row["recipe"].split(" ")[0]] = {
            "kl": kl["value"], "stderr": kl["stderr"],
            "top1": row["metrics"]["top1_agreement"]["value"]}
    if set(figures) != set(PRECISIONS):
        raise SystemExit(f"parity: assay reported {sorted(figures)}, asked for {PRECISIONS}")
    return figures


def line(who: str, precision: str, figures: dict[str, float]) -> str:
    return (f"{precision:5} {who:13} KL {figures['kl']:.5f} +- {figures['stderr']:.5f} nats/token, "
            f"same top token {figures['top1']:.4f}")


def main() -> int:
    options = arguments()
    expected = reference(options)
    for precision in PRECISIONS:
        print(line("transformers" if precision == "bf16" else "bitsandbytes", precision,
                   expected[precision]))
    if options.assay is None:
        return 0
    worse = 0
    for precision, figures in assay(options).items():
        print(line("assay", precision, figures))
        excess = figures["kl"] / expected[precision]["kl"] - 1
        if excess > options.tolerance:
            print(f"{precision}: assay's mean KL is {100 * excess:.1f} % above the reference's")
            worse += 1
    return 1 if worse else 0


if __name__ == "__main__":
    raise SystemExit(main())
