#!/usr/bin/env python3
"""Writes the corpus: for every reader of untrusted bytes, files of every malformed kind and some sound ones.

    tests/corpus/make_corpus.py            write tests/corpus/<target>/
    tests/corpus/make_corpus.py --check    exit 1 if what is there differs from what would be written

<target>/expected.json says for each file what the reader's message must contain, or null if it must be
accepted. The files are seeds for the fuzzers too (tests/fuzz). Standard library only; nothing is random."""
import json
import pathlib
import sys

from makers import chat, checkpoints, gguf, json_texts, safetensors, studies, torch

FOLDER = pathlib.Path(__file__).resolve().parent
LARGEST = 64 << 10


def folders():
    """{target: {file name: (bytes, message or None)}}"""
    return {"safetensors": safetensors.files(),
            "gguf": gguf.files(),
            "gguf_model": gguf.model_files(),
            "torch": torch.files(),
            "npy": torch.npy_files(),
            "shard_index": json_texts.shard_indices(),
            "tokenizer": json_texts.tokenizers(),
            "config": json_texts.configs(),
            "study": studies.files(),
            "chat": chat.files(),
            "checkpoint": checkpoints.files()}


def contents():
    """{path: bytes} of everything the script writes."""
    result = {}
    for target, files in folders().items():
        expected = {}
        for name, (content, message) in files.items():
            assert len(content) <= LARGEST, (target, name, len(content))
            result[FOLDER / target / name] = content
            expected[name] = message
        text = json.dumps(expected, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        result[FOLDER / target / "expected.json"] = text.encode()
    return result


def main():
    wanted = contents()
    there = {path for folder in folders() for path in (FOLDER / folder).glob("*")}
    if sys.argv[1:] == ["--check"]:
        wrong = [path for path, content in wanted.items()
                 if path not in there or path.read_bytes() != content]
        wrong += there - wanted.keys()
        for path in sorted(wrong):
            print(f"{path.relative_to(FOLDER)}: differs from what make_corpus.py writes")
        return 1 if wrong else 0
    for path in there - wanted.keys():
        path.unlink()
    for path, content in wanted.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
