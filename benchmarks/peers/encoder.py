#!/usr/bin/env python3
"""An encoder of DistilBERT-base's shape: assay beside PyTorch, ONNX Runtime, OpenVINO and CTranslate2.

    python benchmarks/peers/encoder.py --work FOLDER --prepare              # makes the models, once
    python benchmarks/peers/encoder.py --work FOLDER --precision int8 --batch 1

All read the same weights and the same tokens. Before anything is timed, each peer's class probabilities
must agree with PyTorch's in fp32, and so must assay's; a peer that does not run what it was asked for
says so. Then all run in turn, round after round."""
import argparse
import json
import math
import pathlib
import sqlite3
import statistics
import subprocess
import tempfile
import time

import numpy

import common
import encoder_models as models

# Largest difference of a class's probability from PyTorch in fp32, over CHECKED sequences; the probabilities
# themselves deviate by SPREAD at least, or the check would say nothing.
CHECKED = 16
SPREAD = 0.1
ALLOWED = {"fp32": 0.001, "bf16": 0.03, "int8": 0.06}
CALLS = {1: (15, 1.0), 16: (3, 1.5)}
# Seconds of a call from which a peer is named, with its time, and not timed in turn with the others.
SLOWEST = {1: 1.5, 16: 15.0}


def probabilities(logits):
    powers = numpy.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True))[:, 1]


def torch_eager(folder, dtype, threads):
    import torch
    torch.set_num_threads(threads)
    model = models.torch_model(folder, getattr(torch, dtype))

    def run(ids):
        with torch.inference_mode():
            return model(input_ids=torch.from_numpy(ids)).logits.float().numpy()
    return run


def torch_compiled(folder, dtype, threads):
    import torch
    torch.set_num_threads(threads)
    model = torch.compile(models.torch_model(folder, getattr(torch, dtype)), dynamic=False)

    def run(ids):
        with torch.inference_mode():
            return model(input_ids=torch.from_numpy(ids)).logits.float().numpy()
    return run


def torch_dynamic(folder, _, threads):
    import torch
    torch.set_num_threads(threads)
    model = torch.ao.quantization.quantize_dynamic(models.torch_model(folder, torch.float32),
                                                   {torch.nn.Linear}, dtype=torch.qint8)

    def run(ids):
        with torch.inference_mode():
            return model(input_ids=torch.from_numpy(ids)).logits.numpy()
    return run


def onnxruntime(folder, file, threads):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(folder / file), options, providers=["CPUExecutionProvider"])
    return lambda ids: session.run(None, {"ids": ids, "mask": numpy.ones_like(ids)})[0]


def openvino(folder, what, threads):
    import openvino as ov
    file, hint = what
    core = ov.Core()
    network = core.read_model(str(folder / file))
    state = {}

    def run(ids):
        if ids.shape not in state:
            network.reshape({name: list(ids.shape) for name in ("ids", "mask")})
            compiled = core.compile_model(network, "CPU", {
                "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": hint})
            kinds = {}
            for node in compiled.get_runtime_model().get_ordered_ops():
                information = node.get_rt_info()
                if information["layerType"].astype(str) == "FullyConnected":
                    kind = information["runtimePrecision"].astype(str)
                    kinds[kind] = kinds.get(kind, 0) + 1
            run.note = "ran linear layers as " + ", ".join(f"{k} x {n}" for k, n in kinds.items())
            state[ids.shape] = compiled
        return next(iter(state[ids.shape]({"ids": ids, "mask": numpy.ones_like(ids)}).values()))
    return run


def ctranslate2(folder, compute, threads):
    import ctranslate2 as ct2
    import torch
    if compute not in ct2.get_supported_compute_types("cpu"):
        raise RuntimeError(f"has no {compute} on this CPU")
    encoder = ct2.Encoder(str(folder / "ctranslate2"), device="cpu", intra_threads=threads,
                          compute_type=compute)
    head = models.torch_model(folder, torch.float32)

    def run(ids):
        hidden = encoder.forward_batch(ids.tolist()).last_hidden_state
        first = torch.from_numpy(numpy.array(hidden)[:, 0])
        with torch.inference_mode():
            return head.classifier(torch.relu(head.pre_classifier(first))).numpy()
    return run


PEERS = {
    "fp32": {"PyTorch": (torch_eager, "float32"), "PyTorch compiled": (torch_compiled, "float32"),
             "ONNX Runtime": (onnxruntime, "model.onnx"), "OpenVINO": (openvino, ("model.onnx", "f32")),
             "CTranslate2": (ctranslate2, "float32")},
    "bf16": {"PyTorch": (torch_eager, "bfloat16"), "PyTorch compiled": (torch_compiled, "bfloat16"),
             "OpenVINO": (openvino, ("model.onnx", "bf16")), "CTranslate2": (ctranslate2, "bfloat16")},
    "int8": {"PyTorch dynamic": (torch_dynamic, None), "ONNX Runtime dynamic": (onnxruntime, "dynamic.onnx"),
             "ONNX Runtime static": (onnxruntime, "static.onnx"),
             "OpenVINO static": (openvino, ("static.onnx", "f32")), "CTranslate2": (ctranslate2, "int8")}}


def assay_probabilities(assay, folder, precision, threads):
    """Of class 1, from the answers that a task keeps."""
    ids = models.token_ids(CHECKED)
    with tempfile.TemporaryDirectory() as scratch:
        data = pathlib.Path(scratch) / "data"
        data.mkdir()
        numpy.save(data / "input_ids.npy", ids)
        numpy.save(data / "labels.npy", numpy.zeros(len(ids), dtype=numpy.int64))
        store = pathlib.Path(scratch) / "check.db"
        subprocess.run([str(assay), "eval", "-m", str(folder), "--precision", precision, "--tasks",
                        f"sst2={data}", "-t", str(threads), "--store", str(store), "-q", "-o", "json"],
                       check=True, stdout=subprocess.DEVNULL)
        with sqlite3.connect(store) as database:
            answers = [json.loads(text) for text, in
                       database.execute("SELECT item FROM items ORDER BY position")]
    by_place = {answer["i"]: answer for answer in answers}
    chosen = [by_place[i] for i in range(len(ids))]
    return numpy.array([a["confidence"] if a["predicted"] == 1 else 1 - a["confidence"] for a in chosen])


def checked(run, batch):
    """Probabilities of the sequences of the check, so many at a time."""
    ids = models.token_ids(CHECKED)
    return numpy.concatenate([probabilities(run(ids[i:i + batch])) for i in range(0, CHECKED, batch)])


def open_peers(folder, precision, batch, threads):
    """{name: run} of those that work and agree; the others are told with their reason."""
    wanted = checked(torch_eager(folder, "float32", threads), CHECKED)
    assert wanted.std() > SPREAD, "the model's answers are all alike"
    peers, notes = {}, {}
    for name, (make, what) in PEERS[precision].items():
        try:
            run = make(folder, what, threads)
            run(models.token_ids(batch))  # compiles
            begin = time.perf_counter()
            run(models.token_ids(batch))
            took = time.perf_counter() - begin
            if took > SLOWEST[batch]:
                notes[name] = f"one call took {took:.1f} s: not timed further"
                continue
            difference = float(numpy.abs(checked(run, batch) - wanted).max())
        except Exception as error:  # a peer may fail in any way; the others go on
            notes[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"
            continue
        notes[name] = f"probabilities within {difference:.4f}"
        if hasattr(run, "note"):
            notes[name] += "; " + run.note
        if math.isnan(difference) or difference > ALLOWED[precision]:
            notes[name] += ": too far from fp32, not timed"
            continue
        peers[name] = run
    return wanted, peers, notes


def compare(arguments, folder, precision, batch):
    ids = models.token_ids(batch)
    wanted, peers, notes = open_peers(folder, precision, batch, arguments.threads)
    ours = {"assay": precision}
    if precision == "int8":
        ours = {"assay": "int8", "assay, threshold 0": "{precision: int8, threshold: 0}"}
    calls, least = CALLS[batch]
    contestants = {}
    for name, recipe in ours.items():
        got = assay_probabilities(arguments.assay, folder, recipe, arguments.threads)
        difference = float(numpy.abs(got - wanted).max())
        notes[name] = f"probabilities within {difference:.4f}"
        assert difference <= ALLOWED[precision], (name, difference)

        def measure(recipe=recipe):
            row, = common.assay_rows(arguments.assay, [
                "-m", folder, "--precision", recipe, "-b", batch, "-s", models.SEQUENCE, "-r", calls,
                "--warmup", 2, "--min-seconds", least, "-t", arguments.threads],
                pathlib.Path(arguments.work) / "peers.db")
            return row["metrics"]["latency"]["value"] * batch / 1000
        contestants[name] = measure
    for name, run in peers.items():
        contestants[name] = lambda run=run: common.seconds(lambda: run(ids), calls, least)
    times = common.alternate(contestants, arguments.rounds)
    for name, values in times.items():
        median, low, high = common.ratio(values, times["assay"])
        common.record(arguments.work, work=f"encoder b{batch} s{models.SEQUENCE}", precision=precision,
                      name=name, unit="ms", value=1000 * statistics.median(values),
                      ratio=[median, low, high], note=notes[name], date=time.strftime("%Y-%m-%d"),
                      versions={p: common.version(p) for p in ("torch", "onnxruntime", "openvino",
                                                               "ctranslate2")})
        print(f"b{batch:<3} {precision:5} {name:22} {1000 * statistics.median(values):9.2f} ms  "
              f"{median:5.2f} ({low:.2f} to {high:.2f})  {notes[name]}", flush=True)
    for name, note in notes.items():
        if name not in times:
            print(f"b{batch:<3} {precision:5} {name:22} {'-':>9}     {note}", flush=True)
            common.record(arguments.work, work=f"encoder b{batch} s{models.SEQUENCE}",
                          precision=precision, name=name, unit="ms", value=None, ratio=None, note=note,
                          date=time.strftime("%Y-%m-%d"), versions={})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    common.add_options(parser)
    parser.add_argument("--prepare", action="store_true", help="make the models and stop")
    parser.add_argument("--precision", choices=list(PEERS), action="append")
    parser.add_argument("--batch", type=int, choices=list(CALLS), action="append")
    arguments = parser.parse_args()
    folder = models.make_all(arguments.assay, arguments.work)
    if arguments.prepare:
        return
    print(common.machine(arguments.threads))
    for precision in arguments.precision or PEERS:
        for batch in arguments.batch or CALLS:
            compare(arguments, folder, precision, batch)


if __name__ == "__main__":
    main()
