#!/usr/bin/env python3
# Copyright the assay authors. SPDX-License-Identifier: Apache-2.0
"""Golden files of the encodings, made with bitsandbytes 0.50 (CPU) and the gguf package.

Usage: make_precision_golden.py [OUTPUT_DIRECTORY]

Arrays are written as hexadecimal text of their little-endian bytes, so that a comparison is one of
bits. Two implementations of bitsandbytes are recorded for double quantization: `lut`, what its CPU
library computes (it first cuts [-1, 1] into 65,536 bins), and `nearest`, its portable implementation,
which like its CUDA kernels takes the nearest entry of the map.
"""

import importlib
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import bitsandbytes._ops as ops  # noqa: E402
import bitsandbytes.functional as F  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from gguf import GGMLQuantizationType  # noqa: E402
from gguf.quants import dequantize, quantize  # noqa: E402


def portable_quantize_blockwise():
    """The function that bitsandbytes registers where it has no native library."""
    module = importlib.import_module("bitsandbytes.backends.default.ops")
    found = {}

    def capture(name, backend):
        def keep(function):
            found[name] = function
            return function

        return keep

    source = Path(module.__file__).read_text()
    scope = {"__name__": module.__name__, "__package__": module.__package__}
    original = ops.register_kernel
    ops.register_kernel = capture
    try:
        exec(compile(source, module.__file__, "exec"), scope)
    finally:
        ops.register_kernel = original
    return found["bitsandbytes::quantize_blockwise"]


def hexed(array):
    if isinstance(array, torch.Tensor):
        array = array.detach().contiguous()
        array = (array.view(torch.uint16) if array.dtype == torch.bfloat16 else array).numpy()
    return np.ascontiguousarray(array).tobytes().hex()


def four_bit_inputs(kind):
    generator = torch.Generator().manual_seed(7)
    normal = lambda *shape: torch.randn(*shape, generator=generator)
    code = F.get_4bit_type(kind, device="cpu")
    sorted_code = torch.sort(code)[0]
    bounds = ((sorted_code[:-1] + sorted_code[1:]) / 2).numpy()
    beside = np.concatenate(
        [bounds, np.nextafter(bounds, np.float32(2)), np.nextafter(bounds, np.float32(-2))]
    )
    block = np.concatenate([[1.0], beside, code.numpy(), [0.0, -0.0]]).astype(np.float32)
    assert block.size == 64
    third = (block * np.float32(1 / 3)).astype(np.float32)
    tiny = torch.zeros(2, 100)
    tiny[0, 64:80] = 1e-40
    tiny[0, 80] = -3e-39
    tiny[1, 20] = 1e-30
    return {
        "crossing": normal(5, 77),
        "odd": normal(3, 43) * 0.02,
        "boundaries": torch.from_numpy(np.concatenate([block, third, -block, block[:50]])).view(1, -1),
        "zeros": torch.zeros(3, 50),
        "tiny": tiny,
        "heavy": normal(130, 192) ** 3,
    }


def make_four_bit(nearest):
    cases = []
    for kind in ("nf4", "fp4"):
        for name, x in four_bit_inputs(kind).items():
            codes, state = F.quantize_4bit(x, blocksize=64, quant_type=kind)
            values = F.dequantize_4bit(codes, state)
            case = {
                "name": name, "encoding": kind, "rows": x.shape[0], "cols": x.shape[1],
                "values": hexed(x), "codes": hexed(codes), "absmax": hexed(state.absmax),
            }
            if name != "heavy":
                case["decoded"] = hexed(values)
            if name not in ("zeros", "tiny"):
                _, double = F.quantize_4bit(x, blocksize=64, quant_type=kind, compress_statistics=True)
                centred = state.absmax - double.offset
                near_codes, near_absmax = nearest(centred, F.create_dynamic_map(), 256)
                assert torch.equal(near_absmax, double.state2.absmax)
                case["double"] = {
                    "offset": hexed(double.offset), "absmax": hexed(double.state2.absmax),
                    "lut": hexed(double.absmax), "nearest": hexed(near_codes),
                }
            cases.append(case)
    return {"cases": cases, "dynamic_map": hexed(F.create_dynamic_map()),
            "nf4": hexed(F.get_4bit_type("nf4", device="cpu")),
            "fp4": hexed(F.get_4bit_type("fp4", device="cpu"))}


def make_int8():
    generator = torch.Generator().manual_seed(11)
    cases = []
    for name, rows, cols, scale in (("plain", 7, 50, 0.05), ("wide", 3, 257, 1.0), ("tiny", 4, 33, 1e-6)):
        x = torch.randn(rows, cols, generator=generator) * scale
        x[1] = 0
        if name == "plain":
            x[0, :20] = (torch.arange(20) - 9.5) / 127
            x[0, 20:] = 0
            x[0, 30] = 1.0
        codes, absmax, _ = F.int8_vectorwise_quant(x.half())
        cases.append({
            "name": name, "rows": rows, "cols": cols, "values": hexed(x), "codes": hexed(codes),
            "absmax": hexed(absmax), "decoded": hexed(F.int8_vectorwise_dequant(codes, absmax)),
        })
    rows = []
    for name, threshold in (("none", 0.0), ("columns", 6.0), ("nothing_reaches", 50.0)):
        x = torch.randn(6, 40, generator=generator)
        x[2, 5], x[4, 5], x[0, 31], x[3, 17] = 6.0, -20.5, -6.0, 5.996
        x = x.half()
        codes, absmax, outliers = F.int8_vectorwise_quant(x.clone(), threshold=threshold)
        rows.append({
            "name": name, "rows": 6, "cols": 40, "threshold": threshold, "values": hexed(x.float()),
            "codes": hexed(codes), "absmax": hexed(absmax),
            "outliers": [] if outliers is None else outliers.tolist(),
        })
    return {"weights": cases, "rows": rows}


def make_gguf():
    random = np.random.default_rng(3)
    normal = random.standard_normal((6, 96)).astype(np.float32)
    special = np.zeros((5, 64), np.float32)
    special[0, :32] = np.arange(32) - 15.5
    special[1, 3], special[1, 9], special[1, 40] = 2.0, -2.0, 1e-7
    special[2] = 0.25
    special[3, :32] = np.linspace(-127, 127, 32)
    special[3, 32:] = (np.arange(32) - 16) / 2
    special[4] = np.tile([1.0, -1.0], 32) * 1e-3
    special[3, 33] = 127.0
    cases = []
    for kind, size in (("Q4_0", 18), ("Q4_1", 20), ("Q8_0", 34)):
        type_ = GGMLQuantizationType[kind]
        for name, x in (("normal", normal), ("special", special)):
            coded = quantize(x, type_)
            cases.append({
                "name": name, "encoding": kind.lower(), "rows": x.shape[0], "cols": x.shape[1],
                "values": hexed(x), "codes": hexed(coded), "decoded": hexed(dequantize(coded, type_)),
            })
        coded = random.integers(0, 256, (3, 4 * size), dtype=np.uint8)
        for block in coded.reshape(-1, size):  # finite scales, denormal ones too
            block[1] &= 0xBB
            block[3] = block[3] & 0xBB if kind == "Q4_1" else block[3]
        coded[0, 1] = 0
        cases.append({
            "name": "random_bytes", "encoding": kind.lower(), "rows": 3, "cols": 128,
            "codes": hexed(coded), "decoded": hexed(dequantize(coded, type_)),
        })
    return {"cases": cases}


def main():
    default = Path(__file__).resolve().parent.parent / "precision"
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    out.mkdir(parents=True, exist_ok=True)
    files = {
        "four_bit.json": make_four_bit(portable_quantize_blockwise()),
        "int8.json": make_int8(),
        "gguf.json": make_gguf(),
    }
    for name, content in files.items():
        (out / name).write_text(json.dumps(content, indent=1) + "\n")
        print(name, (out / name).stat().st_size, "bytes")


if __name__ == "__main__":
    main()
