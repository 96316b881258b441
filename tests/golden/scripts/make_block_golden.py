#!/usr/bin/env python3
# Copyright the assay authors. SPDX-License-Identifier: Apache-2.0
"""Golden files of GGUF's block encodings, made with the gguf package, and of gpt-oss' MXFP4 tensors,
made with transformers.

Usage: make_block_golden.py [OUTPUT_DIRECTORY]

Codes, scales and minima are random bytes. The fp16 numbers go from zero and the smallest denormal to
the largest value, with both signs. Arrays are hexadecimal text of their little-endian bytes.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize, quantize
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

# Where a block's fp16 numbers stand.
NUMBERS = {
    "Q5_0": (0,), "Q5_1": (0, 2), "Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2),
    "Q6_K": (208,), "IQ4_NL": (0,), "IQ4_XS": (0,), "MXFP4": (),
}
EXTREMES = [0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x7BFF, 0xFBFF, 0x3C00, 0x2E66]
EXPONENTS = [0, 1, 2, 100, 126, 127, 128, 200, 252]


def hexed(array):
    return np.ascontiguousarray(array).tobytes().hex()


def random_blocks(kind, random):
    size = GGML_QUANT_SIZES[GGMLQuantizationType[kind]][1]
    blocks = random.integers(0, 256, (len(EXTREMES), size), dtype=np.uint8)
    for i, block in enumerate(blocks):
        for n, at in enumerate(NUMBERS[kind]):
            block[at : at + 2] = np.frombuffer(np.uint16(EXTREMES[i - n]).tobytes(), np.uint8)
        if kind == "MXFP4":
            block[0] = EXPONENTS[i]
    return blocks


def block_cases():
    random = np.random.default_rng(41)
    cases = []
    for kind in NUMBERS:
        type_ = GGMLQuantizationType[kind]
        block, _ = GGML_QUANT_SIZES[type_]
        codes = random_blocks(kind, random).reshape(3, -1)
        cases.append({
            "name": "random_bytes", "encoding": kind.lower(), "rows": 3, "cols": 3 * block,
            "codes": hexed(codes), "decoded": hexed(dequantize(codes, type_)),
        })
    special = np.zeros((6, 64), np.float32)
    special[0, :32] = np.arange(32) - 15.5
    special[0, 32:] = (np.arange(32) - 16) / 2
    special[1, 3], special[1, 9], special[1, 40] = 2.0, -2.0, 1e-7
    special[2] = 0.25
    special[3, :32] = np.linspace(-127, 127, 32)
    special[3, 32:] = np.linspace(0, 31, 32)
    special[4] = np.tile([1.0, -1.0], 32) * 1e-3
    normal = random.standard_normal((6, 96)).astype(np.float32)
    # Values and the halves between them, of both signs: what ties are decided by.
    halves = np.array([0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 5, 6, 7], np.float32)
    special[5, :16], special[5, 16:32] = halves, -halves
    special[5, 32:] = np.tile(halves[:8] * 2.0**-20, 4)
    for kind in ("Q5_0", "Q5_1", "MXFP4"):
        type_ = GGMLQuantizationType[kind]
        for name, x in (("normal", normal), ("special", special)):
            codes = quantize(x, type_)
            cases.append({
                "name": name, "encoding": kind.lower(), "rows": x.shape[0], "cols": x.shape[1],
                "values": hexed(x), "codes": hexed(codes), "decoded": hexed(dequantize(codes, type_)),
            })
    return cases


def pair_case():
    """Two tensors as in a gpt-oss checkpoint, [experts, rows, groups, 16] and [experts, rows, groups]."""
    generator = torch.Generator().manual_seed(43)
    blocks = torch.randint(0, 256, (2, 5, 3, 16), generator=generator, dtype=torch.uint8)
    scales = torch.randint(90, 160, (2, 5, 3), generator=generator, dtype=torch.uint8)
    scales[0, 0] = torch.tensor([1, 127, 252], dtype=torch.uint8)
    # [experts, columns, rows]: the package transposes.
    values = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32).transpose(1, 2)
    return {"experts": 2, "rows": 5, "cols": 96, "blocks": hexed(blocks.numpy()),
            "scales": hexed(scales.numpy()), "decoded": hexed(values.contiguous().numpy())}


def main():
    default = Path(__file__).resolve().parent.parent / "precision"
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    content = {"cases": block_cases(), "pairs": pair_case()}
    path = out / "blocks.json"
    path.write_text(json.dumps(content, indent=1) + "\n")
    print(path.name, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
