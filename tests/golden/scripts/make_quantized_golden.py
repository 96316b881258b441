#!/usr/bin/env python3
# Copyright the assay authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the golden files of quantized checkpoints.

    make_quantized_golden.py --out tests/golden [--only bitsandbytes,...]
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")

import torch  # noqa: E402  (the environment is set before torch loads)

from golden_mxfp4_models import make_mxfp4  # noqa: E402
from golden_packed_models import make_compressed_tensors, make_gptq  # noqa: E402
from golden_quantized_models import make_bitsandbytes  # noqa: E402

MAKERS = {"bitsandbytes": make_bitsandbytes, "compressed-tensors": make_compressed_tensors,
          "gptq": make_gptq, "mxfp4": make_mxfp4}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the folder tests/golden")
    parser.add_argument("--only", default=",".join(MAKERS), help="names, separated by commas")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as work:
        for name in options.only.split(","):
            MAKERS[name](options.out, Path(work))


if __name__ == "__main__":
    main()
