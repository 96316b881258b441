#!/usr/bin/env python3
"""Records which tensor-core instructions the kernels are made of, from their disassembly.

    tensor_instructions.py CUOBJDUMP OUTPUT OBJECT...     (OUTPUT: a C++ file, see
                                                           src/kernels/cuda/instructions.h)

A row is one kernel, one architecture and one instruction with the types it works on:
"attend_tensor_cores...", 90, "HMMA.16816.F32.BF16", 256 times. Kernels without any have one row with
an empty instruction, so that a kernel that is not in the table is known to be nobody's. PTX is compiled
by the driver later and cannot be seen here."""
import collections
import pathlib
import re
import subprocess
import sys

TENSOR_CORE = re.compile(r"\b((?:[HIQDBO]|HG|IG|QG|BG|UTC[HIQO]|OM|QM)MMA)((?:\.[A-Z0-9_]+)*)")


def disassemble(cuobjdump, objects):
    """(kernel, architecture) -> Counter of instructions."""
    table = collections.OrderedDict()
    for path in objects:
        process = subprocess.Popen([cuobjdump, "--dump-sass", path], stdout=subprocess.PIPE, text=True)
        architecture, counts = 0, None
        for line in process.stdout:
            found = re.match(r"\s*(?:arch = |code for )sm_(\d+)a?", line)
            if found:
                architecture = int(found.group(1))
                continue
            found = re.match(r"\s*Function : (\S+)", line)
            if found:
                counts = table.setdefault((found.group(1), architecture), collections.Counter())
                continue
            found = TENSOR_CORE.search(line)
            if found and counts is not None:
                # What is behind the types are hints to the scheduler.
                counts[(found.group(1) + found.group(2)).removesuffix(".reuse")] += 1
        if process.wait() != 0:
            sys.exit(f"{cuobjdump} failed for {path}")
    return table


def main():
    cuobjdump, output, objects = sys.argv[1], sys.argv[2], sys.argv[3:]
    rows = []
    for (kernel, architecture), counts in sorted(disassemble(cuobjdump, objects).items()):
        for instruction, count in sorted(counts.items()) or [("", 0)]:
            rows.append(f'    {{"{kernel}", {architecture}, "{instruction}", {count}}},\n')
    table = "constexpr TensorCoreUse kTable[] = {\n" + "".join(rows) + "};\n"
    text = ('#include "kernels/cuda/instructions.h"\n\nnamespace assay::kernels::cuda {\nnamespace {\n\n'
            + (table if rows else "constexpr std::span<const TensorCoreUse> kTable;\n")
            + "\n}  // namespace\n\nstd::span<const TensorCoreUse> tensor_core_uses() { return kTable; }\n\n"
            "}  // namespace assay::kernels::cuda\n")
    target = pathlib.Path(output)
    if not target.exists() or target.read_text() != text:
        target.write_text(text)


if __name__ == "__main__":
    main()
