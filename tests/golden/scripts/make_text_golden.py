#!/usr/bin/env python3
"""Writes the golden files of the tokenizer tests, tests/golden/text/*.json.

Needs `tokenizers` and, for the GGUF model, `llama-cpp-python` (the reference for a GGUF's tokens).
  make_text_golden.py --minilm FOLDER --smollm2 FILE.gguf
FOLDER holds MiniLM's tokenizer.json. A part whose model is not given is left as it is; the small
byte-level tokenizer needs no model, it is trained here on generated text.
"""
import argparse
import copy
import json
import pathlib
import random

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

OUT = pathlib.Path(__file__).resolve().parent.parent / "text"

FIXED = [
    "", " ", "  ", "\n", "\n\n", " \n ", "\t\ttabs", "trailing   ", "   leading", "a", "A", "I'm", "don't",
    "We'll see; they've said it's Bob's, I'd go, you're in.", "DON'T SHOUT, IT'S LOUD, WE'LL SEE, I'M OFF",
    "Hello, world!", "hello world", "The quick brown fox jumps over the lazy dog.",
    "unaffable", "internationalization", "antidisestablishmentarianism", "supercalifragilisticexpialidocious",
    "x" * 99, "x" * 100, "x" * 101, "ab" * 300, "a" * 1000, "é" * 100, "é" * 101, "日" * 40,
    "naïve café déjà vu", "nai\u0308ve cafe\u0301", "Ångström A\u030angstro\u0308m", "Łódź, Święty, Þór, ßtraße, Œuvre",
    "İstanbul ISTANBUL ıstanbul", "ΑΒΓ ΣΟΦΟΣ σοφός", "ЁЛКА ёлка Привет, мир!", "ǅ ǈ ﬁ ﬂ ﬀ ſ K Å",
    "TIẾNG VIỆT tiếng Việt", "a\u0301\u0323 a\u0323\u0301 q\u0307\u0323", "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘!͖̬̰̙̗̿̋ͥͥ̂ͣ̐́́͜͞",
    "我爱北京天安门", "日本語のテキスト、カタカナとひらがな。", "한국어 텍스트 각\u1100\u1161\u11a8", "中文 mixed 英文text混合",
    "漢字𠀀𪜀𫝀𫠠", "豈更車", "ไทย ภาษาไทย", "हिन्दी पाठ", "العربية نص", "עִבְרִית שָׁלוֹם", "Ελληνικά", "ქართული",
    "😀", "😀😃😄", "👩‍👩‍👧‍👦 family", "🇩🇪🇫🇷 flags", "👍🏽 thumbs", "❤️ heart ❤", "™ © ® ℃ № ½ ² ³ ¹ ₂ Ⅻ ①",
    "\u200bzero\u200bwidth\u200d\u2060\ufeff", "soft\u00adhyphen", "nbsp\u00a0here\u202fand\u3000there\u2003em",
    "\u180e mongolian\u180evowel", "line\u2028sep\u2029par\u0085nel", "\x00nul\x01\x02\x1f\x7f\x80\x9f", "\x0bvt\x0cff\rcr\r\ncrlf",
    "bell\x07back\x08space\x1bescape", "\ufffdreplacement\ufffd", "\ue000private\U0010ffff", "\u0378unassigned\U000e0fff",
    "\U0001e900\U0001e922 adlam", "\u061c\u0600\u06dd format", "\u0301leading mark", " \u0301 spaced mark", "\u20dd\u0488 enclosing",
    "0", "1", "12", "123", "1234", "1234567890", "3.14159", "1,000,000.00", "-42", "1e-10", "0x7fff", "٣٤٥ ४५ ５６ Ⅷ",
    "a1b2c3", "v1.2.3-rc4", "2024-01-31T23:59:59Z", "+1 (555) 010-9999", "50%", "$5.00 €6 £7 ¥8 ₹9",
    "foo_bar", "fooBar", "FooBarBaz", "foo-bar", "foo.bar", "foo/bar", "C++ C# F#", "e.g., i.e., etc.",
    "https://example.org/path?q=1&r=two#frag", "user.name+tag@example.co.uk", "#hashtag @mention",
    "def f(x):\n    return x ** 2  # square\n", "for (int i = 0; i < n; ++i) { a[i] += b[i] * c; }\n",
    "<html><body class=\"x\">&amp;</body></html>", "{\"key\": [1, 2.5, null, true]}", "SELECT * FROM t WHERE a <> 'b';",
    "\\begin{equation} E = mc^2 \\end{equation}", "if x:\n\tpass\n\n\n\telse:\n", "a=b;c=d", "!!!", "???!!!...", "---===+++",
    "“quotes” ‘single’ «guillemets» „low“", "em—dash en–dash hy-phen", "ellipsis… three...", "¿Qué? ¡Sí!", "(a)[b]{c}<d>",
    "'", "''", "' '", "'s", " 's", "''s", "'S", "'ſ", "it’s", "o'clock 'tis", "'re're'll'x", "`code`", "^caret^ ~tilde~ |pipe|",
    "a  b", "a   b", "a \n b", "a\n\nb", "a\n \nb", "a \n\n b", "  \n  \n", "x\t y", "end ", "end  ", "end\n", "end \n", "end\n ",
    "1 2", "1  2", "a 1", "a  1", "1a 1 a", "\n1", " 1", "  1", "1\n", "!a", " !", "  !", "\n!", "!\n", "!\r\n", "a\r\n\r\nb",
    "[CLS]", "[SEP] a [MASK] b [PAD]", "[UNK]", "[cls] [ CLS ] [CLS", "a[MASK]b", "[MASK][MASK]", "##ing ##s", "ing##",
    "<|endoftext|>", "a<|endoftext|>b", "<|im_start|>user\nHi<|im_end|>\n", " <|im_end|> ", "<|im_end", "<|im_start|><|im_end|>",
    "<|im_<|im_end|>", "<repo_name>x<file_sep>y<filename>", "<reponame>", "<jupyter_code>1<jupyter_output>", "<empty_output>",
    "<strip>", "a  <strip>  b", "<left>  x", "a  <left> b", " <right>\n\n x", "<strip>  <strip>", "<left> <right> <left>",
    "word", "a word b", "sword words", "word, (word) word's _word", "wordé éword 日word", "Caf\u00e9Tok cafe\u0301tok CAFÉTOK",
    "x]\x14',P", "a\x13,b !\x14! 1\x142", "\x14\x13",
    "plainplain", "plain plain-plain", "<|endoftext|>  <strip>word",
]

WORDS = ("time year people way day man thing woman life child world school state family student group country problem "
         "hand part place case week company system program question work government number night point home water room "
         "mother area money story fact month lot right study book eye job word business issue side kind head house "
         "service friend father power hour game line end member law car city community name").split()
ODD = ["über", "façade", "naïve", "日本", "漢字", "привет", "мир", "😀", "🚀", "it's", "don't", "we'll", "x_1", "foo()", "a->b",
       "==", "!=", "...", "—", "«", "»", "3.14", "2024", "0xff", "\t", "\n", "\n\n", "    "]


def texts():
    rng = random.Random(20240131)
    out = list(FIXED)
    pool = list("abcXYZ019 .,'!?-_\n\t") + ["é", "e\u0301", "日", "я", "😀", "\u200d", "\x00", "ſ", "½", "  ", "<|im_end|>", "[SEP]"]
    for _ in range(30):
        out.append("".join(rng.choice(pool) for _ in range(rng.randint(3, 40))))
    for _ in range(10):
        out.append(" ".join(rng.choice(WORDS + ODD) for _ in range(rng.randint(5, 30))))
    return out


def corpus():
    rng = random.Random(7)
    for _ in range(1500):
        words = [rng.choice(WORDS) if rng.random() < 0.8 else rng.choice(ODD) for _ in range(rng.randint(3, 20))]
        yield " ".join(words).capitalize() + rng.choice([".", "!", "?", "\n", ""])


def run(tokenizer, inputs):
    """ids: special tokens found and framed; plain: found as text, not framed; text: ids decoded."""
    tokenizer.encode_special_tokens = False
    ids = [tokenizer.encode(t).ids for t in inputs]
    text = [tokenizer.decode(i) for i in ids]
    tokenizer.encode_special_tokens = True
    plain = [tokenizer.encode(t, add_special_tokens=False).ids for t in inputs]
    return {"ids": ids, "plain": plain, "text": text}


def write(name, value):
    path = OUT / name
    path.write_text(json.dumps(value, ensure_ascii=True, separators=(",", ":")) + "\n")
    print(path.name, path.stat().st_size, "bytes")


def train():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=900, special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False)
    tokenizer.train_from_iterator(list(corpus()), trainer)
    tokenizer.add_tokens([
        AddedToken("<strip>", lstrip=True, rstrip=True, normalized=False),
        AddedToken("<left>", lstrip=True, normalized=False),
        AddedToken("<right>", rstrip=True, normalized=False),
        AddedToken("word", single_word=True, normalized=False),
        AddedToken("Caf\u00e9Tok", normalized=True),
        AddedToken("plainplain", normalized=True),
    ])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return json.loads(tokenizer.to_str())


LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


def sequence(*steps):
    return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": list(steps)}}


def template(vocab):
    special = lambda t: {"id": t, "ids": [vocab[t]], "tokens": [t]}
    return {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<|im_start|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                       {"SpecialToken": {"id": "<|im_end|>", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {t: special(t) for t in ("<|im_start|>", "<|im_end|>")}}


def variants(base):
    """Name -> keys of the small tokenizer.json that are replaced."""
    vocab = base["model"]["vocab"]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    digits = {"type": "Digits", "individual_digits": True}
    strings = {"model": {**base["model"], "ignore_merges": True,
                         "merges": [" ".join(m) if isinstance(m, list) else m for m in base["model"]["merges"]]}}
    out = {
        "plain": {},
        "prefix_space": {"pre_tokenizer": {**level, "add_prefix_space": True}},
        "no_regex": {"pre_tokenizer": BYTES},
        "digits": sequence(digits, level),
        "whole_numbers_prefixed": sequence({**digits, "individual_digits": False}, {**level, "add_prefix_space": True}),
        "llama3": {**sequence(split({"Regex": LLAMA3}), BYTES), **strings},
        "nfc_template": {"normalizer": {"type": "NFC"}, "post_processor": {
            "type": "Sequence", "processors": [base["post_processor"], template(vocab)]}},
        "nfkd_lowercase": {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKD"}, {"type": "Lowercase"}]}},
        "roberta": {"post_processor": {"type": "RobertaProcessing", "sep": ["<|im_end|>", vocab["<|im_end|>"]],
                                       "cls": ["<|im_start|>", vocab["<|im_start|>"]], "trim_offsets": True,
                                       "add_prefix_space": False}},
        "inverted": sequence(split({"Regex": r"\w+|[^\w\s]+"}, "Removed", True), BYTES),
    }
    for behavior in ("Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
        out["space_" + behavior] = sequence(split({"String": " "}, behavior), BYTES)
    return out


def small_bpe(inputs):
    base = train()
    (OUT / "bpe_tokenizer.json").write_text(json.dumps(base, ensure_ascii=True, separators=(",", ":")) + "\n")
    cases = []
    for name, override in variants(base).items():
        config = copy.deepcopy(base)
        config.update(override)
        result = run(Tokenizer.from_str(json.dumps(config)), inputs)
        if name == "llama3":  # too long to store twice: the test makes the same change
            override = {k: v for k, v in override.items() if k != "model"}
            override["ignore_merges_and_string_merges"] = True
        if name not in ("plain", "llama3", "nfc_template"):  # these say enough about the rest
            result = {"ids": result["ids"]}
        cases.append({"name": name, "override": override, **result})
    write("bpe.json", {"reference": "tokenizers", "texts": inputs, "cases": cases})


def replace(pattern, content):
    return {"type": "Replace", "pattern": {"String": pattern}, "content": content}


def train_sentencepiece_bpe():
    """As tokenizer.json of Llama-2: <unk>, <s>, </s>, 256 bytes, then pieces of characters."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    names = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=950, special_tokens=names, show_progress=False, limit_alphabet=90)
    tokenizer.train_from_iterator(list(corpus()), trainer)
    base = json.loads(tokenizer.to_str())
    base["added_tokens"] = base["added_tokens"][:3]
    base["pre_tokenizer"] = None
    base["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"}, replace(" ", "\u2581")]}
    special = {"id": "<s>", "ids": [1], "tokens": ["<s>"]}
    base["post_processor"] = {
        "type": "TemplateProcessing", "special_tokens": {"<s>": special},
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}]}
    base["decoder"] = {"type": "Sequence", "decoders": [
        replace("\u2581", " "), {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    return base


def metaspace(scheme, split_words, **more):
    return {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": split_words, **more}


def sentencepiece_bpe_variants():
    out = {
        "llama": {},
        "first": {"normalizer": None, "pre_tokenizer": metaspace("first", False)},
        "always_split": {"normalizer": None, "pre_tokenizer": metaspace("always", True),
                         "decoder": metaspace("always", True)},
        "never": {"normalizer": None, "pre_tokenizer": metaspace("never", True), "decoder": metaspace("never", True)},
        "legacy_key": {"normalizer": None, "pre_tokenizer": {
            "type": "Metaspace", "replacement": "\u2581", "add_prefix_space": True}},
        "punctuation": {"normalizer": {"type": "Strip", "strip_left": True, "strip_right": True}, **sequence(
            {"type": "Punctuation", "behavior": "Contiguous"}, metaspace("always", True))},
        "white_space": {"normalizer": None, "pre_tokenizer": {"type": "Whitespace"}},
        "white_space_split": {"normalizer": None, "pre_tokenizer": {"type": "WhitespaceSplit"}},
        "regex_replace": {"normalizer": {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": "\u2581"}},
    }
    cut = {"fused": True, "single": False}
    for name, fused in cut.items():
        out[name] = {"model_keys": {"byte_fallback": False, "fuse_unk": fused}}
    return out


def golden_variants(name, base, variants, inputs):
    (OUT / f"{name}_tokenizer.json").write_text(json.dumps(base, ensure_ascii=True, separators=(",", ":")) + "\n")
    cases = []
    for index, (case, override) in enumerate(variants.items()):
        config = copy.deepcopy(base)
        for key, value in override.items():
            if key == "model_keys":
                config["model"].update(value)
            else:
                config[key] = value
        result = run(Tokenizer.from_str(json.dumps(config)), inputs)
        if index > 0:
            result = {k: result[k] for k in ("ids", "text") if k == "ids" or "decoder" in override}
        cases.append({"name": case, "override": override, **result})
    write(f"{name}.json", {"reference": "tokenizers", "texts": inputs, "cases": cases})


def sentencepiece_bpe(inputs):
    base = train_sentencepiece_bpe()
    golden_variants("sentencepiece_bpe", base, sentencepiece_bpe_variants(), inputs)


def wordpiece(folder, inputs):
    tokenizer = Tokenizer.from_file(str(pathlib.Path(folder) / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    cases = [{"name": "uncased", "override": {}, **run(tokenizer, inputs)}]
    for name, change in {"cased": {"lowercase": False}, "cased_no_accents": {"lowercase": False, "strip_accents": True},
                         "raw": {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False}}.items():
        config = json.loads(tokenizer.to_str())
        config["normalizer"].update(change)
        cases.append({"name": name, "override": {"normalizer": config["normalizer"]},
                      "ids": run(Tokenizer.from_str(json.dumps(config)), inputs)["ids"]})
    write("wordpiece.json", {"reference": "tokenizers", "texts": inputs, "cases": cases})


def gguf(path, inputs):
    import llama_cpp
    model = llama_cpp.Llama(model_path=path, vocab_only=True, verbose=False)
    encode = lambda t, special: model.tokenize(t.encode(), add_bos=special, special=special)
    write("smollm2.json", {"reference": "llama.cpp", "texts": inputs, "cases": [{
        "name": "smollm2", "override": {}, "ids": [encode(t, True) for t in inputs],
        "plain": [encode(t, False) for t in inputs]}]})


def invalid_utf8():
    rng = random.Random(3)
    pieces = [b"a", b"\xc3\xa9", b"\xe2\x82\xac", b"\xf0\x9f\x98\x80", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\x80", b"\xbf", b"\xc0\x80",
              b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xff", b"\xfe", b"\xe0\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xe0", b"\xf0\x80", b" "]
    inputs = list(pieces) + [b"".join(rng.choice(pieces) for _ in range(rng.randint(2, 8))) for _ in range(60)]
    write("invalid_utf8.json", [[b.hex(), b.decode("utf-8", errors="replace")] for b in inputs])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minilm")
    parser.add_argument("--smollm2")
    options = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    inputs = texts()
    print(len(inputs), "texts")
    invalid_utf8()
    small_bpe(inputs)
    sentencepiece_bpe(inputs)
    if options.minilm:
        wordpiece(options.minilm, inputs)
    if options.smollm2:
        gguf(options.smollm2, inputs)


if __name__ == "__main__":
    main()
