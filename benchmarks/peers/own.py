#!/usr/bin/env python3
"""What assay is held to without a peer, or beside one figure of a peer's:

    python benchmarks/peers/own.py --work FOLDER --what first-token --gguf MODEL.gguf
    python benchmarks/peers/own.py --work FOLDER --what outliers      # int8 with eight outlier columns against none
    python benchmarks/peers/own.py --work FOLDER --what memory        # decoding against the memory's speed

The last two run on the synthetic 1.1B model, whose weights fit no cache."""
import argparse
import pathlib
import statistics
import subprocess
import time

import common

MODEL = "synthetic:tinyllama-1.1b"
EMBEDDINGS = 32000 * 2048 * 2  # of one table in 16 bits; a step reads one row of it


def keep(arguments, name, unit, values, note, ratio=None):
    common.record(arguments.work, work=arguments.what, precision="", name=name, unit=unit,
                  value=statistics.median(values), ratio=ratio, note=note,
                  date=time.strftime("%Y-%m-%d"), versions={})
    spread = f"{min(values):.3f} to {max(values):.3f}"
    print(f"{name:44} {statistics.median(values):9.3f} {unit}  ({spread})  {note}", flush=True)


def first_token(arguments):
    """The whole process: start, opening, loading, a prompt, one token."""
    command = [arguments.assay, "generate", "-m", arguments.gguf, "--precision", "stored", "--prompt",
               "The capital of France is", "-n", "1", "-t", str(arguments.threads), "-q"]
    times = []
    for _ in range(arguments.rounds + 1):
        begin = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        times.append(time.perf_counter() - begin)
    assert done.stdout.strip(), "no token came"
    keep(arguments, "GGUF to first token, as stored", "s", times[1:], f"token {done.stdout.strip()!r}")


def bench(arguments, model, precision, *options):
    row, = common.assay_rows(arguments.assay, [
        "-m", model, "--precision", precision, "-t", arguments.threads, *options],
        pathlib.Path(arguments.work) / "peers.db")
    return row


def columns_a_call(row):
    """Outlier columns of an int8 layer's call, over all that ran."""
    layers = [entry for entry in row["executed"] if entry["compute"] == "int8"]
    return sum(e.get("outlier_columns", 0) for e in layers) / max(1, sum(e["calls"] for e in layers))


def outliers(arguments):
    for label, options in (("decode", ["-p", "0", "-n", "16", "-r", "2"]),
                           ("prompt of 128", ["-p", "128", "-n", "0", "-r", "1"])):
        with_, without = [], []
        for _ in range(arguments.rounds):
            row = bench(arguments, MODEL + ":outliers", "int8", *options)
            columns = columns_a_call(row)
            with_.append(1 / row["metrics"]["tokens_per_second"]["value"])
            row = bench(arguments, MODEL + ":outliers", "{precision: int8, threshold: 0}", *options)
            without.append(1 / row["metrics"]["tokens_per_second"]["value"])
        ratio = common.ratio(with_, without)
        keep(arguments, f"{label}: threshold 6 over threshold 0", "times",
             [a / b for a, b in zip(with_, without)], f"{columns:.1f} outlier columns a call", ratio)


def memory_speed(threads, gigabytes=1):
    """Bytes a second of reading what fits no cache."""
    import torch
    torch.set_num_threads(threads)
    values = torch.ones(gigabytes * 2**28)
    return gigabytes * 2**30 / common.seconds(values.sum, 5, 0.5)


def memory(arguments):
    for precision in ("bf16", "int8", "nf4"):
        shares, rates, speeds = [], [], []
        for _ in range(arguments.rounds):
            speeds.append(memory_speed(arguments.threads))
            row = bench(arguments, MODEL, precision, "-p", "0", "-n", "16", "-r", "2")
            rates.append(row["metrics"]["tokens_per_second"]["value"])
            read = row["metrics"]["weight_bytes"]["value"] - EMBEDDINGS
            shares.append(100 * rates[-1] * read / speeds[-1])
        keep(arguments, f"1.1B decode, {precision}: share of memory bound", "%", shares,
             f"{statistics.median(rates):.1f} tokens/s, {read / 1e6:.0f} MB a token, memory "
             f"{statistics.median(speeds) / 1e9:.1f} GB/s")


WHAT = {"first-token": first_token, "outliers": outliers, "memory": memory}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    common.add_options(parser)
    parser.add_argument("--what", choices=list(WHAT), required=True)
    parser.add_argument("--gguf", help="of SmolLM2, for first-token")
    arguments = parser.parse_args()
    if arguments.what == "first-token" and not arguments.gguf:
        parser.error("first-token needs --gguf")
    print(common.machine(arguments.threads))
    WHAT[arguments.what](arguments)


if __name__ == "__main__":
    main()
