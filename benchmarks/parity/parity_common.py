# Copyright the assay authors
# SPDX-License-Identifier: Apache-2.0
"""What the parity checks share: running the program, and the reference model from the same GGUF."""

import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "golden" / "scripts"))


def run_assay(binary: Path, *arguments: str) -> str:
    """Standard output of the program; stops with its own message where it fails."""
    done = subprocess.run([str(binary), *arguments], capture_output=True, text=True,
                          encoding="utf-8")
    if done.returncode != 0:
        command = " ".join([binary.name, *arguments])
        raise SystemExit(f"parity: '{command}' ended with {done.returncode}:\n"
                         f"{done.stderr.strip()}")
    return done.stdout
