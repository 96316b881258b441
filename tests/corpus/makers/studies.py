"""Study files: YAML, with what YAML itself can do to a reader, and what a study must not say."""

SOUND = """\
name: quick
store: out.db
sixteen_bit: auto
recipes:
  C-1: bf16
  E-A: {default: bf16, rules: [{match: mlp, precision: int8}]}
  N-1: {default: {precision: nf4, double_quant: true}}
models:
  - model: some/model
    recipes: [bf16, int8, C-1, E-A, N-1]
    baseline: bf16
    workload: {prompt: 512, generate: [64, 128], depth: 0, repetitions: 5}
    tasks: [fidelity, {task: sst2, file: data.tsv, limit: 10}]
"""
ENCODER = """\
models:
  - {model: encoder, name: e, recipes: [fp32], device: [cpu], threads: 2, on_unsupported: fallback,
     workload: {sequence: [16, 128], batch: [1, 8], warmup: 5, repetitions: 50}}
"""


def changed(old, new, text=SOUND):
    assert old in text, old
    return text.replace(old, new).encode()


def bomb(width, depth):
    """Aliases of aliases: width to the power of depth nodes."""
    lines = ["a0: &a0 [x, x]"]
    for i in range(1, depth):
        lines.append(f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * width) + "]")
    return "\n".join(lines).encode()


def yaml():
    return {
        "empty": (b"", "must be a mapping"),
        "only-a-comment": (b"# nothing\n", "must be a mapping"),
        "a-list": (b"[]\n", "must be a mapping"),
        "a-word": (b"study\n", ""),
        "two-documents": (SOUND.encode() + b"---\nname: b\n", "there is a second one"),
        "not-closed": (b"models: [{model: a\n", "line"),
        "quote-not-closed": (b'name: "a\n', "needs 'models'"),
        "tab": (b"models:\n\t- a\n", "line"),
        "key-twice": (changed("store: out.db", "name: b"), "line 2: the key 'name' stands twice"),
        "key-is-a-list": (b"? [a]\n: b\n", "a key must be a plain word"),
        "tag-unknown": (changed("name: quick", "name: !!python/object x"), "is not known"),
        "alias-unknown": (b"name: *nowhere\n", "line 1"),
        "alias-of-itself": (b"a: &a [*a]\n", "inside of its own anchor"),
        "alias-bomb": (bomb(20, 8), "with all aliases expanded"),
        "alias-deep": (b"a: &a " + b"[" * 40 + b"]" * 40 + b"\nb: " + b"[" * 40 + b"*a" + b"]" * 40,
                       "nested deeper than 64"),
        "nested-flow": (b"a: " + b"[" * 1000, "line 1"),
        "nested-blocks": ("\n".join(" " * i + f"k{i}:" for i in range(200)).encode(), "nested deeper"),
        "nested-dashes": (b"- " * 3000, ""),
        "number-out-of-range": (changed("prompt: 512", "prompt: 99999999999999999999"), "out of range"),
        "number-infinite": (changed("prompt: 512", "prompt: .inf"), "not a finite number"),
        "number-1e999": (changed("prompt: 512", "prompt: 1e999"), "out of range"),
        "not-utf8": (b"name: \xff\xfe\nmodels: []\n", "is not UTF-8"),
        "nul": (b"name: a\0b\nmodels: []\n", ""),
        "escape-to-surrogate": (b'name: "\\ud800"\nmodels: []\n', ""),
        "directive": (b"%YAML 9.9\n---\nname: a\n", "")}


def studies():
    return {
        "unknown-key": (changed("store:", "stor:"), "store"),
        "unknown-key-of-a-model": (changed("baseline:", "base_line:"), "baseline"),
        "unknown-precision": (changed("[bf16, int8, C-1", "[bf16, int9, C-1"), "int9"),
        "unknown-precision-of-two-lines": (changed("[bf16, int8, C-1", '[bf16, "int\\n9", C-1'), "int\\n9"),
        "recipe-of-two-lines": (changed("E-A: {default: bf16", '"E\\n-A": {default: bf15'), "E\\n-A"),
        "recipe-not-utf8": (SOUND.encode().replace(b"E-A:", b"\xff-A:"), "is not UTF-8"),
        "recipe-of-two-lines-twice": (
            changed("[bf16, int8,", '[{name: "a\\nb", precision: int8}, {name: "a\\nb", precision: nf4},'),
            "'a\\nb' stands twice"),
        "device-of-two-lines": (changed("device: [cpu]", 'device: ["c\\npu"]', ENCODER), "c\\npu"),
        "task-of-two-lines": (changed("task: sst2", 'task: "ss\\nt2"'), "ss\\nt2"),
        "synthetic-of-two-lines": (changed("model: some/model", 'model: "synthetic:a\\nb"'), "a\\nb"),
        "recipe-twice": (changed("[bf16, int8,", "[bf16, int8, int8,"), "stands twice"),
        "no-recipe": (changed("[bf16, int8, C-1, E-A, N-1]", "[]"), "'recipes' is empty"),
        "no-model": (b"models: []\n", "'models' is empty"),
        "models-are-a-word": (b"models: a\n", ""),
        "model-missing": (changed("model: some/model", "name: m"), "model"),
        "baseline-unknown": (changed("baseline: bf16", "baseline: other"), "other"),
        "baseline-is-a-list": (changed("baseline: bf16", "baseline: [bf16]"), "is the name of a recipe"),
        "device-unknown": (changed("device: [cpu]", "device: tpu", ENCODER), "tpu"),
        "threads-negative": (changed("threads: 2", "threads: -2", ENCODER), "is expected, not -2"),
        "threads-2-to-40": (changed("threads: 2", f"threads: {1 << 40}", ENCODER), "is expected, not 1099"),
        "prompt-2-to-62": (changed("prompt: 512", f"prompt: {1 << 62}"), "is expected, not 4611"),
        "task-unknown": (changed("task: sst2", "task: glue"), "glue"),
        "task-without-file": (changed(", file: data.tsv", ""), "file"),
        "cell-twice": (ENCODER.encode() + ENCODER.encode().split(b"\n", 1)[1], "two cells are called"),
        "variable-unset": (changed("some/model", "${ASSAY_NOWHERE_SET}/model"), "ASSAY_NOWHERE_SET"),
        "variable-not-closed": (changed("some/model", '"${ASSAY"'), "without its '}'"),
        "rule-without-match": (changed("match: mlp, ", ""), "match"),
        "cells-of-cells": (b"models:\n  - {model: m, recipes: &r [" +
                           b", ".join(b"{name: r%d, default: bf16}" % i for i in range(400)) +
                           b"], device: [" + b", ".join([b"cpu"] * 4000) + b"]}\n", "more than 10000 cells")}


def files():
    return {"sound": (SOUND.encode(), None), "sound-encoder": (ENCODER.encode(), None),
            "sound-anchors": (changed("recipes: [bf16,", "recipes: &r [bf16,"), None), **yaml(), **studies()}
