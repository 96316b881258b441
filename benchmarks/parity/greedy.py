#!/usr/bin/env python3
# Copyright the assay authors
# SPDX-License-Identifier: Apache-2.0
"""Greedy text of SmolLM2 at fp32: `assay generate` against transformers, live, on ten prompts.

    greedy.py --assay build/release/assay --smollm2 FILE.gguf

The prompts are those of tests/golden/models/smollm2/prompts.json. Prints a line a prompt and ends with
1 if any token or any character differs.
"""

import argparse
import json
import tempfile
from pathlib import Path

from parity_common import run_assay

import torch  # noqa: E402
from golden_gguf import GgufLlama  # noqa: E402
from golden_random_models import GREEDY_TOKENS, greedy  # noqa: E402

PROMPTS = Path(__file__).resolve().parents[2] / "tests/golden/models/smollm2/prompts.json"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assay", type=Path, required=True, help="the binary")
    parser.add_argument("--smollm2", type=Path, required=True, help="the GGUF, for both sides")
    parser.add_argument("--precision", default="fp32", help="of assay (the reference is fp32)")
    return parser.parse_args()


def generate(options: argparse.Namespace, prompt_file: Path, *extra: str) -> str:
    return run_assay(options.assay, "generate", "-m", str(options.smollm2), "--precision",
                     options.precision, "--prompt-file", str(prompt_file), "-n",
                     str(GREEDY_TOKENS), "--temperature", "0", "-q", *extra)


def first_difference(got: list[int], expected: list[int]) -> str:
    for i, (a, b) in enumerate(zip(got, expected)):
        if a != b:
            return f"token {i} is {a}, transformers has {b}"
    return f"{len(got)} tokens, transformers has {len(expected)}"


@torch.no_grad()
def main() -> int:
    options = arguments()
    source = GgufLlama(options.smollm2)
    model, tokenizer = source.model(), source.tokenizer()
    prompts = [p for p in json.loads(PROMPTS.read_text()) if p["name"].startswith("greedy")]
    equal = 0
    with tempfile.TemporaryDirectory() as folder:
        prompt_file = Path(folder) / "prompt.txt"
        for prompt in prompts:
            prompt_file.write_text(prompt["text"], encoding="utf-8")
            ids = torch.tensor(tokenizer.encode(prompt["text"]).ids)
            expected, lead = greedy(model, ids, GREEDY_TOKENS)
            got = json.loads(generate(options, prompt_file, "--ids"))
            text = generate(options, prompt_file).removesuffix("\n")
            if got != expected:
                verdict = first_difference(got, expected)
            elif text != tokenizer.decode(expected):
                verdict = f"same tokens, other text: {text!r}"
            else:
                verdict, equal = "equal", equal + 1
            print(f"{prompt['name']}: {verdict} (smallest lead {lead:.1e})", flush=True)
    print(f"{equal} of {len(prompts)} prompts equal")
    return 0 if equal == len(prompts) else 1


if __name__ == "__main__":
    raise SystemExit(main())
