#!/usr/bin/env python3
# Copyright the assay authors. SPDX-License-Identifier: Apache-2.0
"""Prompts of HellaSwag and MMLU as lm-eval builds them, for questions written for this file; and with
--smollm2 the log-likelihoods that lm-eval gives their choices, and perplexities of text.txt.

Usage: make_tasks_golden.py [--out tests/golden/tasks] [--smollm2 FILE.gguf]

Needs lm-eval 0.4.13. No data set is downloaded: lm-eval's own functions and templates are applied to
the questions below.
"""

import argparse
import csv
import importlib.util
import io
import json
import math
from pathlib import Path

import lm_eval
import yaml
from jinja2 import BaseLoader, Environment, StrictUndefined

TASKS = Path(lm_eval.__file__).parent / "tasks"

HELLASWAG = [
    ("Baking", "A woman whisks eggs in a bowl.", "she", ["adds flour.", "leaves [laughing] the  room."], 0),
    ("Home and Garden", "[header] How to sweep [title] Find a broom. [step] Any will do.", "",
     ["[title] Begin at the wall. [step] Go on.", " Then stop. "], "1"),
    ("Éclairs", "The cook\u00a0says: [open", "ÀLLO THERE Bob", ["[a]b[c", "x] y"], 1),
    ("Skiing", " Two   spaces and three   here.  ", "they GO DOWN", ["a", "b", "c", "d"], 3),
    ("Music", "A [multi\nline] bracket stays", "the Band", ["[one] [two] three", "]["], "0"),
]

MMLU = {
    "anatomy": {
        "dev": [[f"Dev question {i}, of anatomy?", "one", "two, three", 'a "quoted" one', "None", "ABCDA"[i]]
                for i in range(5)],
        "val": [["  How many bones are there?\n", "206", "207", "NA", " 20", "A"],
                ["Which is largest?", "x", "y", "z", "w", "D"]],
    },
    "high_school_us_history": {
        "dev": [[f"Dev question {i}?\nIt has two lines.", "a", "b", "c", "d", "DCBAD"[i]] for i in range(5)],
        "val": [["Who said \"no\"?", "p", "q", "r", "s", "C"]],
    },
}


def hellaswag_cases():
    spec = importlib.util.spec_from_file_location("utils", TASKS / "hellaswag" / "utils.py")
    utils = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(utils)

    class Docs(list):  # what process_docs needs of datasets.Dataset
        def map(self, function):
            return [function(doc) for doc in self]

    docs = [
        {"ind": i, "activity_label": label, "ctx_a": a, "ctx_b": b, "endings": endings, "label": gold}
        for i, (label, a, b, endings, gold) in enumerate(HELLASWAG)
    ]
    return [
        {"doc": doc, "query": out["query"], "choices": out["choices"], "gold": out["gold"]}
        for doc, out in zip(docs, utils.process_docs(Docs(docs)))
    ]


def csv_text(rows):
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def mmlu_cases():
    folder = TASKS / "mmlu" / "default"
    template = yaml.safe_load((folder / "_default_template_yaml").read_text())
    # As lm_eval.utils.apply_template sets its environment up.
    environment = Environment(loader=BaseLoader(), undefined=StrictUndefined, keep_trailing_newline=True)
    question = environment.from_string(template["doc_to_text"])
    letters = template["doc_to_choice"]

    def document(row):
        return {"question": row[0], "choices": row[1:5], "answer": letters.index(row[5])}

    prompts = []
    index = 0
    for subject, splits in MMLU.items():
        settings = yaml.safe_load((folder / f"mmlu_{subject}.yaml").read_text())
        for row in splits["val"]:
            for shots in (0, 2, 5):
                context = settings["description"]
                for shot in splits["dev"][:shots]:
                    doc = document(shot)
                    context += question.render(**doc) + " " + letters[doc["answer"]] + "\n\n"
                doc = document(row)
                prompts.append({"index": index, "subject": subject, "shots": shots,
                                "context": context + question.render(**doc), "gold": doc["answer"]})
            index += 1
    files = {
        f"{split}/{subject}_{split}.csv": csv_text(rows)
        for subject, splits in MMLU.items() for split, rows in splits.items()
    }
    return {"files": files, "prompts": prompts}


def likelihoods(model, cases):
    """Of every choice of the HellaSwag questions, and of two contexts that end in white space."""
    from lm_eval.api.instance import Instance

    pairs = [(c["query"], " " + choice) for c in cases for choice in c["choices"]]
    pairs += [("The capital of France is  ", "Paris"), ("1 2 3\n", "4"), ("", " Once upon")]
    requests = [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)]
    results = model.loglikelihood(requests, disable_tqdm=True)
    return [
        {"context": pair[0], "continuation": pair[1], "log_likelihood": float(result[0]), "greedy": bool(result[1])}
        for pair, result in zip(pairs, results)
    ]


def huggingface_perplexity(model, ids, context, stride):
    """The loop of the guide "Perplexity of fixed-length models" of transformers' documentation."""
    import torch

    total, tokens, previous_end = 0.0, 0, 0
    for begin in range(0, len(ids), stride):
        end = min(begin + context, len(ids))
        new = end - previous_end
        window = torch.tensor([ids[begin:end]])
        labels = window.clone()
        labels[:, :-new] = -100
        with torch.no_grad():
            loss = model(window, labels=labels).loss
        counted = int((labels != -100).sum()) - 1
        total += float(loss) * counted
        tokens += counted
        previous_end = end
        if end == len(ids):
            break
    return math.exp(total / tokens)


def llama_perplexity(model, ids, context):
    """llama-perplexity's sums: the second half of disjoint windows; value and its standard error."""
    import torch

    losses = []
    for begin in range(0, len(ids) - context + 1, context):
        window = torch.tensor([ids[begin:begin + context]])
        with torch.no_grad():
            logits = model(window).logits[0].double()
        log_probabilities = torch.log_softmax(logits, dim=-1)
        for j in range(context // 2, context - 1):
            losses.append(-float(log_probabilities[j, window[0, j + 1]]))
    n = len(losses)
    mean = sum(losses) / n
    variance = sum(x * x for x in losses) / n - mean * mean
    return math.exp(mean), math.exp(mean) * math.sqrt(variance / (n - 1))


def smollm2_golden(file, out, cases):
    from golden_gguf import GgufLlama
    from lm_eval.models.huggingface import HFLM
    from transformers import PreTrainedTokenizerFast

    source = GgufLlama(file)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=source.tokenizer(), bos_token="<|im_start|>",
                                        eos_token="<|im_end|>")
    model = source.model()
    ids = source.tokenizer().encode((out / "text.txt").read_text(encoding="utf-8")).ids
    llama, error = llama_perplexity(model, ids, 128)
    return {
        "likelihoods": likelihoods(HFLM(pretrained=model, tokenizer=tokenizer, device="cpu"), cases),
        "perplexity": {
            "tokens": len(ids),
            "huggingface": [
                {"context": c, "stride": s, "value": huggingface_perplexity(model, ids, c, s)}
                for c, s in ((128, 128), (128, 48), (4096, 4096))
            ],
            "llama.cpp": {"context": 128, "value": llama, "stderr": error},
        },
    }


def main():
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=here / "tasks")
    parser.add_argument("--smollm2", type=Path)
    options = parser.parse_args()
    golden = {"hellaswag": hellaswag_cases(), "mmlu": mmlu_cases()}
    (options.out / "prompts.json").write_text(json.dumps(golden, indent=1, ensure_ascii=True) + "\n")
    if options.smollm2:
        values = smollm2_golden(options.smollm2, options.out, golden["hellaswag"])
        (options.out / "smollm2.json").write_text(json.dumps(values, indent=1, ensure_ascii=True) + "\n")


if __name__ == "__main__":
    main()
