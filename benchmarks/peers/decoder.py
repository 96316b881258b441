#!/usr/bin/env python3
"""A GGUF decoder at several precisions: assay beside llama.cpp, alternating, in one run.

    python benchmarks/peers/decoder.py MODEL.gguf [--assay build/release/src/assay] [--rounds 5]

Needs an environment with llama-cpp-python. llama.cpp's own tool requantizes the file into a temporary
folder. Each round measures a prompt of 512 and 64 tokens behind it with both programs, one after the
other; medians over the rounds and the ratio are printed, with the smallest and largest ratio."""
import argparse
import ctypes
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import llama_cpp

# Our precision against llama.cpp's file type (its number in llama.h) of the same size.
PAIRS = [("bf16", "BF16", 32), ("int8", "Q8_0", 7), ("nf4", "Q4_0", 2), ("stored", "stored", None)]
PROMPT, GENERATE = 512, 64


def requantize(source, folder, name, number):
    if number is None:
        return source
    target = str(pathlib.Path(folder) / f"{name}.gguf")
    params = llama_cpp.llama_model_quantize_default_params()
    params.nthread, params.ftype, params.allow_requantize = os.cpu_count(), number, True
    if llama_cpp.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(params)) != 0:
        raise SystemExit(f"llama.cpp could not write {name}")
    return target


class Llama:
    """One loaded llama.cpp model."""

    def __init__(self, path, threads):
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = 0
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), params)
        context = llama_cpp.llama_context_default_params()
        context.n_ctx, context.n_batch, context.n_ubatch = 2 * PROMPT, PROMPT, PROMPT
        context.n_threads = context.n_threads_batch = threads
        self.context = llama_cpp.llama_init_from_model(self.model, context)
        self.rates()

    def run(self, tokens):
        array = (llama_cpp.llama_token * len(tokens))(*tokens)
        llama_cpp.llama_decode(self.context, llama_cpp.llama_batch_get_one(array, len(tokens)))
        llama_cpp.llama_synchronize(self.context)

    def rates(self):
        """Tokens a second: prompt, then generation behind it."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)
        begin = time.perf_counter()
        self.run([(i * 37) % 40000 + 100 for i in range(PROMPT)])
        middle = time.perf_counter()
        for i in range(GENERATE):
            self.run([(i * 31) % 40000 + 100])
        end = time.perf_counter()
        return PROMPT / (middle - begin), GENERATE / (end - middle)

    def close(self):
        llama_cpp.llama_free(self.context)
        llama_cpp.llama_model_free(self.model)


def assay_rates(arguments, precision, store):
    command = [arguments.assay, "bench", "-m", arguments.model, "--precision", precision, "-p",
               str(PROMPT), "-n", str(GENERATE), "-d", str(PROMPT), "-r", "2", "-t",
               str(arguments.threads), "-o", "json", "-q", "--store", store]
    rows = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["rows"]
    assert all(row["proved"] for row in rows), rows
    rates = {row["test"]: row["metrics"]["tokens_per_second"]["value"] for row in rows}
    return rates[f"pp{PROMPT}"], rates[f"tg{GENERATE}@d{PROMPT}"]


def summary(ours, theirs):
    ratios = [a / b for a, b in zip(ours, theirs)]
    return (f"{statistics.median(ours):8.1f} {statistics.median(theirs):10.1f}  "
            f"{statistics.median(ratios):5.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


@llama_cpp.llama_log_callback
def silent(level, text, user_data):
    """llama.cpp tells every tensor of its graph otherwise."""


def main():
    llama_cpp.llama_log_set(silent, ctypes.c_void_p(0))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--assay", default="build/release/src/assay")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    print(f"{'precision':24} {'test':9} {'assay':>8} {'llama.cpp':>10}  ratio, tokens/s")
    with tempfile.TemporaryDirectory() as folder:
        for precision, name, number in PAIRS:
            peer = Llama(requantize(arguments.model, folder, name, number), arguments.threads)
            ours, theirs = [], []
            for _ in range(arguments.rounds):
                ours.append(assay_rates(arguments, precision, f"{folder}/peers.db"))
                theirs.append(peer.rates())
            peer.close()
            for i, test in enumerate((f"pp{PROMPT}", f"tg{GENERATE}@d{PROMPT}")):
                label = f"{precision} / {name}"
                print(f"{label:24} {test:9} "
                      f"{summary([r[i] for r in ours], [r[i] for r in theirs])}", flush=True)


if __name__ == "__main__":
    main()
