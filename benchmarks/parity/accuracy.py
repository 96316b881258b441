#!/usr/bin/env python3
# Copyright the assay authors
# SPDX-License-Identifier: Apache-2.0
"""HellaSwag and MMLU of SmolLM2 at fp32: `assay eval` against lm-eval with transformers, live.

    accuracy.py --assay BIN --smollm2 FILE.gguf --hellaswag FILE.jsonl --mmlu DIR

Both sides have the same weights (the GGUF, dequantized) and the same tokenizer, so the same ids. For
every item the log-likelihoods of all choices must agree to 1e-3, and acc and acc_norm of the whole must
be equal. With --speed, the items a second of both are taken in turn on one HellaSwag list; nothing else
may run on the machine then. Ends with 1 where a comparison fails.

Needs lm-eval 0.4.13 beside the environment of tests/golden/scripts/README.md. No data set is
downloaded: lm-eval's own task settings are pointed at the local files. HellaSwag's file holds `query` as
lm-eval's preprocessing makes it (tests/golden/tasks compares the preprocessing itself).
"""

import argparse
import csv
import json
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from parity_common import run_assay

import lm_eval  # noqa: E402
import torch  # noqa: E402
import yaml  # noqa: E402
from golden_gguf import GgufLlama  # noqa: E402
from lm_eval import evaluator  # noqa: E402
from lm_eval.api.task import ConfigurableTask  # noqa: E402
from lm_eval.models.huggingface import HFLM  # noqa: E402
from transformers import PreTrainedTokenizerFast  # noqa: E402

TASKS = Path(lm_eval.__file__).parent / "tasks"
TOLERANCE = 1e-3


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assay", type=Path, help="the binary; without it, only lm-eval runs")
    parser.add_argument("--keep", type=Path, metavar="FOLDER",
                        help="keep lm-eval's answers there, and take them from there: it is the slower side")
    parser.add_argument("--smollm2", type=Path, required=True, help="the GGUF, for both sides")
    parser.add_argument("--hellaswag", type=Path, help="JSONL with query, endings, label")
    parser.add_argument("--mmlu", type=Path, help="folder with dev and val")
    parser.add_argument("--items", type=int, default=200, help="of HellaSwag")
    parser.add_argument("--per-subject", type=int, default=4, help="of each subject of MMLU")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--speed", type=int, default=0, metavar="ITEMS",
                        help="measure items a second on so many items instead")
    parser.add_argument("--first", type=int, default=0, metavar="ITEM",
                        help="with --speed, the item to begin with: a long list in short pieces")
    parser.add_argument("--precision", default="fp32,bf16,int8", help="of assay, with --speed")
    parser.add_argument("--rounds", type=int, default=1, help="with --speed")
    parser.add_argument("--batch-size", type=int, default=1, help="of lm-eval")
    return parser.parse_args()


def reference_model(options: argparse.Namespace) -> HFLM:
    source = GgufLlama(options.smollm2)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=source.tokenizer(), eos_token="<|im_end|>",
                                        bos_token="<|im_start|>")
    return HFLM(pretrained=source.model(), tokenizer=tokenizer, batch_size=options.batch_size,
                device="cpu", add_bos_token=False)


def local_task(config: dict, files: dict[str, Path]) -> ConfigurableTask:
    """A task of lm-eval that reads JSONL files by split."""
    config = {key: value for key, value in config.items() if key not in ("tag", "include", "group")}
    config["dataset_path"] = "json"
    config["dataset_name"] = None
    config["dataset_kwargs"] = {"data_files": {split: str(file) for split, file in files.items()}}
    return ConfigurableTask(config=config)


def hellaswag_task(file: Path) -> ConfigurableTask:
    config = yaml.safe_load((TASKS / "hellaswag" / "hellaswag.yaml").read_text()
                            .replace("!function utils.process_docs", "null"))
    # The file holds what process_docs makes.
    config.update(process_docs=None, training_split=None, doc_to_choice="{{endings}}")
    return local_task(config, {"validation": file})


def mmlu_tasks(folder: Path, scratch: Path) -> dict[str, ConfigurableTask]:
    settings = TASKS / "mmlu" / "default"
    template = yaml.safe_load((settings / "_default_template_yaml").read_text())
    tasks = {}
    for file in sorted((folder / "val").glob("*_val.csv")):
        subject = file.name.removesuffix("_val.csv")
        files = {}
        for split in ("dev", "val"):
            with open(folder / split / f"{subject}_{split}.csv", newline="", encoding="utf-8") as rows:
                documents = [{"question": row[0], "choices": row[1:5], "answer": "ABCD".index(row[5])}
                             for row in csv.reader(rows)]
            files[split] = scratch / f"{subject}_{split}.jsonl"
            files[split].write_text("".join(json.dumps(d) + "\n" for d in documents))
        config = template | yaml.safe_load((settings / f"mmlu_{subject}.yaml").read_text())
        config.update(test_split="val", num_fewshot=5)
        tasks[subject] = local_task(config, files)
    return tasks


def reference_samples(model: HFLM, tasks: dict, limit: int) -> tuple[dict, dict]:
    """Log-likelihoods of all choices by task, in order; and lm-eval's results."""
    out = evaluator.evaluate(lm=model, task_dict=tasks, limit=limit, log_samples=True,
                             bootstrap_iters=0)
    samples = {}
    for name, items in out["samples"].items():
        # One sample a filter: the first is all there is for multiple choice.
        items = sorted({s["doc_id"]: s for s in items}.values(), key=lambda s: s["doc_id"])
        samples[name] = [[float(r[0][0]) for r in s["resps"]] for s in items]
    return samples, out["results"]


def kept_samples(options: argparse.Namespace, name: str, limit: int, make) -> tuple[dict, dict]:
    """reference_samples() of make() = (model, tasks), or what an earlier run has kept of it."""
    file = options.keep / f"{name}_{limit}.json" if options.keep else None
    if file and file.exists():
        kept = json.loads(file.read_text(encoding="utf-8"))
        return kept["samples"], kept["results"]
    samples, results = reference_samples(*make(), limit)
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        accuracies = {task: {key: value for key, value in result.items()
                             if isinstance(value, float)} for task, result in results.items()}
        file.write_text(json.dumps({"samples": samples, "results": accuracies}), encoding="utf-8")
    return samples, results


def assay_answers(options: argparse.Namespace, task: str, path: Path, limit: int, store: Path,
                  precision: str = "fp32") -> tuple[list[dict], dict]:
    """The answers to a task, from the store, and the row's metrics."""
    text = run_assay(options.assay, "eval", "-m", str(options.smollm2), "--precision", precision,
                     "--tasks", f"{task}={path}", "--limit", str(limit), "--threads",
                     str(options.threads), "--store", str(store), "-o", "json", "-q")
    row = json.loads(text)["rows"][0]
    if row["proved"] is not True:
        raise SystemExit(f"parity: not proved: {row['reason']}")
    with sqlite3.connect(store) as database:
        answers = [json.loads(item) for (item,) in database.execute(
            "SELECT item FROM items WHERE test = ? AND attempt = (SELECT max(attempt) FROM attempts)",
            (task,))]
    return sorted(answers, key=lambda a: a["i"]), row["metrics"]


def compare(name: str, ours: list[list[float]], theirs: list[list[float]]) -> bool:
    worst, where = 0.0, None
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        for c, (x, y) in enumerate(zip(a, b, strict=True)):
            if abs(x - y) > worst:
                worst, where = abs(x - y), (i, c, x, y)
    verdict = "equal to" if worst <= TOLERANCE else "DIFFERENT, tolerance"
    print(f"{name}: {len(ours)} items, log-likelihoods {verdict} {TOLERANCE}: largest difference "
          f"{worst:.2e} {where or ''}", flush=True)
    return worst <= TOLERANCE


def compare_share(name: str, ours: float, theirs: float) -> bool:
    same = abs(ours - theirs) < 1e-12
    print(f"{name}: assay {ours:.6f}, lm-eval {theirs:.6f}: {'equal' if same else 'DIFFERENT'}",
          flush=True)
    return same


def check(options: argparse.Namespace, scratch: Path) -> bool:
    good = True
    if options.hellaswag:
        theirs, results = kept_samples(
            options, "hellaswag", options.items,
            lambda: (reference_model(options), {"hellaswag": hellaswag_task(options.hellaswag)}))
    if options.hellaswag and options.assay:
        answers, metrics = assay_answers(options, "hellaswag", options.hellaswag, options.items,
                                         scratch / "hellaswag.db")
        good &= compare("hellaswag", [a["log_likelihoods"] for a in answers], theirs["hellaswag"])
        for metric in ("acc", "acc_norm"):
            good &= compare_share(f"hellaswag {metric}", metrics[metric]["value"],
                                  results["hellaswag"][f"{metric},none"])
    if options.mmlu:
        theirs, results = kept_samples(
            options, "mmlu", options.per_subject,
            lambda: (reference_model(options), mmlu_tasks(options.mmlu, scratch)))
    if options.mmlu and options.assay:
        answers, metrics = assay_answers(options, "mmlu", options.mmlu, options.per_subject,
                                         scratch / "mmlu.db")
        by_subject = [ll for name in sorted(theirs) for ll in theirs[name]]
        order = sorted(theirs)
        ours = sorted(answers, key=lambda a: (order.index(a["group"]), a["i"]))
        good &= compare("mmlu", [a["log_likelihoods"] for a in ours], by_subject)
        names = {name: key for key in results for name in order if key in (name, f"mmlu_{name}")}
        right = sum(results[names[n]]["acc,none"] * len(theirs[n]) for n in order)
        good &= compare_share("mmlu acc", metrics["acc"]["value"], right / len(by_subject))
    return good


def speed(options: argparse.Namespace, model: HFLM, scratch: Path) -> None:
    """Items a second, in turn. Loading is in neither figure; tokenizing is in both."""
    rates: dict[str, list[float]] = {}
    lines = options.hellaswag.read_text(encoding="utf-8").splitlines(keepends=True)
    file = scratch / "hellaswag.jsonl"
    file.write_text("".join(lines[options.first:options.first + options.speed]), encoding="utf-8")
    for round_ in range(options.rounds):
        task = {"hellaswag": hellaswag_task(file)}
        begin = time.perf_counter()
        reference_samples(model, task, options.speed)
        rates.setdefault("lm-eval fp32", []).append(options.speed / (time.perf_counter() - begin))
        for precision in options.precision.split(","):
            _, metrics = assay_answers(options, "hellaswag", file, options.speed,
                                       scratch / f"{precision}{round_}.db", precision)
            rates.setdefault(f"assay {precision}", []).append(metrics["items_per_second"]["value"])
    base = statistics.median(rates["lm-eval fp32"])
    for name, values in rates.items():
        middle = statistics.median(values)
        print(f"{name}: {middle:.2f} items/s ({options.speed / middle:.2f} s), "
              f"{middle / base:.2f} x lm-eval", flush=True)


def main() -> int:
    options = arguments()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        if options.speed:
            speed(options, reference_model(options), Path(folder))
            return 0
        return 0 if check(options, Path(folder)) else 1


if __name__ == "__main__":
    raise SystemExit(main())
