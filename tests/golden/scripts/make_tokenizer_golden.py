#!/usr/bin/env python3
"""Writes the golden files of tokenizer kinds, tests/golden/text/{unigram,bpe_patterns,lengths,gguf_spm}*.json.

Needs `tokenizers`, `sentencepiece` and, with --gguf, `gguf` and `llama-cpp-python`:
  make_tokenizer_golden.py [--gguf]
Everything is trained here on generated text; configurations are those of tokenizer_kinds.py. Texts are
those of make_text_golden.py, whose bpe_tokenizer.json is the base of bpe_patterns.json.
"""
import argparse
import json
import pathlib
import tempfile

from tokenizers import Tokenizer

import tokenizer_kinds as kinds
from make_text_golden import OUT, corpus, run, texts

# Enough of nmt_nfkc's ways to hold a character map to: deletions, spaces, ligatures, several code
# points to one, a mapped beginning of a longer grapheme.
RULES = {"\u00a0": " ", "\t": " ", "\n": " ", "\u3000": " ", "\u200b": " ", "\ufb01": "fi", "\u2026": "...",
         "\uff21": "A", "\u00bd": "1\u20442", "\u2460": "1", "\u00ad": "", "\x07": "", "e\u0301": "\u00e9",
         "a\u0301": "\u00e1", "\u2122": "TM", "\u01c4": "D\u017d", "A\u030a": "\u00c5", "\u212b": "\u00c5", "\u20dd": "",
         "\r": " ", "\u1100\u1161\u11a8": "\uac01", "\ufdfa": "\u0635\u0644\u0649 \u0627\u0644\u0644\u0647"}


def rules_file(folder):
    path = pathlib.Path(folder) / "rules.tsv"
    lines = ["\t".join(" ".join(f"{ord(c):X}" for c in side) for side in rule) for rule in RULES.items()]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def write(name, value, ascii_only=True):
    path = OUT / name
    path.write_text(json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":")) + "\n")
    print(path.name, path.stat().st_size, "bytes")


def case(name, base, override, inputs, keys=("ids",)):
    result = run(Tokenizer.from_str(json.dumps(kinds.apply_kind(base, override))), inputs)
    override = {**override, "model_keys": override["model"]} if "model" in override else dict(override)
    override.pop("model", None)
    return {"name": name, "override": override, **{key: result[key] for key in keys}}


def unigram(inputs):
    with tempfile.TemporaryDirectory() as folder:
        small = kinds.sentencepiece_model(corpus(), vocab_size=300, normalization_rule_tsv=rules_file(folder))
    base = kinds.train_unigram(list(corpus()), 900)
    base["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": kinds.charsmap_of(small)}
    write("unigram_tokenizer.json", base)
    cases = [case(name, base, parts, inputs, ("ids", "text"))
             for name, parts in kinds.unigram_kinds("CHARSMAP").items() if "CHARSMAP" not in json.dumps(parts)]
    full = {"pre_tokenizer": kinds.metaspace(), "decoder": kinds.metaspace(),
            "post_processor": kinds.template([("<s>", 0)], [("</s>", 2)])}
    cases.append(case("precompiled", base, full, inputs, ("ids", "plain", "text")))
    cases.append(case("strip_accents", base, {"normalizer": kinds.chain(
        {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"}), "pre_tokenizer": kinds.metaspace()}, inputs))
    write("unigram.json", {"reference": "tokenizers", "texts": inputs, "cases": cases})


def bpe_patterns(inputs):
    base = json.loads((OUT / "bpe_tokenizer.json").read_text())
    cases = [case(name, base, kinds.BYTE_LEVEL[name], inputs)
             for name in ("qwen2", "o200k", "deepseek_v3", "deepseek_coder", "deepseek_llm", "falcon")]
    write("bpe_patterns.json", {"reference": "tokenizers", "texts": inputs, "cases": cases})


def lengths(inputs):
    """What `truncation` and `padding` do; null where the package refuses the text."""
    base = json.loads((OUT / "unigram_tokenizer.json").read_text())
    full = {"pre_tokenizer": kinds.metaspace(), "post_processor": kinds.template([("<s>", 0)], [("</s>", 2)])}
    cut = {"direction": "Right", "max_length": 7, "strategy": "LongestFirst", "stride": 0}
    fill = {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None, "pad_id": 1, "pad_type_id": 0,
            "pad_token": "<pad>"}
    cuts = [None, cut, {**cut, "direction": "Left"}, {**cut, "max_length": 2}, {**cut, "strategy": "OnlyFirst", "stride": 4},
            {**cut, "strategy": "OnlySecond"}, {**cut, "stride": 6}]
    fills = [None, fill, {**fill, "strategy": {"Fixed": 9}}, {**fill, "strategy": {"Fixed": 9}, "direction": "Left", "pad_id": 5},
             {**fill, "pad_to_multiple_of": 8}, {**fill, "strategy": {"Fixed": 6}, "pad_to_multiple_of": 4},
             {**fill, "pad_to_multiple_of": 0}]
    cases = []
    for i, j in [(i, 0) for i in range(len(cuts))] + [(0, j) for j in range(1, len(fills))] + [(1, 2), (1, 3), (2, 4), (3, 5)]:
        tokenizer = Tokenizer.from_str(json.dumps(kinds.apply_kind(base, full) | {"truncation": cuts[i], "padding": fills[j]}))

        def ids(text, special):
            try:
                return tokenizer.encode(text, add_special_tokens=special).ids
            except BaseException as error:  # a panic of the package is no Exception
                assert "stride" in str(error) or "Truncation" in str(error), error
                return None
        cases.append({"truncation": cuts[i], "padding": fills[j], "ids": [ids(t, True) for t in inputs],
                      "plain": [ids(t, False) for t in inputs]})
    write("lengths.json", {"reference": "tokenizers", "override": full, "texts": inputs, "cases": cases})


def gguf_spm(inputs):
    """A vocabulary with scores, and what llama.cpp makes of it."""
    import gguf
    import llama_cpp
    model = kinds.sentencepiece_model(corpus(), vocab_size=900, model_type="bpe", byte_fallback=True,
                                      normalization_rule_name="identity", remove_extra_whitespaces=False,
                                      character_coverage=0.995)
    types = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6}
    metadata = {"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": [p.piece for p in model.pieces],
                "tokenizer.ggml.scores": [p.score for p in model.pieces],
                "tokenizer.ggml.token_type": [types[p.type] for p in model.pieces],
                "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2,
                "tokenizer.ggml.unknown_token_id": 0}
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/spm.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_tokenizer_model("llama")
        writer.add_token_list(metadata["tokenizer.ggml.tokens"])
        writer.add_token_scores(metadata["tokenizer.ggml.scores"])
        writer.add_token_types(metadata["tokenizer.ggml.token_type"])
        for add, key in ((writer.add_bos_token_id, "bos"), (writer.add_eos_token_id, "eos"), (writer.add_unk_token_id, "unknown")):
            add(metadata[f"tokenizer.ggml.{key}_token_id"])
        for add in (writer.add_context_length, writer.add_embedding_length, writer.add_block_count, writer.add_feed_forward_length,
                    writer.add_head_count, writer.add_head_count_kv):
            add(64)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        model = llama_cpp.Llama(model_path=path, vocab_only=True, verbose=False)
    encode = lambda t, special: model.tokenize(t.encode(), add_bos=special, special=special)
    write("gguf_spm.json", {"reference": "llama.cpp", "metadata": metadata, "texts": inputs, "cases": [{
        "name": "llama", "override": {}, "ids": [encode(t, True) for t in inputs], "plain": [encode(t, False) for t in inputs]}]})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", action="store_true")
    options = parser.parse_args()
    inputs = texts() + ["``quotes'' and  two", "e\u0301\u0302 a\u0301", "A\u030a\u0301 \u00bd\u0301", "\ufdfa", "<s>a</s><unk>",
                        "<0x41><0x0A>", "\u2581 \u2581\u2581x", "x\u2581y"]
    if options.gguf:
        return gguf_spm(inputs)
    unigram(inputs)
    bpe_patterns(inputs)
    lengths(["", "a", "The quick brown fox jumps over the lazy dog.", "Two words"])


if __name__ == "__main__":
    main()
