#!/usr/bin/env python3
"""All comparisons, and their table.

    python benchmarks/peers/run.py --work FOLDER --gguf SmolLM2.gguf             # everything, then the table
    python benchmarks/peers/run.py --work FOLDER --gguf SmolLM2.gguf --piece encoder-int8-b1
    python benchmarks/peers/run.py --work FOLDER --table

A piece takes one to four minutes, so that a busy machine can be given up between two. Results are kept in
FOLDER/results.jsonl; the table shows the newest of each."""
import argparse
import json
import pathlib
import subprocess
import sys

import common

HERE = pathlib.Path(__file__).resolve().parent


def pieces(arguments):
    """{name: command}"""
    options = ["--assay", arguments.assay, "--work", arguments.work, "--threads", str(arguments.threads),
               "--rounds", str(arguments.rounds)]
    commands = {}
    for precision in ("fp32", "bf16", "int8"):
        for batch in (1, 16):
            commands[f"encoder-{precision}-b{batch}"] = ["encoder.py", *options, "--precision", precision,
                                                        "--batch", str(batch)]
    if arguments.gguf:
        for precision in ("bf16", "int8", "nf4", "stored"):
            commands[f"decoder-{precision}"] = ["decoder.py", arguments.gguf, *options, "--precision",
                                                precision]
        commands["first-token"] = ["own.py", *options, "--what", "first-token", "--gguf", arguments.gguf]
    for what in ("outliers", "memory"):
        commands[what] = ["own.py", *options, "--what", what]
    return commands


def newest(work):
    results = {}
    for line in (pathlib.Path(work) / "results.jsonl").read_text().splitlines():
        fact = json.loads(line)
        results[fact["work"], fact["precision"], fact["name"]] = fact
    return results


def table(arguments):
    """Markdown for docs/performance.md."""
    results = newest(arguments.work)
    versions = {}
    for fact in results.values():
        versions.update({k: v for k, v in fact["versions"].items() if v})
    print(f"{common.machine(arguments.threads)}; "
          + ", ".join(f"{name} {version}" for name, version in sorted(versions.items())) + "\n")
    print("| work | precision | program | median | assay is faster by (range) | remark |")
    print("| --- | --- | --- | --- | --- | --- |")
    for (work, precision, name), fact in sorted(results.items()):
        value = "-" if fact["value"] is None else f"{fact['value']:.4g} {fact['unit']}"
        ratio = fact["ratio"]
        faster = "" if ratio is None else f"{ratio[0]:.2f} ({ratio[1]:.2f} to {ratio[2]:.2f})"
        print(f"| {work} | {precision} | {name} | {value} | {faster} | {fact['note']} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    common.add_options(parser)
    parser.add_argument("--gguf", help="SmolLM2-135M-Instruct, for the decoders")
    parser.add_argument("--piece", action="append", help="only this; may be given several times")
    parser.add_argument("--list", action="store_true", help="names of the pieces")
    parser.add_argument("--table", action="store_true", help="only the table of what was measured")
    arguments = parser.parse_args()
    pathlib.Path(arguments.work).mkdir(parents=True, exist_ok=True)
    commands = pieces(arguments)
    if arguments.list:
        print("\n".join(commands))
        return
    if not arguments.table:
        for name in arguments.piece or commands:
            if name not in commands:
                parser.error(f"no piece {name}; there are {', '.join(commands)}")
            print(f"# {name}", flush=True)
            script, *rest = commands[name]
            subprocess.run([sys.executable, str(HERE / script), *rest], check=True)
    if not arguments.piece:
        table(arguments)


if __name__ == "__main__":
    main()
