#!/usr/bin/env python3
# Copyright the assay authors
# SPDX-License-Identifier: Apache-2.0
"""Logits of a small Llama in every quantized type of GGUF: gguf/types.safetensors.

    make_gguf_types_golden.py --tests build/test/tests/test_engine --out tests/golden

The test program writes the files (it makes the same ones whenever it runs, so they are not kept); the
package `gguf` decodes their weights, and transformers computes with these in fp32.
"""

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch  # noqa: E402  (the environment is set before torch loads)

from golden_common import check, write_golden  # noqa: E402
from golden_gguf import GgufLlama  # noqa: E402

TYPES = 13


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", type=Path, required=True, help="the program test_engine")
    parser.add_argument("--out", type=Path, required=True, help="the folder tests/golden")
    options = parser.parse_args()
    torch.set_num_threads(1)
    ids = torch.tensor([(3 + 11 * i) % 131 for i in range(16)])
    tensors = {"ids": ids}
    with tempfile.TemporaryDirectory() as work:
        # It fails where the golden file is not yet right; the files are there either way.
        subprocess.run([options.tests, "--gtest_filter=*GoldenGgufTypes.LogitsAgree*"],
                       env=os.environ | {"ASSAY_WRITE_GGUF_TYPES": work}, check=False,
                       stdout=subprocess.DEVNULL)
        paths = sorted(Path(work).glob("*.gguf"))
        check(len(paths) == TYPES, f"{len(paths)} files instead of {TYPES}")
        for path in paths:
            tensors[f"{path.stem}.logits"] = GgufLlama(path).model()(ids[None]).logits[0]
    write_golden(options.out / "gguf" / "types.safetensors", tensors)


if __name__ == "__main__":
    main()
