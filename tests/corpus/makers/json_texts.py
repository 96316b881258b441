"""Files of JSON: the index of shards, tokenizer.json, config.json."""
import copy
import json

# What is no JSON, whatever it was to be: {name: (bytes, message)}.
BROKEN = {
    "empty": (b"", "not valid JSON"),
    "not-json": (b"{a}", "not valid JSON"),
    "not-closed": (b'{"a": {', "not valid JSON"),
    "two-documents": (b"{}{}", "not valid JSON"),
    "not-utf8": (b'{"a\xff": 1}', "not valid JSON"),
    "half-a-surrogate": (b'{"\\udc00": 1}', "not valid JSON"),
    "nan": (b'{"a": NaN}', "not valid JSON"),
    "number-1e999": (b'{"a": 1e999}', "not valid JSON"),
    "nested-deeply": (b'{"a":' + b"[" * 1000 + b"]" * 1000 + b"}", "nested deeper than 64"),
    "nested-and-not-closed": (b'{"a":' * 5000, "nested deeper than 64")}


def pack(value):
    return json.dumps(value, ensure_ascii=False).encode()


def changed(sound, path, value):
    """`sound` with the member at `path` set, or removed by None."""
    result = copy.deepcopy(sound)
    at = result
    for key in path[:-1]:
        at = at[key]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return pack(result)


def shard_indices():
    name = "model-00001-of-00002.safetensors"
    other = "model-00002-of-00002.safetensors"
    sound = {"metadata": {"total_size": 16}, "weight_map": {"a": name, "b": other, "c": name}}

    def file(value):
        return changed(sound, ["weight_map", "a"], value)
    return {
        **BROKEN,
        "sound": (pack(sound), None),
        "sound-other-keys": (pack({"x": {"weight_map": {"y": [1, {}]}}, "weight_map": {"a": name}}), None),
        "a-list": (b"[]", "must be a JSON object"),
        "a-text": (b'"weight_map"', "must be a JSON object"),
        "map-missing": (pack({"metadata": {}}), "is missing"),
        "map-empty": (pack({"weight_map": {}}), "names no tensor"),
        "map-is-a-list": (pack({"weight_map": [name]}), "must be an object"),
        "map-is-null": (pack({"weight_map": None}), "must be an object"),
        "map-twice": (b'{"weight_map": {"a": "x"}, "weight_map": {"b": "x"}}', "the key is there twice"),
        "tensor-twice": (b'{"weight_map": {"a": "x", "a": "y"}}', "the tensor is named twice"),
        "file-is-a-number": (file(1), "must be the name of a file"),
        "file-is-a-list": (file([name]), "must be the name of a file"),
        "file-is-an-object": (file({"a": name}), "must be the name of a file"),
        "file-empty": (file(""), "is no plain name"),
        "file-above": (file("../" + name), "is no plain name"),
        "file-absolute": (file("/etc/passwd"), "is no plain name"),
        "file-parent": (file(".."), "is no plain name"),
        "file-backslash": (file("a\\b"), "is no plain name"),
        "file-with-nul": (file("a\0b"), "is no plain name"),
        "file-is-an-index": (file("model.safetensors.index.json"), "is an index")}


def byte_level():
    """A byte-level BPE of a few pieces."""
    pieces = ["<|end|>", "l", "o", "w", "e", "r", "Ġ", "lo", "low", "er", "Ċ"]
    return {"version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [{"id": 0, "content": "<|end|>", "single_word": False, "lstrip": False,
                              "rstrip": False, "normalized": False, "special": True}],
            "normalizer": {"type": "NFC"},
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": "'s|\\p{L}+|\\p{N}{1,3}|\\s+(?!\\S)|\\s+"},
                 "behavior": "Isolated", "invert": False},
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}]},
            "post_processor": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False},
            "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True},
            "model": {"type": "BPE", "dropout": None, "unk_token": None,
                      "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
                      "byte_fallback": False, "ignore_merges": False,
                      "vocab": {piece: i for i, piece in enumerate(pieces)},
                      "merges": ["l o", "lo w", "e r"]}}


def fallback():
    """A SentencePiece-style BPE: bytes for what it lacks, spaces as a sign."""
    pieces = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    pieces += ["▁", "l", "o", "w", "lo", "▁lo"]
    steps = [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
             {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]
    return {"added_tokens": [{"id": i, "content": piece, "special": True}
                             for i, piece in enumerate(pieces[:3])],
            "normalizer": {"type": "Sequence", "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
            "pre_tokenizer": None,
            "post_processor": {"type": "TemplateProcessing",
                               "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                                          {"Sequence": {"id": "A", "type_id": 0}}],
                               "pair": [], "special_tokens": {
                                   "<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
            "decoder": {"type": "Sequence", "decoders": steps},
            "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True,
                      "vocab": {piece: i for i, piece in enumerate(pieces)},
                      "merges": [["l", "o"], ["▁", "lo"]]}}


def wordpiece():
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "low", "##er", "a", "##b"]
    return {"added_tokens": [], "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
            "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                           "strip_accents": None, "lowercase": True},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                      "max_input_chars_per_word": 100,
                      "vocab": {piece: i for i, piece in enumerate(pieces)}}}


DOUBLE = {"type": "Replace", "pattern": {"String": "l"}, "content": "ll"}


def split(pattern, **changes):
    step = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [{**step, **changes}, {"type": "ByteLevel"}]}


def nested(kind, key, inner, times):
    for _ in range(times):
        inner = {"type": kind, key: [inner]}
    return inner


def tokenizers():
    bpe = byte_level()

    def model(key, value):
        return changed(bpe, ["model", key], value)

    def piece(value, name="x"):
        return changed(bpe, ["model", "vocab", name], value)

    def pattern(text, **changes):
        return changed(bpe, ["pre_tokenizer"], split(text, **changes))

    def added(**changes):
        return changed(bpe, ["added_tokens"], [{**bpe["added_tokens"][0], **changes}])
    return {
        **BROKEN,
        "sound-byte-level": (pack(bpe), None),
        "sound-fallback": (pack(fallback()), None),
        "sound-wordpiece": (pack(wordpiece()), None),
        "sound-alternatives": (pattern("(a|b)+$|."), None),
        "a-list": (b"[]", "an object is expected"),
        "key-twice": (b'{"model": {"vocab": {"a": 0, "a": 1}}}', "the key is there twice"),
        "unknown-part": (changed(bpe, ["stemmer"], {}), "stemmer is not known"),
        "model-missing": (changed(bpe, ["model"], None), "model is missing"),
        "model-unknown": (model("type", "Other"), "'Other' is not supported"),
        "vocab-empty": (model("vocab", {}), "empty"),
        "vocab-is-a-list": (model("vocab", []), "an object of pieces and ids"),
        "id-twice": (piece(3), "id 3"),
        "id-negative": (piece(-1), "-1"),
        "id-2-to-31": (piece(1 << 31), "2147483648"),
        "id-2-to-63": (piece(1 << 63), "out of range"),
        "id-far-beyond": (piece(2_000_000), "2000000"),
        "id-is-a-text": (piece("7"), "an integer is expected"),
        "id-real": (piece(1.5), "an integer is expected"),
        "piece-with-line-break": (piece(-1, "a\nb"), "a\\nb"),
        "merges-missing": (model("merges", None), "merges is missing"),
        "merge-of-three": (model("merges", ["l o w"]), "two pieces"),
        "merge-of-one": (model("merges", [["l"]]), "two pieces"),
        "merge-unknown-left": (model("merges", ["z o"]), "left part 'z'"),
        "merge-unknown-result": (model("merges", ["o l"]), "result 'ol'"),
        "merge-twice": (model("merges", ["l o", "l o"]), "duplicate"),
        "unk-not-there": (model("unk_token", "nowhere"), "'nowhere' is not in the vocabulary"),
        "dropout": (model("dropout", 0.1), "would make the ids random"),
        "byte-fallback-twice": (model("byte_fallback", True), "byte_fallback is not supported"),
        "added-clash": (added(id=1), "contradicts model.vocab"),
        "added-far-beyond": (added(id=1 << 30, content="far"), "1073741824"),
        "added-negative": (added(id=-5, content="far"), "-5"),
        "added-empty": (added(content="", id=11), "added_tokens"),
        "added-unknown-key": (added(wide=True), "wide is not known"),
        "pattern-not-closed": (pattern("(a"), "malformed at character"),
        "pattern-and-of-sets": (pattern("[a&&b]"), "&&"),
        "pattern-of-64-kib": (pattern("a" * 60_000 + "(" * 500), "pattern"),
        "pattern-nested": (pattern("(" * 2000 + "a" + ")" * 2000), "malformed at character"),
        "pattern-repeats": (pattern("((a{1,1000}){1,1000}){1,1000}"), "pattern"),
        "pattern-of-two-ways": (pattern("(a|aa)+$|."), "failed on a text"),
        "pattern-exponential": (pattern("(a+)+b|(a*)*c"), "failed on a text"),
        "behavior-unknown": (pattern("a", behavior="Sideways"), "'Sideways'"),
        "normalizer-unknown": (changed(bpe, ["normalizer"], {"type": "Other"}), "Other"),
        "normalizers-nested": (changed(bpe, ["normalizer"], nested("Sequence", "normalizers",
                                                                    {"type": "NFC"}, 20)), "nested deeper"),
        "decoders-nested": (changed(bpe, ["decoder"], nested("Sequence", "decoders", {"type": "Fuse"}, 20)),
                            "nested deeper"),
        "normalizer-doubles-40-times": (
            changed(bpe, ["normalizer"], {"type": "Sequence", "normalizers": [DOUBLE] * 40}),
            "the tokenizer's steps make"),
        "decoder-doubles-40-times": (
            changed(bpe, ["decoder"], {"type": "Sequence", "decoders": [DOUBLE] * 40}),
            "the tokenizer's steps make"),
        "word-of-65536": (changed(wordpiece(), ["model", "max_input_chars_per_word"], 65536),
                          "65536 is above"),
        "frame-id-beyond": (changed(fallback(), ["post_processor", "special_tokens", "<s>", "ids"],
                                    [1 << 20]), "1048576")}


BERT = {"architectures": ["BertForSequenceClassification"], "model_type": "bert", "vocab_size": 100,
        "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16,
        "max_position_embeddings": 32, "type_vocab_size": 2, "hidden_act": "gelu",
        "layer_norm_eps": 1e-12, "id2label": {"0": "NEGATIVE", "1": "POSITIVE"}}
DISTILBERT = {"architectures": ["DistilBertForSequenceClassification"], "model_type": "distilbert",
              "vocab_size": 100, "dim": 8, "n_layers": 2, "n_heads": 2, "hidden_dim": 16,
              "max_position_embeddings": 32, "activation": "gelu", "num_labels": 3}
LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 100, "hidden_size": 8,
         "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
         "intermediate_size": 16, "max_position_embeddings": 32, "hidden_act": "silu",
         "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": True, "bos_token_id": 1,
         "eos_token_id": [2, 3], "head_dim": 4}


def configs():
    def llama(key, value):
        return changed(LLAMA, [key], value)
    return {
        **BROKEN,
        "sound-llama": (pack(LLAMA), None),
        "sound-bert": (pack(BERT), None),
        "sound-distilbert": (pack(DISTILBERT), None),
        "a-list": (b"[]", "must be an object"),
        "key-twice": (b'{"model_type": "bert", "model_type": "llama"}', "the key is there twice"),
        "type-missing": (llama("model_type", None), "'model_type' is missing"),
        "type-unknown": (llama("model_type", "mamba"), '"mamba", which is not known'),
        "type-is-a-number": (llama("model_type", 1), "must be a text"),
        "type-with-line-break": (llama("model_type", "a\nb"), "a\\nb"),
        "architectures-missing": (llama("architectures", None), "'architectures' is missing"),
        "architectures-empty": (llama("architectures", []), "must be a list of one name"),
        "architecture-unknown": (llama("architectures", ["LlamaForNothing"]), "LlamaForNothing"),
        "size-missing": (llama("hidden_size", None), "'hidden_size' is missing"),
        "size-0": (llama("hidden_size", 0), "must be an integer from 1"),
        "size-negative": (llama("vocab_size", -1), "must be an integer from 1"),
        "size-2-to-63": (llama("vocab_size", 1 << 63), "must be an integer from 1"),
        "size-2-to-64": (llama("vocab_size", 1 << 64), "must be an integer from 1"),
        "size-real": (llama("hidden_size", 8.0), "must be an integer from 1"),
        "size-is-a-text": (llama("hidden_size", "8"), "must be an integer from 1"),
        "blocks-2-to-31": (llama("num_hidden_layers", 1 << 31), "must be an integer from 1"),
        "heads-do-not-divide": (changed(BERT, ["num_attention_heads"], 3), "3"),
        "heads-of-keys-do-not-divide": (llama("num_key_value_heads", 3), "3"),
        "head-wide": (llama("head_dim", 1 << 40), "must be an integer from"),
        "head-odd": (llama("head_dim", 3), "even head width"),
        "epsilon-negative": (llama("rms_norm_eps", -1.0), "must be a number from"),
        "theta-0": (llama("rope_theta", 0), "must be a number from"),
        "rope-scaling-unknown": (llama("rope_scaling", {"rope_type": "odd", "factor": 2}), "rope_scaling"),
        "rope-key-of-two-lines": (llama("rope_scaling", {"a\nb": 1}), "'a\\nb' is not known"),
        "activation-unknown": (llama("hidden_act", "sine"), "sine"),
        "activation-is-a-list": (llama("hidden_act", ["silu"]), "must be a text"),
        "eos-beyond": (llama("eos_token_id", 100), "eos_token_id"),
        "eos-nested": (llama("eos_token_id", [[2]]), "eos_token_id"),
        "labels-2-to-60": (changed(DISTILBERT, ["num_labels"], 1 << 60), "must be an integer from"),
        "label-twice": (changed(BERT, ["id2label"], {"0": "A", "00": "B"}), "id2label"),
        "label-beyond": (changed(BERT, ["id2label"], {"0": "A", "1000000000000": "B"}), "id2label"),
        "labels-are-a-list": (changed(BERT, ["id2label"], ["A"]), "id2label")}
