#!/usr/bin/env python3
"""A GGUF decoder at several precisions: assay beside llama.cpp, alternating, in one run.

    python benchmarks/peers/decoder.py MODEL.gguf --work FOLDER [--assay build/release/src/assay] [--rounds 5]

Needs an environment with llama-cpp-python. llama.cpp's own tool requantizes the file into the work folder. First
both continue a prompt greedily, from the same ids: where the weights are the same the tokens must be, elsewhere how
many are is printed. Each round then measures a prompt of 512 and 64 tokens behind it with both programs, one after
the other; medians over the rounds and the ratio are printed, with the smallest and largest ratio."""
import argparse
import ctypes
import json
import os
import pathlib
import re
import statistics
import subprocess
import time

import common
import llama_cpp

# Our precision against llama.cpp's file type (its number in llama.h) of the same size.
PAIRS = {"bf16": ("BF16", 32), "int8": ("Q8_0", 7), "nf4": ("Q4_0", 2), "stored": ("stored", None)}
PROMPT, GENERATE = 512, 64
TEXT = "The three largest cities of France are"
CHECKED = 12


def requantize(source, folder, name, number):
    if number is None:
        return source
    target = str(pathlib.Path(folder) / f"{name}.gguf")
    if os.path.exists(target):
        return target
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
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))
        self.rates()

    def clear(self):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)

    def run(self, tokens):
        array = (llama_cpp.llama_token * len(tokens))(*tokens)
        llama_cpp.llama_decode(self.context, llama_cpp.llama_batch_get_one(array, len(tokens)))
        llama_cpp.llama_synchronize(self.context)

    def greedy(self, ids, count):
        self.clear()
        tokens = []
        given = ids
        for _ in range(count):
            self.run(given)
            logits = llama_cpp.llama_get_logits_ith(self.context, -1)
            tokens.append(max(range(self.vocabulary), key=logits.__getitem__))
            given = tokens[-1:]
        return tokens

    def rates(self):
        """Tokens a second: prompt, then generation behind it."""
        self.clear()
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
    rows = common.assay_rows(arguments.assay, [
        "-m", arguments.model, "--precision", precision, "-p", PROMPT, "-n", GENERATE, "-d", PROMPT, "-r",
        2, "-t", arguments.threads], store)
    rates = {row["test"]: row["metrics"]["tokens_per_second"]["value"] for row in rows}
    return rates[f"pp{PROMPT}"], rates[f"tg{GENERATE}@d{PROMPT}"]


def agreement(arguments, precision, peer):
    """How many of the first tokens are the same; the file's own weights must give the same at bf16 and stored."""
    tokenized = subprocess.run([arguments.assay, "tokenize", "-m", arguments.model], input=TEXT + "\n",
                               capture_output=True, text=True, check=True).stdout
    ids = json.loads(tokenized)["ids"]
    written = subprocess.run([arguments.assay, "generate", "-m", arguments.model, "--precision", precision,
                              "--prompt", TEXT, "-n", str(CHECKED), "--ids", "--ignore-eos", "-q"],
                             capture_output=True, text=True, check=True).stdout
    ours = json.loads(re.findall(r"\[[0-9, ]+\]", written)[-1])
    theirs = peer.greedy(ids, CHECKED)
    same = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), CHECKED)
    if precision in ("bf16", "stored") and same == 0:
        raise SystemExit(f"{precision}: the first token differs: {ours} and {theirs}")
    return f"{same} of {CHECKED} greedy tokens alike"


@llama_cpp.llama_log_callback
def silent(level, text, user_data):
    """llama.cpp tells every tensor of its graph otherwise."""


def main():
    llama_cpp.llama_log_set(silent, ctypes.c_void_p(0))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    common.add_options(parser)
    parser.add_argument("--precision", choices=list(PAIRS), action="append")
    arguments = parser.parse_args()
    print(common.machine(arguments.threads))
    print(f"{'precision':24} {'test':9} {'assay':>8} {'llama.cpp':>10}  ratio, tokens/s")
    for precision in arguments.precision or PAIRS:
        name, number = PAIRS[precision]
        peer = Llama(requantize(arguments.model, arguments.work, name, number), arguments.threads)
        note = agreement(arguments, precision, peer)
        ours, theirs = [], []
        for _ in range(arguments.rounds):
            ours.append(assay_rates(arguments, precision, f"{arguments.work}/peers.db"))
            theirs.append(peer.rates())
        peer.close()
        for i, test in enumerate((f"pp{PROMPT}", f"tg{GENERATE}@d{PROMPT}")):
            mine, other = [r[i] for r in ours], [r[i] for r in theirs]
            median, low, high = common.ratio(mine, other)
            print(f"{f'{precision} / {name}':24} {test:9} {statistics.median(mine):8.1f} "
                  f"{statistics.median(other):10.1f}  {median:5.2f} ({low:.2f} to {high:.2f})  {note}",
                  flush=True)
            facts = {"work": f"SmolLM2 {test}", "precision": f"{precision} / {name}", "unit": "tokens/s",
                     "date": time.strftime("%Y-%m-%d"),
                     "versions": {"llama-cpp-python": common.version("llama-cpp-python")}}
            common.record(arguments.work, **facts, name="assay", value=statistics.median(mine), ratio=None,
                          note=note)
            common.record(arguments.work, **facts, name="llama.cpp", value=statistics.median(other),
                          ratio=[median, low, high], note="")


if __name__ == "__main__":
    main()
