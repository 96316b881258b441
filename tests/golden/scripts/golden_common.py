# Copyright the assay authors
# SPDX-License-Identifier: Apache-2.0
"""What the scripts for model and op goldens share: seeds, writing, checks."""

import hashlib
import json
import random
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

LARGEST_FILE = 500 * 1024


def fixed_seed(name: str) -> int:
    """A seed that depends on the name alone, so that adding a model moves no other."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")


def seed_everything(name: str) -> None:
    seed = fixed_seed(name)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def as_array(value) -> np.ndarray:
    """float -> F32, int -> I32, bytes/uint8/int8 as they are: the types that the tests read."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    value = np.asarray(value)
    if value.dtype in (np.int8, np.uint8, np.float16):
        pass
    elif np.issubdtype(value.dtype, np.integer):
        value = value.astype(np.int32)
    else:
        value = value.astype(np.float32)
        check(bool(np.isfinite(value).all()), "a golden value is not finite")
    return np.ascontiguousarray(value)


def check(condition: bool, message: str) -> None:
    if not condition:
        raise SystemExit(f"make_model_golden: {message}")


def write_golden(path: Path, tensors: dict, metadata: dict | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: as_array(value) for name, value in tensors.items()}
    # One key: the writer's order of several is not fixed, and the bytes shall be.
    save_file(arrays, str(path), metadata={"golden": json.dumps(metadata or {})})
    path.chmod(0o644)
    size = path.stat().st_size
    check(size < LARGEST_FILE, f"{path} has {size} bytes, more than {LARGEST_FILE}")
    print(f"{path}: {len(arrays)} tensors, {size / 1024:.0f} KiB")


def relative_difference(got: torch.Tensor, reference: torch.Tensor) -> float:
    """max|got - reference| / max|reference|: agreement as the design defines it."""
    return ((got - reference).abs().max() / reference.abs().max()).item()
