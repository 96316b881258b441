#!/usr/bin/env python3
"""Instructions of one decode step, which do not depend on what else the machine does.

callgrind counts the steps of a program that decodes (decode_steps.cpp), but for the first, which allocate. A step may
have no more than 5 % above what decode_step.json records for AVX2.

    ASSAY_DECODE_STEPS=build/test/tests/decode_steps python3 tests/instructions/test_instructions.py --write

renews the record: after a change that makes steps cheaper, or one that is worth its price."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.environ.get("ASSAY_DECODE_STEPS", "")
RECORD = pathlib.Path(__file__).with_name("decode_step.json")
RECIPES = ["bf16", "int8", "nf4"]
STEPS = 8
SLACK = 1.05


def why_not():
    """Why nothing can be counted here; empty if it can."""
    if shutil.which("valgrind") is None:
        return "valgrind is not installed"
    if not os.access(PROGRAM, os.X_OK):
        return "ASSAY_DECODE_STEPS does not name a program"
    flags = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    if subprocess.run([PROGRAM], capture_output=True, check=False).returncode == 3:
        return "the program was built without valgrind/callgrind.h"
    return "" if re.search(r"\bavx2\b", flags) else "this processor has no AVX2"


def instructions_of_a_step(recipe):
    with tempfile.NamedTemporaryFile() as out:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out.name}", PROGRAM, recipe,
             str(STEPS)],
            env={**os.environ, "ASSAY_CPU_ISA": "avx2"}, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        text = pathlib.Path(out.name).read_text(encoding="utf-8", errors="replace")
    return round(int(re.search(r"^totals: (\d+)", text, re.MULTILINE).group(1)) / STEPS)


class DecodeStep(unittest.TestCase):
    def test_a_step_is_no_dearer_than_recorded(self):
        reason = why_not()
        if reason:
            self.skipTest(reason)
        recorded = json.loads(RECORD.read_text(encoding="utf-8"))
        self.assertEqual(sorted(recorded), sorted(RECIPES))
        for recipe in RECIPES:
            with self.subTest(recipe):
                step = instructions_of_a_step(recipe)
                print(f"{recipe}: {step:,} instructions a step, {recorded[recipe]:,} recorded")
                self.assertLessEqual(step, recorded[recipe] * SLACK)
                # Far less is not a step any more, or deserves a new record.
                self.assertGreaterEqual(step, recorded[recipe] * 0.5)


def write():
    reason = why_not()
    if reason:
        sys.exit(reason)
    RECORD.write_text(json.dumps({r: instructions_of_a_step(r) for r in RECIPES}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if "--write" in sys.argv:
        write()
    else:
        unittest.main()
