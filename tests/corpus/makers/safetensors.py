"""safetensors: a header's length, a JSON header, the tensors' bytes."""
import json
import struct

F32 = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}


def pack(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def one(data=bytes(16), **changes):
    """A file of one tensor `w` with some fields changed; None removes one."""
    fields = {key: value for key, value in {**F32, **changes}.items() if value is not None}
    return pack({"w": fields}, data)


def sound():
    several = {"__metadata__": {"format": "pt", "k\u00e9y": "v\n"},
               "model.embed": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]},
               "model.ids": {"dtype": "I64", "shape": [1], "data_offsets": [12, 20]},
               "model.norm": {"dtype": "F32", "shape": [2], "data_offsets": [20, 28]}}
    types = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2, "F16": 2,
             "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "F64": 8, "I64": 8, "U64": 8}
    header, offset = {}, 0
    for name, size in types.items():
        header[name] = {"dtype": name, "shape": [3], "data_offsets": [offset, offset + 3 * size]}
        offset += 3 * size
    return {"one": one(),
            "no-tensor": pack({}),
            "several": pack(several, bytes(range(28))),
            "every-dtype": pack(header, bytes(range(offset))),
            "scalar": one(bytes(4), shape=[], data_offsets=[0, 4]),
            "no-element": one(b"", shape=[0, 7], data_offsets=[0, 0]),
            "no-element-but-wide": one(b"", shape=[0, 1 << 60], data_offsets=[0, 0]),
            "padded-header": pack(json.dumps({"w": F32}).encode() + b"   ", bytes(16)),
            "name-with-escapes": pack(b'{"\\u0000\\ud83d\\ude00":' + json.dumps(F32).encode() + b"}",
                                      bytes(16))}


def layout():
    two = {"a": {**F32, "data_offsets": [0, 16]}, "b": F32}
    return {
        "offsets-reversed": (one(data_offsets=[16, 0]), "end at 0, before they begin at 16"),
        "offsets-beyond-the-end": (one(data_offsets=[0, 17]), "data_offsets end at 17"),
        "offsets-beyond-int64": (one(data_offsets=[0, 1 << 63]), "data_offsets overflows"),
        "offsets-largest": (one(data_offsets=[(1 << 63) - 1] * 2), "data_offsets end at"),
        "offsets-one": (one(data_offsets=[0]), "has 1 numbers"),
        "offsets-three": (one(data_offsets=[0, 16, 16]), "has 3 numbers"),
        "offsets-negative": (one(data_offsets=[-16, 0]), "non-negative integers"),
        "offsets-as-texts": (one(data_offsets=["0", "16"]), "non-negative integers"),
        "offsets-real": (one(data_offsets=[0.0, 16.0]), "non-negative integers"),
        "overlap": (pack({**two, "b": {**F32, "data_offsets": [8, 24]}}, bytes(24)), "overlaps 'a'"),
        "same-bytes-twice": (pack(two, bytes(16)), "overlaps 'a'"),
        "hole": (pack({**two, "b": {**F32, "data_offsets": [20, 36]}}, bytes(36)), "after a hole of 4"),
        "bytes-left-over": (one(bytes(17)), "the data ends here"),
        "truncated": (one(bytes(15)), "data_offsets end at 16"),
        "truncated-everything": (one()[:12], "after it")}


def types_and_shapes():
    return {
        "shape-too-large": (one(shape=[2, 3]), "takes 24 bytes, but data_offsets give 16"),
        "shape-product-overflows": (one(shape=[1 << 62, 1 << 62]), "overflows"),
        "shape-bytes-overflow": (one(shape=[1 << 62]), "overflow"),
        "shape-beyond-int64": (one(shape=[1 << 64]), "shape"),
        "shape-negative": (one(shape=[-2, -2]), "non-negative integers"),
        "shape-of-65": (one(bytes(4), shape=[1] * 65, data_offsets=[0, 4]), "more than 64"),
        "shape-nested": (one(shape=[[2], 2]), "shape must hold non-negative integers"),
        "shape-is-a-number": (one(shape=4), "shape must be an array of integers"),
        "dtype-unknown": (one(dtype="F33"), "unknown dtype 'F33'"),
        "dtype-is-a-number": (one(dtype=32), "dtype must be a string"),
        "dtype-is-a-list": (one(dtype=["F32"]), "dtype must be a string"),
        "dtype-missing": (one(dtype=None), "dtype is missing"),
        "shape-missing": (one(shape=None), "shape is missing"),
        "offsets-missing": (one(data_offsets=None), "data_offsets is missing"),
        "unknown-field": (one(stride=[1]), "unknown key 'stride'")}


def header():
    text = json.dumps({"w": F32})
    nested = b'{"w":' + b"[" * 100_00 + b"]" * 100_00 + b"}"
    return {
        "empty": (b"", "takes 8 bytes, but the file has 0"),
        "seven-bytes": (bytes(7), "takes 8 bytes, but the file has 7"),
        "length-0": (pack(b""), "must begin with '{'"),
        "length-beyond-the-end": (pack({"w": F32}, length=1000), "but the file has only"),
        "length-100-mb": (pack({}, length=100_000_001), "are more than the 100000000 allowed"),
        "length-2-to-64": (pack({}, length=(1 << 64) - 1), "are more than the 100000000 allowed"),
        "a-list": (pack(b"[]"), "must begin with '{'"),
        "space-first": (pack(b" {}"), "must begin with '{'"),
        "not-json": (pack(b"{w}"), "not valid JSON"),
        "not-closed": (pack(text[:-1].encode(), bytes(16)), "not valid JSON"),
        "two-documents": (pack(b"{}{}"), "not valid JSON"),
        "not-utf8": (pack(text.replace("w", "\udcff").encode(errors="surrogateescape"), bytes(16)),
                     "not valid JSON"),
        "half-a-surrogate": (pack(text.replace("w", "\\ud800").encode(), bytes(16)), "not valid JSON"),
        "nested-deeply": (pack(nested), "nested deeper than 64"),
        "tensor-is-null": (pack({"w": None}), "must be an object"),
        "tensor-is-a-list": (pack({"w": []}), "must be an object"),
        "name-twice": (pack(f'{{"w":{json.dumps(F32)},"w":{json.dumps(F32)}}}'.encode(), bytes(16)),
                       "a second tensor of this name"),
        "field-twice": (pack(text.replace('"shape"', '"dtype":"F32","shape"').encode(), bytes(16)),
                        "dtype is there twice"),
        "metadata-is-a-list": (pack({"__metadata__": []}), "must be an object"),
        "metadata-of-a-number": (pack({"__metadata__": {"a": 1}}), "must be a string"),
        "metadata-nested": (pack({"__metadata__": {"a": {}}}), "must be a string"),
        "metadata-twice": (pack(b'{"__metadata__":{},"__metadata__":{}}'), "the key is there twice"),
        "metadata-key-twice": (pack(b'{"__metadata__":{"a":"","a":""}}'), "the key is there twice"),
        "number-not-finite": (one().replace(b"[2, 2]", b"[1e999]"[:6]), "not valid JSON"),
        "line-break-in-name": (pack({"a\nb": {**F32, "shape": [3, 3]}}, bytes(16)), "a\\nb")}


def files():
    result = {f"sound-{name}": (content, None) for name, content in sound().items()}
    return {**result, **layout(), **types_and_shapes(), **header()}
