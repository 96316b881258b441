#!/usr/bin/env python3
"""Writes the golden files of the file formats: .npy by numpy, .pt and .bin by
torch, with safetensors files that hold the same values.

    make_file_golden.py --out tests/golden
"""

import argparse
import collections
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file as save_torch
from safetensors.numpy import save_file as save_numpy

NPY_TYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "bool"]


def write_npy(folder: Path) -> None:
    expected = {}
    for name in NPY_TYPES:
        array = np.arange(-3, 3).reshape(2, 3) % 5 if name[0] == "u" else np.arange(-3, 3).reshape(2, 3)
        expected[name] = array.astype(np.dtype(name))
        np.save(folder / f"{name}.npy", expected[name])
    expected["scalar"] = np.array(2.5, dtype=np.float32)
    expected["vector"] = np.arange(5, dtype=np.float32)
    expected["empty"] = np.zeros((0, 4), dtype=np.float32)
    for name in ["scalar", "vector", "empty"]:
        np.save(folder / f"{name}.npy", expected[name])
    for version in [(1, 0), (2, 0), (3, 0)]:
        name = f"version{version[0]}"
        expected[name] = np.arange(4, dtype=np.int16)
        with open(folder / f"{name}.npy", "wb") as file:
            np.lib.format.write_array(file, expected[name], version=version)
    save_numpy(expected, folder / "npy.safetensors")


def model() -> torch.nn.Module:
    torch.manual_seed(1)
    module = torch.nn.Sequential(collections.OrderedDict(
        embed=torch.nn.Embedding(5, 4), norm=torch.nn.LayerNorm(4), head=torch.nn.Linear(4, 5)))
    module.head.weight = module.embed.weight  # tied: one storage, two names
    return module


def flattened(tensors: dict) -> dict:
    return {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}


def write_state_dict(folder: Path) -> None:
    state = model().state_dict()
    torch.save(state, folder / "state_dict.pt")
    save_torch(flattened(state), folder / "state_dict.safetensors")


def write_views(folder: Path) -> None:
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    tensors = {
        "base": base,
        "transposed": base.t(),
        "rows": base[1:3],
        "columns": base[:, 2:5],
        "cube": base.reshape(2, 2, 6).permute(2, 0, 1),
        "scalar": torch.tensor(1.5),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.tensor([1.0, -2.0])),
        "half": torch.tensor([0.5, -1.0], dtype=torch.float16),
        "bf16": torch.tensor([[0.5], [-1.0]], dtype=torch.bfloat16),
        "double": torch.tensor([1e-300], dtype=torch.float64),
        "long": torch.tensor([-1, 1 << 40]),
        "int": torch.tensor([-1, 7], dtype=torch.int32),
        "short": torch.tensor([-2], dtype=torch.int16),
        "char": torch.tensor([-3], dtype=torch.int8),
        "byte": torch.tensor([200], dtype=torch.uint8),
        "bool": torch.tensor([True, False]),
    }
    torch.save({"model": tensors, "list": [torch.ones(2), torch.zeros(1)], "epoch": 3, "step": 1 << 40,
                "rate": 0.5, "name": "views", "frozen": True, "nothing": None}, folder / "views.pt")
    expected = {f"model.{name}": tensor for name, tensor in tensors.items()}
    expected |= {"list.0": torch.ones(2), "list.1": torch.zeros(1)}
    save_torch(flattened(expected), folder / "views.safetensors")


def write_others(folder: Path) -> None:
    tensor = torch.tensor([[1, 2, 3]])
    torch.save(tensor, folder / "bare.pt")
    torch.save(tensor, folder / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.save(tensor.to(torch.float8_e4m3fn), folder / "float8.pt")
    torch.save(torch.nn.Linear(1, 1), folder / "module.pt")


def write_shards(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    state = flattened(model().state_dict())
    files = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"]
    names = list(state)
    parts = [names[:2], names[2:]]
    weight_map = {}
    for file, part in zip(files, parts):
        torch.save({name: state[name] for name in part}, folder / file)
        weight_map |= {name: file for name in part}
    size = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    (folder / "pytorch_model.bin.index.json").write_text(
        json.dumps({"metadata": {"total_size": size}, "weight_map": weight_map}, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    folder = parser.parse_args().out / "files"
    folder.mkdir(parents=True, exist_ok=True)
    write_npy(folder)
    write_state_dict(folder)
    write_views(folder)
    write_others(folder)
    write_shards(folder / "sharded_bin")


if __name__ == "__main__":
    main()
