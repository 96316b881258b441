"""Small tokenizers of every kind that published models use, for the golden files and for
benchmarks/parity/tokenizer_parity.py: their normalizers, pre-tokenizers, decoders and templates as
the published tokenizer.json have them, over a vocabulary trained on the caller's text."""
import base64
import io
import json

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

MARK = "\u2581"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
SHORT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
O200K = (rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{SHORT}|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{SHORT}"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK3 = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
             r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
HAN = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
HAN_HANGUL = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
BYTES_SPLIT = {**BYTES, "use_regex": True}


def split(pattern, behavior="Isolated", invert=False, literal=False):
    return {"type": "Split", "pattern": {"String" if literal else "Regex": pattern},
            "behavior": behavior, "invert": invert}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


def chain(*steps):
    return {"type": "Sequence", "normalizers": list(steps)}


def replace(pattern, content, regex=False):
    return {"type": "Replace", "pattern": {"Regex" if regex else "String": pattern}, "content": content}


def digits(individual):
    return {"type": "Digits", "individual_digits": individual}


def metaspace(scheme="always", split_words=True):
    return {"type": "Metaspace", "replacement": MARK, "prepend_scheme": scheme, "split": split_words}


def template(before, after):
    """TemplateProcessing with [(token, id)] on either side."""
    special = lambda one: {"SpecialToken": {"id": one[0], "type_id": 0}}
    text = lambda name: {"Sequence": {"id": name, "type_id": 0}}
    return {"type": "TemplateProcessing",
            "single": [*map(special, before), text("A"), *map(special, after)],
            "pair": [text("A"), text("B")],
            "special_tokens": {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in before + after}}


BYTE_LEVEL = {  # name -> what replaces the parts of a byte-level BPE
    "gpt2": {"pre_tokenizer": BYTES_SPLIT},
    "llama3": {"pre_tokenizer": sequence(split(LLAMA3), BYTES), "model": {"ignore_merges": True}},
    "qwen2": {"normalizer": {"type": "NFC"}, "pre_tokenizer": sequence(split(QWEN2), BYTES)},
    "o200k": {"pre_tokenizer": sequence(split(O200K), BYTES), "model": {"ignore_merges": True}},
    "deepseek_v3": {"normalizer": chain(), "pre_tokenizer": sequence(
        split(r"\p{N}{1,3}"), split(HAN), split(DEEPSEEK3), BYTES)},
    "deepseek_coder": {"normalizer": chain(), "pre_tokenizer": sequence(
        split(r"[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split(HAN_HANGUL), digits(True), BYTES)},
    "deepseek_llm": {"normalizer": chain(), "pre_tokenizer": sequence(
        split(r"[\r\n]"), split("\\s?[A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u0370-\u0373\u0386\u0388-\u03ff"
                                "\u0400-\u0481\u048a-\u052f\u10a0-\u10c5\u1e00-\u1f15]+"),
        split("\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+"), split(r"\s+$"),
        split(HAN_HANGUL), digits(True), BYTES)},
    "starcoder": {"pre_tokenizer": sequence(digits(True), BYTES_SPLIT)},
    "falcon": {"pre_tokenizer": sequence({"type": "Punctuation", "behavior": "Contiguous"}, BYTES_SPLIT,
                                         digits(False), split("[0-9][0-9][0-9]"))},
    "roberta": {"pre_tokenizer": {**BYTES_SPLIT, "add_prefix_space": True}},
}

SPACES = replace(" {2,}", " ", regex=True)


def sentencepiece_bpe_kinds():
    """Name -> what replaces the parts of a SentencePiece-style BPE with byte fallback."""
    llama = {"type": "Sequence", "decoders": [
        replace(MARK, " "), {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    gemma = {"type": "Sequence", "decoders": [replace(MARK, " "), {"type": "ByteFallback"}, {"type": "Fuse"}]}
    return {
        "llama2": {"normalizer": chain({"type": "Prepend", "prepend": MARK}, replace(" ", MARK)),
                   "pre_tokenizer": None, "decoder": llama},
        "mistral": {"normalizer": None, "pre_tokenizer": metaspace("first", False), "decoder": llama},
        "gemma": {"normalizer": replace(" ", MARK),
                  "pre_tokenizer": split(" ", "MergedWithPrevious", literal=True), "decoder": gemma},
    }


def unigram_kinds(charsmap):
    """Name -> what replaces the parts of a Unigram model; `charsmap` is base64."""
    compiled = {"type": "Precompiled", "precompiled_charsmap": charsmap}
    frame = template([("<s>", 0)], [("</s>", 2)])
    albert = chain(replace("``", '"'), replace("''", '"'), {"type": "NFKD"}, {"type": "StripAccents"},
                   {"type": "Lowercase"}, compiled)
    return {
        "xlm_roberta": {"normalizer": chain(compiled, SPACES), "pre_tokenizer": metaspace(),
                        "decoder": metaspace(), "post_processor": frame},
        "xlm_roberta_older": {"normalizer": compiled, "post_processor": frame, "decoder": metaspace(),
                              "pre_tokenizer": sequence({"type": "WhitespaceSplit"}, metaspace())},
        "t5": {"normalizer": chain(compiled, {"type": "Strip", "strip_left": False, "strip_right": True},
                                   replace(" {2,}", MARK, regex=True)),
               "pre_tokenizer": metaspace(), "decoder": metaspace(), "post_processor": template([], [("</s>", 2)])},
        "albert": {"normalizer": albert, "pre_tokenizer": metaspace(), "decoder": metaspace()},
        "nmt": {"normalizer": chain({"type": "Nmt"}, {"type": "NFKC"}, SPACES), "pre_tokenizer": metaspace(),
                "decoder": metaspace()},
        "byte_fallback": {"normalizer": chain({"type": "NFD"}, replace(" ", MARK)), "pre_tokenizer": None,
                          "model": {"byte_fallback": True}, "decoder": {"type": "Sequence", "decoders": [
                              replace(MARK, " "), {"type": "ByteFallback"}, {"type": "Fuse"}]}},
    }


def apply_kind(base, parts):
    """`base` (a dict of tokenizer.json) with `parts` in place; `model` replaces keys of the model."""
    config = {**base, **{k: v for k, v in parts.items() if k != "model"}}
    if "model" in parts:
        config["model"] = {**base["model"], **parts["model"]}
    return config


def train_byte_level(texts, size):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return json.loads(tokenizer.to_str())


def train_sentencepiece_bpe(texts, size):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    names = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=names, show_progress=False, limit_alphabet=300)
    tokenizer.train_from_iterator(texts, trainer)
    base = json.loads(tokenizer.to_str())
    base["added_tokens"] = base["added_tokens"][:3]
    base["post_processor"] = template([("<s>", 1)], [])
    return base


def train_unigram(texts, size):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    names = ["<s>", "<pad>", "</s>", "<unk>"] + [f"<0x{i:02X}>" for i in range(256)]
    trainer = trainers.UnigramTrainer(vocab_size=size, special_tokens=names, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    base = json.loads(tokenizer.to_str())
    base["added_tokens"] = base["added_tokens"][:4]
    return base


def sentencepiece_model(texts, **options):
    """A SentencePiece model proto."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as proto
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(texts), model_writer=out, num_threads=1,
                                             minloglevel=2, hard_vocab_limit=False, **options)
    model = proto.ModelProto()
    model.ParseFromString(out.getvalue())
    return model


def charsmap_of(model):
    return base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()
