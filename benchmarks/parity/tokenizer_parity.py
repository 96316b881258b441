#!/usr/bin/env python3
# Copyright the assay authors
# SPDX-License-Identifier: Apache-2.0
"""Ids of `assay tokenize` beside those of the `tokenizers` package, for every kind of tokenizer.

  tokenizer_parity.py --assay BIN --text wiki.test.raw [--minilm FOLDER] [--smollm2 GGUF]
                      [--fuzz 1000000] [--kinds gpt2,t5] [--results FILE] [--write]

The tokenizers are those of tests/golden/scripts/tokenizer_kinds.py, trained on the first lines of the
text and on generated text of forty scripts; --minilm adds a real WordPiece, --smollm2 a GGUF, held
against llama.cpp. Prints a row per kind and corpus, and the first texts that differ; ends with 1 if
any does.

--results keeps the texts that differ in a file, to which a later run on other kinds adds; --write puts the
table of all that it holds into docs/text.md, and with `--corpora none` does nothing else."""
import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import parity_common  # noqa: F401  (finds the golden scripts)
import tokenizer_kinds as kinds
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs" / "text.md"
BEGIN, END = "<!-- tokenizer_parity: begin -->", "<!-- tokenizer_parity: end -->"
CORPORA = ("wikitext", "source", "scripts", "characters", "fuzz")
CHUNK = 50_000
KEPT = 10_000  # texts that differ, of a tokenizer and corpus
SCRIPTS = {  # first and last code points of letters, and of marks
    "latin": ("Aż",), "greek": ("Αώ",), "cyrillic": ("Аѓ",), "armenian": ("Աֆ",), "hebrew": ("את", "\u05b0\u05bc"),
    "arabic": ("ءي", "\u064b\u0652"), "syriac": ("ܐܬ", "\u0730\u074a"), "thaana": ("ހޥ", "\u07a6\u07b0"), "nko": ("ߊߪ",),
    "devanagari": ("अह", "\u093e\u094d"), "bengali": ("অহ", "\u09be\u09cd"), "gurmukhi": ("ਅਹ", "\u0a3e\u0a4d"),
    "gujarati": ("અહ", "\u0abe\u0acd"), "oriya": ("ଅହ", "\u0b3e\u0b4d"), "tamil": ("அஹ", "\u0bbe\u0bcd"),
    "telugu": ("అహ", "\u0c3e\u0c4d"), "kannada": ("ಅಹ", "\u0cbe\u0ccd"), "malayalam": ("അഹ", "\u0d3e\u0d4d"),
    "sinhala": ("අෆ", "\u0dcf\u0ddf"), "thai": ("กะ", "\u0e31\u0e4e"), "lao": ("ກຮ", "\u0eb1\u0ecd"), "tibetan": ("ཀཨ", "\u0f71\u0f7d"),
    "myanmar": ("ကအ", "\u102b\u1032"), "georgian": ("აჰ",), "hangul": ("가힣",), "jamo": ("ᄀᇿ",), "ethiopic": ("ሀፚ",),
    "cherokee": ("ᎠᏴ",), "canadian": ("ᐁᙶ",), "runic": ("ᚠᛪ",), "khmer": ("កអ", "\u17b6\u17d3"), "mongolian": ("ᠠᡷ",),
    "hiragana": ("ぁゖ",), "katakana": ("ァヺ",), "bopomofo": ("ㄅㄯ",), "han": ("一龥",), "yi": ("ꀀꒌ",), "balinese": ("ᬅᬳ", "\u1b35\u1b44"),
    "gothic": ("𐌰𐍊",), "deseret": ("𐐀𐑏",), "adlam": ("𞤀𞥃",), "tifinagh": ("ⴰⵧ",),
}
SPACES = " \t\n\r\x0b\x0c\x85\xa0\u1680\u2000\u2003\u200b\u2028\u2029\u202f\u205f\u3000\ufeff\u180e"
SPECIAL = ["<s>", "</s>", "<unk>", "<pad>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "[CLS]", "[SEP]", "[MASK]", "[UNK]",
           "\u2581", "##", "'s", "'LL", "``", "''", "<0x0A>", "👩\u200d👩\u200d👧", "🇩🇪", "👍🏽", "❤\ufe0f", "1234", "  ", "\r\n"]


def letters(rng, parts):
    first, *marks = parts
    word = [chr(rng.randint(ord(first[0]), ord(first[1]))) for _ in range(rng.randint(1, 8))]
    if marks:
        word = [c + (chr(rng.randint(ord(marks[0][0]), ord(marks[0][1]))) if rng.random() < 0.3 else "") for c in word]
    return "".join(word)


def script_lines(count=100):
    rng = random.Random(5)
    for name in SCRIPTS:
        for _ in range(count):
            words = [letters(rng, SCRIPTS[name]) for _ in range(rng.randint(2, 12))]
            yield rng.choice([" ", " ", "  ", "\u3000", ""]).join(words) + rng.choice(["", ".", "!", "。", " 12", "؟", "।"])


def any_character(rng):
    while True:
        c = rng.choice([rng.randint(0, 0x2FF), rng.randint(0, 0xFFFF), rng.randint(0, 0x1FFFF), rng.randint(0, 0x10FFFF)])
        if not 0xD800 <= c <= 0xDFFF:
            return chr(c)


def fuzz_lines(count):
    rng = random.Random(11)
    names = list(SCRIPTS)
    makers = [lambda: rng.choice("abcXYZ019.,'!?-_ "), lambda: rng.choice(SPACES), lambda: rng.choice(SPECIAL),
              lambda: letters(rng, SCRIPTS[rng.choice(names)]), lambda: any_character(rng),
              lambda: chr(rng.randint(0x300, 0x36F)), lambda: chr(rng.randint(0x20, 0x7E)), lambda: chr(rng.randint(0xA0, 0x24F))]
    for _ in range(count):
        yield "".join(rng.choice(makers)() for _ in range(rng.randint(1, 16)))


def character_lines():
    """Every code point of the planes in use, between characters of several classes."""
    for c in [*range(0xD800), *range(0xE000, 0x40000), *range(0xE0000, 0xE0200)]:
        yield "\xaa{0} {0}a1{0}1 {0}{0}.{0}Zé".format(chr(c))


def source_lines():
    listing = subprocess.run(["git", "-C", ROOT, "ls-files", "*.cpp", "*.h", "*.py", "*.md", "*.cmake"],
                             capture_output=True, text=True, check=True).stdout
    for name in listing.splitlines():
        yield from (ROOT / name).read_text().splitlines()


def chunks(lines):
    return (lines[i:i + CHUNK] for i in range(0, len(lines), CHUNK))


class Program:
    """`assay tokenize` on a model, of whole texts or as its tokenizer.json says."""

    def __init__(self, binary, model, whole=True):
        self.command = [str(binary), "tokenize", "-m", str(model), "--json", "-o", "ids", "--parse-special"]
        self.command += ["--whole"] * whole

    def ids(self, lines):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        done = subprocess.run(self.command, input=text.encode(), capture_output=True)
        if done.returncode != 0:
            raise SystemExit(f"parity: {' '.join(self.command)}:\n{done.stderr.decode().strip()}")
        return [[int(i) for i in line.split()] for line in done.stdout.decode().split("\n")[:-1]]


class Package:
    """`tokenizers` on a tokenizer.json."""

    def __init__(self, config, whole=True):
        self.tokenizer = Tokenizer.from_str(json.dumps(config))
        self.whole = whole
        if whole:
            self.tokenizer.no_truncation()
            self.tokenizer.no_padding()

    def ids(self, lines):
        if not self.whole:  # a batch would be padded to its longest text
            return [self.tokenizer.encode(line).ids for line in lines]
        return [encoding.ids for encoding in self.tokenizer.encode_batch(lines)]


class LlamaCpp:
    def __init__(self, path):
        import llama_cpp
        self.model = llama_cpp.Llama(model_path=str(path), vocab_only=True, verbose=False)

    def ids(self, lines):
        return [self.model.tokenize(line.encode(), add_bos=True, special=True) for line in lines]


def write_model(folder, name, config):
    """A folder that holds nothing of a model but its tokenizer."""
    model = folder / name
    model.mkdir()
    (model / "tokenizer.json").write_text(json.dumps(config))
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    return model


def configurations(text, wanted):
    training = [line for line in text.splitlines()[:8000] if line.strip()] + list(script_lines(30))
    if any(name in wanted for name in kinds.BYTE_LEVEL):
        base = kinds.train_byte_level(training, 6000)
        yield from ((name, kinds.apply_kind(base, parts)) for name, parts in kinds.BYTE_LEVEL.items())
    group = kinds.sentencepiece_bpe_kinds()
    if any(name in wanted for name in group):
        base = kinds.train_sentencepiece_bpe(training, 6000)
        yield from ((name, kinds.apply_kind(base, parts)) for name, parts in group.items())
    if any(name in wanted for name in kinds.unigram_kinds("")):
        few = [line for line in training if all(ord(c) < 0x1100 for c in line)]  # each letter takes a piece
        base = kinds.train_unigram(few, 8000)
        compiled = kinds.charsmap_of(kinds.sentencepiece_model(training[:500], vocab_size=400, model_type="unigram",
                                                               normalization_rule_name="nmt_nfkc"))
        yield from ((name, kinds.apply_kind(base, parts)) for name, parts in kinds.unigram_kinds(compiled).items())


def sides(arguments, folder, text):
    """(kind, program, reference) for all that is wanted."""
    known = [*kinds.BYTE_LEVEL, *kinds.sentencepiece_bpe_kinds(), *kinds.unigram_kinds(""), "minilm", "smollm2"]
    wanted = arguments.kinds.split(",") if arguments.kinds else known
    for name, config in configurations(text, wanted):
        if name in wanted:
            yield name, Program(arguments.assay, write_model(folder, name, config)), Package(config)
    if arguments.minilm and "minilm" in wanted:
        path = Path(arguments.minilm)
        config = json.loads((path / "tokenizer.json").read_text())
        yield "minilm", Program(arguments.assay, path), Package(config)
        yield "minilm, its lengths", Program(arguments.assay, path, False), Package(config, False)
    if arguments.smollm2 and "smollm2" in wanted:
        yield "smollm2", Program(arguments.assay, arguments.smollm2), LlamaCpp(arguments.smollm2)


def keep(file, name, corpus, count, texts):
    """Adds to the results, at once: a run may be cut."""
    results = json.loads(file.read_text()) if file.exists() else {}
    results.setdefault(name, {})[corpus] = {"lines": count, "different": len(texts), "texts": texts[:KEPT]}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(results, indent=1))


def write_table(results):
    """A row per tokenizer; in the cells: texts that differ, of how many."""
    lines = ["| tokenizer | " + " | ".join(CORPORA) + " |", "| --- |" + " ---: |" * len(CORPORA)]
    for name, row in sorted(results.items()):
        cells = [f"{row[c]['different']:,} of {row[c]['lines']:,}" if c in row else "" for c in CORPORA]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    text = TABLE.read_text()
    head, rest = text.split(BEGIN)
    TABLE.write_text(head + BEGIN + "\n" + "\n".join(lines) + "\n" + END + rest.split(END)[1])


def compare(name, corpus, lines, program, reference, arguments):
    """How many texts differ; shows the first."""
    texts = []
    for batch in chunks(lines):
        for line, ours, theirs in zip(batch, program.ids(batch), reference.ids(batch), strict=True):
            if ours == theirs:
                continue
            texts.append(line)
            if len(texts) <= arguments.show:
                print(f"  {name} on {corpus}: {line!r}\n    assay     {ours}\n    reference {theirs}")
    print(f"| {name} | {corpus} | {len(lines)} | {len(texts)} |", flush=True)
    if arguments.results:
        keep(arguments.results, name, corpus, len(lines), texts)
    return len(texts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assay", required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("--minilm")
    parser.add_argument("--smollm2")
    parser.add_argument("--fuzz", type=int, default=1_000_000)
    parser.add_argument("--kinds", help="only these, by name")
    parser.add_argument("--corpora", default=",".join(CORPORA), help="only these; `none`: no comparison")
    parser.add_argument("--results", type=Path, help="a JSON file that is added to")
    parser.add_argument("--write", action="store_true", help="the results' table into docs/text.md")
    parser.add_argument("--show", type=int, default=3, help="texts shown that differ, per row")
    arguments = parser.parse_args()
    if arguments.write and not arguments.results:
        parser.error("--write needs --results")
    text = Path(arguments.text).read_text()
    makers = {"wikitext": lambda: text.split("\n"), "source": source_lines, "scripts": script_lines,
              "characters": character_lines, "fuzz": lambda: fuzz_lines(arguments.fuzz)}
    wanted = [name for name in arguments.corpora.split(",") if name != "none"]
    corpora = {name: list(makers[name]()) for name in wanted}
    print("| tokenizer | corpus | lines | differences |\n| --- | --- | --- | --- |")
    total = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, program, reference in sides(arguments, Path(folder), text) if corpora else ():
            for corpus, lines in corpora.items():
                total += compare(name, corpus, lines, program, reference, arguments)
    if arguments.write:
        write_table(json.loads(arguments.results.read_text()))
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
