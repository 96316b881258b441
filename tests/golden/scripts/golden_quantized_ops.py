# Copyright the assay authors
# SPDX-License-Identifier: Apache-2.0
"""Quantized linear layers: the result by the definition in numerics.md, summed in float64, and what
bitsandbytes computes on the CPU.

Inputs x are exact in fp32, fp16 and bf16, so one file serves every compute type.
"""

from dataclasses import dataclass
from pathlib import Path

import bitsandbytes as bnb
import bitsandbytes.functional as bnb_functional
import numpy as np
import torch
from bitsandbytes.backends.default.ops import _dequantize_4bit_compute as portable_decode

from golden_common import check, relative_difference, seed_everything, write_golden

# The portable path of bitsandbytes has 6.200124e-05 for 1/127^2.
PACKAGE_CONSTANT_ERROR = abs(6.200124e-05 * 127 * 127 - 1)
FP16_EPSILON = 2.0 ** -10


def exact_in_16_bit(x: torch.Tensor) -> torch.Tensor:
    x = x.to(torch.bfloat16).to(torch.float32)
    x[x.abs() < 2.0 ** -8] = 0
    check(bool((x.to(torch.float16).to(torch.float32) == x).all()), "x is not exact in fp16")
    return x


@dataclass
class Case:
    name: str
    x: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor | None
    threshold: float = 6.0


def random_case(name: str, rows: int, cols: int, outputs: int, bias: bool,
                outliers: list[tuple[int, int, float]], threshold: float = 6.0) -> Case:
    seed_everything(f"ops/{name}")
    x = torch.randn(rows, cols)
    x[x.abs() > 4] = 1.0
    for row, col, value in outliers:
        x[row, col] = value
    weight = torch.randn(outputs, cols) / cols ** 0.5
    return Case(name, exact_in_16_bit(x), weight, torch.randn(outputs) if bias else None, threshold)


def zero_rows_case() -> Case:
    """Zero rows of x and of the weight, and a row that holds nothing but an outlier."""
    case = random_case("zero_rows", 4, 96, 9, True, [(3, 5, 12.0)])
    case.x[1] = 0
    case.x[3] = 0
    case.x[3, 5] = 12.0
    case.weight[4] = 0
    return case


def saturated_case() -> Case:
    """Every code is +-127: what a saturating 16-bit sum of pairs gets wrong."""
    seed_everything("ops/saturated")
    x = torch.ones(6, 260)
    x[1::2] = -1
    x[4:, ::3] = -x[4:, ::3]
    weight = torch.full((10, 260), 0.5)
    weight[1::2] = -0.5
    weight[8:, 1::2] = -weight[8:, 1::2]
    return Case("saturated", x, weight, None)


def int8_cases() -> list[Case]:
    outliers = [(1, 7, 9.0), (3, 50, -7.5), (4, 7, -6.5), (0, 90, 5.96875), (2, 91, 6.0)]
    with_outliers = random_case("outliers", 5, 96, 40, True, outliers)
    no_threshold = Case("threshold_0", with_outliers.x, with_outliers.weight, with_outliers.bias, 0.0)
    return [with_outliers, no_threshold,
            random_case("one_row", 1, 70, 33, False, [(0, 3, 11.0), (0, 69, -6.25)]),
            random_case("no_outliers", 5, 200, 72, True, []),
            random_case("wide", 3, 333, 17, False, [(2, 332, 40.0), (0, 0, -6.0)]),
            zero_rows_case(), saturated_case()]


def rows_to_int8(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """numerics.md: in f32, absmax per row, code = rint(value x (127 / absmax)); a zero row has 0."""
    absmax = np.abs(values).max(axis=1).astype(np.float32)
    scale = np.divide(np.float32(127), absmax, out=np.zeros_like(absmax), where=absmax > 0)
    return np.rint(values * scale[:, None]).astype(np.int8), absmax


def int8_reference(case: Case) -> dict[str, np.ndarray]:
    x = case.x.numpy()
    codes, absmax = rows_to_int8(case.weight.to(torch.float16).to(torch.float32).numpy())
    large = np.abs(x) >= case.threshold if case.threshold > 0 else np.zeros(x.shape, bool)
    columns = np.flatnonzero(large.any(axis=0))
    x_codes, x_absmax = rows_to_int8(np.where(large, np.float32(0), x))
    x_codes[:, columns] = 0
    sums = x_codes.astype(np.int64) @ codes.astype(np.int64).T
    check(bool((np.abs(sums) < 2 ** 31).all()), f"{case.name}: a sum overflows int32")
    scales = x_absmax.astype(np.float64)[:, None] * absmax.astype(np.float64)
    decoded = codes.astype(np.float64) * absmax.astype(np.float64)[:, None] / 127
    bias = 0.0 if case.bias is None else case.bias.numpy().astype(np.float64)
    x64 = x.astype(np.float64)
    return {"codes": codes.astype(np.int32), "absmax": absmax, "x_codes": x_codes.astype(np.int32),
            "x_absmax": x_absmax, "outlier_columns": columns, "sums": sums,
            "y": sums * scales / 127 ** 2 + x64[:, columns] @ decoded[:, columns].T + bias,
            "y_weight_only": x64 @ decoded.T + bias,
            "y_float": x64 @ case.weight.numpy().astype(np.float64).T + bias}


def int8_package(case: Case) -> dict[str, torch.Tensor]:
    """MatMul8bitLt through the layer that users have, activations in fp16."""
    outputs, cols = case.weight.shape
    layer = bnb.nn.Linear8bitLt(cols, outputs, bias=case.bias is not None, has_fp16_weights=False,
                                threshold=case.threshold)
    layer.weight = bnb.nn.Int8Params(case.weight.clone(), requires_grad=False,
                                     has_fp16_weights=False)
    if case.bias is not None:
        layer.bias = torch.nn.Parameter(case.bias.to(torch.float16))
    layer = layer.to("cpu").eval()
    y = layer(case.x.to(torch.float16))
    return {"y": y.float(), "codes": layer.weight.data.to(torch.int32),
            "absmax": layer.state.SCB if layer.state.SCB is not None else layer.weight.SCB}


def check_codes(case: Case, reference: dict, package: dict) -> None:
    """Codes are the package's, but for ties: on the CPU it computes 127/absmax as (1/absmax) x 127,
    one rounding more, and so falls on the other side of some halves. numerics.md divides once."""
    codes, absmax = package["codes"].numpy(), reference["absmax"].astype(np.float64)
    row, col = np.nonzero((codes != reference["codes"]) & (absmax > 0)[:, None])
    values = case.weight.to(torch.float16).double().numpy()[row, col] * 127 / absmax[row]
    check(bool((np.abs(np.abs(values) % 1 - 0.5) < 1e-5).all()),
          f"int8 {case.name}: weight codes differ from the package's beyond ties")


def check_int8(case: Case, reference: dict, package: dict) -> float:
    check_codes(case, reference, package)
    check(bool((package["absmax"].numpy() == reference["absmax"]).all()),
          f"int8 {case.name}: weight scales differ from the package's")
    largest = np.abs(reference["y"]).max()
    difference = np.abs(package["y"].numpy() - reference["y"]).max() / largest
    # The package rounds the product, the dequantized outlier columns and the sum to fp16.
    check(difference <= 2 * FP16_EPSILON + PACKAGE_CONSTANT_ERROR,
          f"int8 {case.name}: differs from the package by {difference:.1e}")
    return float(difference)


def make_int8(out: Path) -> None:
    tensors, differences = {}, {}
    for case in int8_cases():
        reference, package = int8_reference(case), int8_package(case)
        differences[case.name] = f"{check_int8(case, reference, package):.1e}"
        tensors |= {f"{case.name}.{key}": value for key, value in reference.items()}
        tensors |= {f"{case.name}.x": case.x, f"{case.name}.weight": case.weight,
                    f"{case.name}.threshold": np.array([case.threshold]),
                    f"{case.name}.package_y": package["y"]}
        if case.bias is not None:
            tensors[f"{case.name}.bias"] = case.bias
    write_golden(out / "ops" / "int8_linear.safetensors", tensors,
                 {"package_difference": differences})
    print("   ", differences)


def dynamic_map_codes(values: torch.Tensor, table: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Blocks of 256, each value over its block's absmax, nearest entry of the table."""
    codes, scales = [], []
    for block in values.split(256):
        absmax = block.abs().max()
        scaled = (block / absmax).clamp(-1, 1)
        codes.append((scaled[:, None] - table).abs().argmin(1))
        scales.append(absmax)
    return torch.cat(codes), torch.stack(scales)


def double_quantized(absmax: torch.Tensor) -> dict[str, torch.Tensor]:
    table = bnb_functional.create_dynamic_map(signed=True)
    offset = absmax.double().mean().float()
    codes, scales = dynamic_map_codes(absmax - offset, table)
    restored = table[codes] * scales.repeat_interleave(256)[:len(codes)] + offset
    return {"nested_codes": codes, "nested_absmax": scales, "offset": offset[None],
            "nested_scales": restored}


def scaled_blocks(levels: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    flat = levels.flatten()
    return (flat * scales.repeat_interleave(64)[:flat.numel()]).reshape(levels.shape)


def product(case: Case, weight: torch.Tensor) -> torch.Tensor:
    y = case.x.double() @ weight.double().T
    return y if case.bias is None else y + case.bias.double()


def four_bit_case(case: Case, kind: str) -> dict:
    packed, state = bnb_functional.quantize_4bit(case.weight, blocksize=64, quant_type=kind)
    bytes_ = packed.flatten().to(torch.int32)
    codes = torch.stack([bytes_ >> 4, bytes_ & 15], 1).flatten()[:case.weight.numel()]
    levels = state.code[codes.long()].reshape(case.weight.shape)
    decoded = scaled_blocks(levels, state.absmax)
    portable = portable_decode(packed.flatten(), state.absmax, state.code, 64, case.weight.shape,
                               torch.float32)
    check(bool((portable == decoded).all()),
          f"{kind} {case.name}: code x absmax is not what the package decodes")
    nested = double_quantized(state.absmax)
    decoded_nested = scaled_blocks(levels, nested["nested_scales"])
    result = {"x": case.x, "weight": case.weight, "packed": bytes_, "absmax": state.absmax,
              "decoded": decoded, "y": product(case, decoded), **nested,
              "y_double_quant": product(case, decoded_nested),
              "y_float": product(case, case.weight)}
    if case.bias is not None:
        result["bias"] = case.bias
    if case.weight.shape[1] % 64 == 0:
        # The package's native CPU decoder takes the wrong block's absmax where a block crosses rows;
        # its portable decoder, above, does not.
        result["package_y"] = bnb.matmul_4bit(case.x, packed.t(), quant_state=state, bias=case.bias)
        worst = relative_difference(result["package_y"], result["y"])
        check(worst < 1e-5, f"{kind} {case.name}: the package's product differs by {worst:.1e}")
    return result


def make_four_bit(out: Path) -> None:
    # Blocks run across rows (96 and 70 are no multiples of 64); 33 x 70 ends in a partial block;
    # 130 x 128 has 260 blocks, more than the 256 that share a nested scale.
    cases = [random_case("blocks_cross_rows", 5, 96, 40, True, []),
             random_case("partial_block", 3, 70, 33, False, []),
             random_case("two_nested_blocks", 2, 128, 130, False, [])]
    for kind in ("nf4", "fp4"):
        tensors = {}
        for case in cases:
            tensors |= {f"{case.name}.{key}": value
                        for key, value in four_bit_case(case, kind).items()}
        write_golden(out / "ops" / f"{kind}_linear.safetensors", tensors)


@torch.no_grad()
def make_quantized_ops(out: Path) -> None:
    make_int8(out)
    make_four_bit(out)
