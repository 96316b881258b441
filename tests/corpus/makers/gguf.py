"""GGUF: a magic, a version, counts, pairs of keys and typed values, tensors' descriptions, aligned data."""
import struct

U8, I8, U16, I16, U32, I32, F32, BOOL, TEXT, ARRAY, U64, I64, F64 = range(13)
FORMATS = {U8: "<B", I8: "<b", U16: "<H", I16: "<h", U32: "<I", I32: "<i", F32: "<f", BOOL: "<B",
           U64: "<Q", I64: "<q", F64: "<d"}
LARGE = (1 << 64) - 1


def u32(value):
    return struct.pack("<I", value)


def u64(value):
    return struct.pack("<Q", value)


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return u64(len(data)) + data


def value(kind, content):
    if kind == TEXT:
        return text(content)
    if kind == ARRAY:
        inner, items = content
        return u32(inner) + u64(len(items)) + b"".join(value(inner, item) for item in items)
    return struct.pack(FORMATS[kind], content)


def pair(key, kind, content):
    return text(key) + u32(kind) + value(kind, content)


def tensor(name, shape, kind, offset):
    return text(name) + u32(len(shape)) + b"".join(map(u64, shape)) + u32(kind) + u64(offset)


def pack(pairs=(), tensors=(), data=b"", version=3, magic=b"GGUF", counts=None, alignment=32):
    """`counts`: what the header claims of (tensors, pairs) in place of the truth."""
    tensor_count, pair_count = counts or (len(tensors), len(pairs))
    head = magic + u32(version) + u64(tensor_count) + u64(pair_count) + b"".join([*pairs, *tensors])
    return head + bytes(-len(head) % alignment if data else 0) + data


NAME = pair("general.architecture", TEXT, "llama")


def one(kind=0, shape=(4,), offset=0, data=bytes(32), name="w"):
    return pack([NAME], [tensor(name, shape, kind, offset)], data)


def every_value():
    return [NAME, pair("u8", U8, 200), pair("i8", I8, -2), pair("u16", U16, 65535),
            pair("i16", I16, -300), pair("u32", U32, 1 << 31), pair("i32", I32, -70000),
            pair("f32", F32, 0.5), pair("flag", BOOL, 1), pair("u64", U64, 1 << 40),
            pair("i64", I64, -1 << 40), pair("f64", F64, 0.25), pair("texts", ARRAY, (TEXT, ["a", ""])),
            pair("ids", ARRAY, (I32, [7, -1])), pair("none", ARRAY, (U8, [])),
            pair("flags", ARRAY, (BOOL, [1, 0]))]


def types():
    """A tensor of two rows of every type: (number, elements of a block, bytes of a block)."""
    table = [(0, 1, 4), (1, 1, 2), (2, 32, 18), (3, 32, 20), (6, 32, 22), (7, 32, 24), (8, 32, 34),
             (10, 256, 84), (11, 256, 110), (12, 256, 144), (13, 256, 176), (14, 256, 210),
             (20, 32, 18), (23, 256, 136), (24, 1, 1), (26, 1, 4), (28, 1, 8), (30, 1, 2), (39, 32, 17)]
    tensors, data = [], b""
    for number, block, size in table:
        tensors.append(tensor(f"t{number}", (block, 2), number, len(data)))
        data += bytes(i * 7 % 256 for i in range(2 * size))
        data += bytes(-len(data) % 32)
    return pack([NAME], tensors, data)


def sound():
    aligned = pack([NAME, pair("general.alignment", U32, 64)], [tensor("w", (4,), 0, 0)], bytes(16),
                   alignment=64)
    return {"nothing": pack(), "every-value": pack(every_value()), "one": one(), "every-type": types(),
            "version-2": pack([NAME], version=2), "aligned": aligned, "scalar": one(shape=()),
            "four-dimensions": one(shape=(2, 1, 2, 1)),
            "hole": pack([NAME], [tensor("a", (4,), 0, 0), tensor("b", (4,), 0, 64)], bytes(80)),
            "tail": one(data=bytes(100))}


def headers():
    return {
        "empty": (b"", "the magic takes 4 bytes"),
        "magic-only": (b"GGUF", "the version takes 4 bytes"),
        "magic-wrong": (pack(magic=b"GGML"), 'is not "GGUF"'),
        "version-0": (pack(version=0), "version 0 is not supported"),
        "version-1": (pack(version=1), "version 1 is not supported"),
        "version-4": (pack(version=4), "version 4 is not supported"),
        "big-endian": (pack(version=3 << 24), "big-endian"),
        "tensors-beyond-the-end": (pack(counts=(LARGE, 0)), "the number of tensors is"),
        "tensors-2-to-60": (pack(counts=(1 << 60, 0)), "the number of tensors is"),
        "keys-beyond-the-end": (pack(counts=(0, LARGE)), "the number of keys is"),
        "tensor-missing": (pack([NAME], counts=(1, 1)), "a text's length takes 8 bytes"),
        "key-missing": (pack([NAME], counts=(0, 2)), "takes 8 bytes"),
        "truncated-counts": (pack()[:20], "the number of keys takes 8 bytes")}


def keys():
    return {
        "key-twice": (pack([NAME, NAME]), "the key is there twice"),
        "key-empty": (pack([pair("", U8, 1), NAME]), "the key is empty"),
        "key-beyond-the-end": (pack([u64(255) + b"k" * 40]), "the key is 255 bytes long"),
        "key-2-to-64": (pack([u64(LARGE) + b"k" * 40]), "the key is 18446744073709551615 bytes long"),
        "key-not-utf8": (pack([pair(b"\xff\xfe", U8, 1)]), "the key is not UTF-8"),
        "key-with-line-break": (pack([pair("a\nb", U8, 1)] * 2), "a\\nb"),
        "value-type-13": (pack([text("k") + u32(13) + bytes(16)]), "unknown value type 13"),
        "value-type-largest": (pack([text("k") + u32((1 << 32) - 1) + bytes(16)]), "unknown value type"),
        "value-truncated": (pack([text("k") + u32(U64) + bytes(4)]), "a value takes 8 bytes"),
        "flag-of-2": (pack([pair("k", BOOL, 2)]), "must be 0 or 1, not 2"),
        "text-2-to-62": (pack([text("k") + u32(TEXT) + u64(1 << 62)]), "a text is 4611686018427387904"),
        "text-not-utf8": (pack([pair("k", TEXT, b"a\xffb")]), "a text is not UTF-8"),
        "array-of-arrays": (pack([text("k") + u32(ARRAY) + u32(ARRAY) + u64(1) + bytes(16)]),
                            "an array of arrays"),
        "array-type-unknown": (pack([text("k") + u32(ARRAY) + u32(77) + u64(0)]), "unknown value type 77"),
        "array-count-largest": (pack([text("k") + u32(ARRAY) + u32(U8) + u64(LARGE)]),
                                "the number of elements is"),
        "array-product-overflows": (pack([text("k") + u32(ARRAY) + u32(U64) + u64(1 << 61)]),
                                    "the number of elements is"),
        "array-of-texts-beyond": (pack([text("k") + u32(ARRAY) + u32(TEXT) + u64(3) + text("a") + bytes(12)]),
                                  "the number of elements is 3"),
        "alignment-0": (pack([pair("general.alignment", U32, 0)]), "must be a power of two"),
        "alignment-3": (pack([pair("general.alignment", U32, 3)]), "must be a power of two"),
        "alignment-2-to-31": (pack([pair("general.alignment", U32, 1 << 31)]), "must be a power of two"),
        "alignment-negative": (pack([pair("general.alignment", I32, -8)]), "must be an unsigned integer"),
        "alignment-is-a-text": (pack([pair("general.alignment", TEXT, "32")]), "must be an unsigned")}


def tensors():
    two = [tensor("a", (4,), 0, 0), tensor("b", (4,), 0, 0)]
    return {
        "tensor-twice": (pack([NAME], [tensor("w", (4,), 0, 0), tensor("w", (4,), 0, 32)], bytes(64)),
                         "a second tensor of this name"),
        "tensors-overlap": (pack([NAME], two, bytes(64)), "overlaps 'a'"),
        "tensor-name-empty": (one(name=""), "the name is empty"),
        "tensor-name-of-65": (one(name="n" * 65), "64 are allowed"),
        "tensor-name-not-utf8": (one(name=b"\xc3\x28"), "the name is not UTF-8"),
        "five-dimensions": (one(shape=(1,) * 5), "at most 4 are allowed"),
        "dimensions-2-to-32": (pack([NAME], [text("w") + u32((1 << 32) - 1) + bytes(16)]),
                               "at most 4 are allowed"),
        "dimension-0": (one(shape=(0,)), "dimension 0 must be"),
        "dimension-2-to-63": (one(shape=(1 << 63,)), "dimension 0 must be"),
        "product-overflows": (one(shape=(1 << 32, 1 << 32)), "overflows"),
        "bytes-overflow": (one(shape=(1 << 62,)), "overflow"),
        "bytes-beyond-the-end": (one(shape=(1 << 40,)), "beyond the end of the file"),
        "one-element-too-many": (one(shape=(9,)), "beyond the end of the file"),
        "half-a-block": (one(kind=2, shape=(31,)), "fill no whole Q4_0 blocks"),
        "block-over-two-rows": (one(kind=2, shape=(16, 2)), "fill no whole Q4_0 blocks"),
        "type-4": (one(kind=4), "unknown tensor type 4"),
        "type-largest": (one(kind=(1 << 32) - 1), "unknown tensor type"),
        "offset-unaligned": (one(offset=4), "no multiple of the alignment 32"),
        "offset-beyond-the-end": (one(offset=1 << 40), "beyond the end of the file"),
        "offset-overflows": (one(offset=LARGE - 31), "overflows"),
        "no-data": (one(data=b""), "beyond the end of the file"),
        "description-truncated": (one(data=b"")[:-3], "takes")}


def files():
    result = {f"sound-{name}": (content, None) for name, content in sound().items()}
    return {**result, **headers(), **keys(), **tensors()}


# A llama of one block, 8 wide, with a byte-level tokenizer of six pieces.
PIECES = ["<s>", "</s>", "a", "b", "ab", "Ġ"]
NUMBERS = {"llama.embedding_length": 8, "llama.block_count": 1, "llama.feed_forward_length": 8,
           "llama.context_length": 16, "llama.attention.head_count": 2, "tokenizer.ggml.bos_token_id": 0,
           "tokenizer.ggml.eos_token_id": 1}


def model_pairs(**changes):
    """Pairs by name; `changes` replaces (kind, content) or, with None, removes."""
    entries = {"general.architecture": (TEXT, "llama"),
               **{key: (U32, number) for key, number in NUMBERS.items()},
               "llama.attention.layer_norm_rms_epsilon": (F32, 1e-5),
               "tokenizer.ggml.model": (TEXT, "gpt2"), "tokenizer.ggml.pre": (TEXT, "gpt-2"),
               "tokenizer.ggml.tokens": (ARRAY, (TEXT, PIECES)),
               "tokenizer.ggml.token_type": (ARRAY, (I32, [3, 3, 1, 1, 1, 1])),
               "tokenizer.ggml.merges": (ARRAY, (TEXT, ["a b"]))}
    entries.update({key.replace("__", "."): entry for key, entry in changes.items()})
    return [pair(key, *entry) for key, entry in entries.items() if entry is not None]


def model(without=None, shapes=None, **changes):
    matrices = {"token_embd.weight": (8, 6), "output_norm.weight": (8,), "blk.0.attn_norm.weight": (8,),
                "blk.0.attn_q.weight": (8, 8), "blk.0.attn_k.weight": (8, 8),
                "blk.0.attn_v.weight": (8, 8), "blk.0.attn_output.weight": (8, 8),
                "blk.0.ffn_norm.weight": (8,), "blk.0.ffn_gate.weight": (8, 8),
                "blk.0.ffn_up.weight": (8, 8), "blk.0.ffn_down.weight": (8, 8)}
    matrices.update(shapes or {})
    tensors, offset = [], 0
    for name, shape in matrices.items():
        if name == without:
            continue
        tensors.append(tensor(name, shape, 1, offset))
        size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        offset += size + -size % 32
    return pack(model_pairs(**changes), tensors, bytes(offset))


def model_files():
    tokens = "tokenizer__ggml__"
    return {
        "sound-llama": (model(), None),
        "sound-pre-unknown": (model(**{tokens + "pre": (TEXT, "new")}), None),
        "architecture-unknown": (model(general__architecture=(TEXT, "mamba")), '"mamba"'),
        "architecture-is-a-number": (model(general__architecture=(U32, 1)), "must be a text"),
        "no-block": (model(llama__block_count=(U32, 0)), "must be an integer from 1"),
        "blocks-2-to-32": (model(llama__block_count=(U32, (1 << 32) - 1)), "must be an integer from 1"),
        "blocks-that-are-not-there": (model(llama__block_count=(U32, 4096)), "blk.1."),
        "heads-0": (model(llama__attention__head_count=(U32, 0)), "must be an integer from 1"),
        "heads-do-not-divide": (model(llama__attention__head_count=(U32, 3)), "3"),
        "epsilon-is-nan": (model(llama__attention__layer_norm_rms_epsilon=(F32, float("nan"))), "epsilon"),
        "tensor-missing": (model(without="blk.0.ffn_up.weight"), "blk.0.ffn_up.weight"),
        "tensor-of-another-shape": (model(shapes={"blk.0.attn_q.weight": (8, 4)}), "blk.0.attn_q.weight"),
        "tokenizer-missing": (model(**{tokens + "model": None}), "missing tokenizer"),
        "tokenizer-unknown": (model(**{tokens + "model": (TEXT, "other")}), "'other' is not supported"),
        "tokens-of-numbers": (model(**{tokens + "tokens": (ARRAY, (I32, [1] * 6))}), "a string is expected"),
        "no-token": (model(**{tokens + "tokens": (ARRAY, (TEXT, []))}), "empty"),
        "token-twice": (model(**{tokens + "tokens": (ARRAY, (TEXT, ["a"] * 6))}), "'a'"),
        "types-too-few": (model(**{tokens + "token_type": (ARRAY, (I32, [3]))}), "1 entries for 6 tokens"),
        "merge-of-one-piece": (model(**{tokens + "merges": (ARRAY, (TEXT, ["ab"]))}), "two pieces"),
        "merge-of-unknown": (model(**{tokens + "merges": (ARRAY, (TEXT, ["a z"]))}), "right part 'z'"),
        "merge-twice": (model(**{tokens + "merges": (ARRAY, (TEXT, ["a b", "a b"]))}), "duplicate"),
        "bos-beyond": (model(**{tokens + "bos_token_id": (U32, 6)}), "bos_token_id")}
