#!/usr/bin/env python3
# Copyright the assay authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the golden files of models and quantized ops from transformers and bitsandbytes.

    make_model_golden.py --out tests/golden                  random models and quantized ops only
    make_model_golden.py --out tests/golden --only qwen2 phi3    some random models, nothing else
    make_model_golden.py --smollm2 FILE --minilm DIR --sst2 DIR --sst2-eval TSV --out tests/golden

A part whose model is not given is left as it is.

Same versions, same bytes: every part has a fixed seed. README.md beside this file says how to make
the environment and what the files contain.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")

import torch  # noqa: E402  (the environment is set before torch loads)

from golden_quantized_ops import make_quantized_ops  # noqa: E402
from golden_random_models import make_random_models  # noqa: E402
from golden_real_models import make_minilm, make_smollm2, make_sst2  # noqa: E402


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the folder tests/golden")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these random models alone")
    parser.add_argument("--smollm2", type=Path, help="SmolLM2-135M-Instruct.Q4_1.gguf")
    parser.add_argument("--minilm", type=Path, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--sst2", type=Path, help="folder of distilbert-sst2-mini")
    parser.add_argument("--sst2-eval", type=Path, help="labelled TSV to predict with --sst2")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)
    make_random_models(options.out, options.only)
    if options.only:
        return
    make_quantized_ops(options.out)
    if options.smollm2:
        make_smollm2(options.smollm2, options.out)
    if options.minilm:
        make_minilm(options.minilm, options.out)
    if options.sst2:
        make_sst2(options.sst2, options.sst2_eval, options.out)


if __name__ == "__main__":
    main()
