"""torch.save's zip archives, with pickles written opcode by opcode, and NumPy's .npy files."""
import struct


def name(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value):
    return b"J" + struct.pack("<i", value) if abs(value) < 1 << 31 else (
        b"\x8a\x08" + value.to_bytes(8, "little", signed=True))


def integers(values):
    return b"(" + b"".join(map(number, values)) + b"t"


def storage(kind="FloatStorage", key="0", elements=6):
    return (b"(" + name("storage") + f"ctorch\n{kind}\n".encode() + name(key) + name("cpu") +
            number(elements) + b"tQ")


def tensor(sizes=(2, 3), strides=(3, 1), offset=0, of=None, tail=b""):
    return (b"ctorch._utils\n_rebuild_tensor_v2\n(" + (storage() if of is None else of) +
            number(offset) + integers(sizes) + integers(strides) + b"\x89ccollections\nOrderedDict\n)R" +
            tail + b"tR")


def state(**values):
    return pickle(b"}(" + b"".join(name(key) + value for key, value in values.items()) + b"u")


def pickle(body, protocol=2):
    return b"\x80" + bytes([protocol]) + body + b"."


def archive(records, method=0, flags=0, count=None, local_shift=0, size=None, end=b""):
    """A zip file of stored records; the keywords make it lie."""
    body, directory = b"", b""
    for path, content in records:
        path = path.encode()
        claimed = len(content) if size is None else size
        fields = struct.pack("<HHHHIII", flags, method, 0, 0, 0, claimed, claimed)
        local = len(body) + local_shift
        body += b"PK\3\4" + struct.pack("<H", 20) + fields + struct.pack("<HH", len(path), 0)
        body += path + content
        directory += (b"PK\1\2" + struct.pack("<HH", 20, 20) + fields + struct.pack("<HHHHH", len(path), 0, 0,
                                                                                  0, 0) +
                      struct.pack("<II", 0, local) + path)
    total = len(records) if count is None else count
    return (body + directory + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, total, total, len(directory),
                                                       len(body), 0) + end)


def saved(data_pkl, data=bytes(24), **lies):
    return archive([("m/data.pkl", data_pkl), ("m/byteorder", b"little"), ("m/data/0", data)], **lies)


def one(**changes):
    return saved(state(w=tensor(**changes)))


def sound():
    shared = state(a=tensor(), b=tensor((3,), (1,), 3), t=tensor((3, 2), (1, 3)))
    plain = state(w=tensor(), step=number(7), name=name("x"), rate=b"G" + struct.pack(">d", 0.5),
                  flag=b"\x88", none=b"N", list=b"](" + number(1) + tensor() + b"e")
    parameter = b"ctorch._utils\n_rebuild_parameter\n(" + tensor() + b"\x88ccollections\nOrderedDict\n)RtR"
    return {"bare": saved(pickle(tensor())), "shared-storage": saved(shared), "plain-values": saved(plain),
            "parameter": saved(state(w=parameter)), "memo": saved(pickle(tensor() + b"q\0h\0\x86")),
            "nested": saved(state(model=b"}" + name("w") + tensor() + b"s")),
            "half": saved(state(w=tensor(of=storage("HalfStorage", elements=12)))),
            "no-element": one(sizes=(0, 3)), "stride-of-a-single": one(sizes=(3, 1, 2), strides=(
                1, (1 << 63) - 1, 3))}


def pickles():
    def body(code):
        return saved(pickle(code))
    return {
        "global-of-os": (body(b"cos\nsystem\n" + name("id") + b"\x85R"), "the global os.system is not allowed"),
        "global-of-builtins": (body(b"c__builtin__\neval\n" + name("1") + b"\x85R"), "is not allowed"),
        "global-with-line-break": (body(b"ctorch\r\nx\n"), "is not allowed"),
        "global-not-ended": (body(b"ctorch"), "a class name does not end"),
        "opcode-inst": (body(b"(ios\nsystem\n"), "opcode 0x69"),
        "opcode-obj": (body(b"(cos\nsystem\no"), "is not allowed"),
        "opcode-stack-global": (body(name("os") + name("system") + b"\x93"), "opcode 0x93"),
        "opcode-ext": (body(b"\x82\1"), "opcode 0x82"),
        "opcode-newobj": (body(b"ccollections\nOrderedDict\n)\x81"), "opcode 0x81"),
        "opcode-frame": (body(b"\x95" + bytes(8)), "opcode 0x95"),
        "opcode-float-text": (body(b"F1.5\n"), "opcode 0x46"),
        "protocol-4": (saved(pickle(tensor(), protocol=4)), "pickle protocol 4"),
        "protocol-missing": (saved(b"N."), "PROTO"),
        "stack-empty": (body(b"a"), "the stack is empty"),
        "stop-missing": (saved(b"\x80\2N"), "are needed"),
        "stop-too-early": (body(b"NN"), "STOP leaves 1"),
        "bytes-behind-stop": (saved(pickle(tensor()) + b"N"), "follow the STOP"),
        "mark-missing": (body(b"Nt"), "there is no mark"),
        "mark-as-value": (body(b"(\x85"), "a mark stands"),
        "text-2-to-32": (body(b"X\xff\xff\xff\xff"), "are needed"),
        "text-not-utf8": (body(b"X\1\0\0\0\xff"), "not UTF-8"),
        "long-of-255": (body(b"\x8a\xff" + bytes(255)), "overflows 64 bits"),
        "memo-slot-2-to-32": (body(b"Nr\xff\xff\xff\xff"), "memo slot"),
        "memo-slot-empty": (body(b"h\0"), "holds nothing"),
        "items-odd": (body(b"}(Nu"), "has no value"),
        "append-to-nothing": (body(b"NNa"), "a list"),
        "reduce-a-storage": (body(b"ctorch\nFloatStorage\n)R"), "REDUCE"),
        "build-on-a-list": (body(b"]}b"), "a dictionary"),
        "persistent-id-short": (body(b"(" + name("storage") + b"tQ"), "BINPERSID"),
        "list-of-itself": (body(b"]q\0h\0a"), "nested deeper"),
        "dictionary-of-itself": (body(b"}q\0" + name("a") + b"h\0s"), "nested deeper"),
        "visits-2-to-60": (body(b"]q\0" + b"".join(
            b"](" + bytes([ord("h"), i]) * 30 + b"eq" + bytes([i + 1]) for i in range(14)) +
            b"h\x0e"), ""),
        "no-tensor": (body(b"}"), "holds no tensor"),
        "key-is-none": (body(b"}NNs"), "as the key of a dictionary"),
        "tensor-twice": (saved(pickle(b"}(" + (name("w") + tensor()) * 2 + b"u")), "a second tensor")}


def tensors():
    return {
        "storage-missing": (one(of=storage(key="1")), "is not in the archive"),
        "storage-above": (one(of=storage(key="../data.pkl")), "is not in the archive"),
        "storage-shorter": (saved(state(w=tensor()), data=bytes(20)), "but has 20 bytes"),
        "storage-2-to-62": (one(of=storage(elements=1 << 62)), "should hold"),
        "storage-negative": (one(of=storage(elements=-1)), "a storage of -1"),
        "storage-of-objects": (one(of=storage("UntypedObject")), "is not allowed"),
        "offset-beyond": (one(offset=7), "lies beyond"),
        "offset-negative": (one(offset=-1), "lies beyond"),
        "window-beyond": (one(offset=1), "reaches beyond"),
        "size-negative": (one(sizes=(-2, 3)), "negative size"),
        "stride-negative": (one(strides=(-3, 1)), "negative stride"),
        "stride-overflows": (one(strides=((1 << 63) - 1, 1), sizes=(3, 3)), "reaches beyond"),
        "sizes-overflow": (one(sizes=(1 << 40, 1 << 40)), "overflows"),
        "sizes-and-strides-differ": (one(sizes=(2, 3, 1)), "of different lengths"),
        "sizes-of-65": (one(sizes=(1,) * 65, strides=(1,) * 65), "too many dimensions"),
        "repeated": (one(sizes=(1000, 2), strides=(0, 1)), "repeats"),
        "repeated-2-to-60": (one(sizes=(1 << 60, 2), strides=(0, 1)), "")}


def archives():
    sound_pickle = state(w=tensor())
    return {
        "empty": (b"", "no end of a zip archive"),
        "end-only": (b"PK\5\6" + bytes(18), "not there once"),
        "truncated": (saved(sound_pickle)[:-4], "no end of a zip archive"),
        "compressed": (saved(sound_pickle, method=8), "compressed (method 8)"),
        "encrypted": (saved(sound_pickle, flags=1), "encrypted"),
        "count-65535": (saved(sound_pickle, count=0xffff), "zip64 locator is missing"),
        "count-too-large": (saved(sound_pickle, count=1000), "cannot lie in"),
        "count-too-small": (saved(sound_pickle, count=1), "after the last record"),
        "locals-shifted": (saved(sound_pickle, local_shift=1), "no record begins"),
        "locals-beyond": (saved(sound_pickle, local_shift=1 << 30), "no record begins"),
        "size-too-large": (saved(sound_pickle, size=1 << 20), "reach into the directory"),
        "size-2-to-32": (saved(sound_pickle, size=0xffffffff), "zip64 sizes are missing"),
        "overlapping": (archive([("m/data.pkl", sound_pickle), ("m/data/0", bytes(400))],
                                size=len(sound_pickle) + 20), "overlaps"),
        "record-twice": (archive([("m/data.pkl", sound_pickle)] * 2), "a second record"),
        "pickle-twice": (archive([("m/data.pkl", sound_pickle), ("n/data.pkl", sound_pickle)]), "not there once"),
        "pickle-missing": (archive([("m/other", b"")]), "not there once"),
        "big-endian": (archive([("m/data.pkl", sound_pickle), ("m/byteorder", b"big")]), "only little-endian"),
        "bytes-behind": (saved(sound_pickle, end=b"x"), "no end of a zip archive")}


def files():
    result = {f"sound-{key}": (content, None) for key, content in sound().items()}
    return {**result, **pickles(), **tensors(), **archives()}


def npy_file(header="{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", data=bytes(24), version=(1, 0),
             length=None):
    text = header.encode()
    size = struct.pack("<H" if version[0] == 1 else "<I", len(text) if length is None else length)
    return b"\x93NUMPY" + bytes(version) + size + text + data


def npy_files():
    def shaped(shape, data=bytes(24), descr="'<f4'", order="False"):
        return npy_file(f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}", data)
    return {
        "sound-1": (npy_file(), None), "sound-2": (npy_file(version=(2, 0)), None),
        "sound-scalar": (shaped("()", bytes(4)), None), "sound-empty": (shaped("(0, 5)", b""), None),
        "sound-half": (shaped("(3,)", bytes(6), "'<f2'"), None),
        "sound-line-break": (npy_file("{'descr':\"|u1\",'shape':(2,),'fortran_order':True}\n", bytes(2)), None),
        "empty": (b"", "magic"), "magic-only": (b"\x93NUMPY", "version"),
        "version-9": (npy_file(version=(9, 0)), "9.0 is not supported"),
        "length-beyond": (npy_file(length=0xffff), "but the file has only"),
        "length-2-to-32": (npy_file(version=(2, 0), length=0xffffffff), "but the file has only"),
        "length-cut": (b"\x93NUMPY\2\0\1\0", "header length"),
        "objects": (shaped("(2, 3)", descr="'|O'"), "is not supported"),
        "records": (shaped("(2,)", descr="[('a', '<f4')]"), "arrays of records"),
        "big-endian": (shaped("(2, 3)", descr="'>f4'"), "is big-endian"),
        "fortran": (shaped("(2, 3)", order="True"), "only C order"),
        "order-is-a-number": (shaped("(2, 3)", order="1"), "must be True or False"),
        "shape-negative": (shaped("(-2, 3)"), "integers from 0"),
        "shape-is-a-number": (shaped("(6)"), "expected ','"),
        "shape-of-65": (shaped("(" + "1," * 65 + ")", bytes(4)), "more than 64 dimensions"),
        "shape-overflows": (shaped("(99999999999999999999,)"), "a dimension overflows"),
        "product-overflows": (shaped("(4294967296, 4294967296)"), "overflows"),
        "data-missing": (npy_file(data=b""), "beyond the end"), "data-left-over": (npy_file(data=bytes(25)), "ends here"),
        "key-twice": (npy_file("{'shape': (1,), 'shape': (1,)}"), "the key is there twice"),
        "key-unknown": (npy_file("{'order': 1}"), "unknown key"),
        "key-missing": (npy_file("{'descr': '<f4', 'shape': (2, 3)}"), "fortran_order is missing"),
        "not-closed": (npy_file("{'descr': '<f4'"), "does not end"),
        "text-not-closed": (npy_file("{'descr': '<f4"), "a string does not end"),
        "escape": (npy_file("{'desc\\x72': '<f4'}"), "an escape"),
        "text-behind": (npy_file("{} {}"), "unexpected text"),
        "expression": (npy_file("{'descr': __import__('os')}"), "expected a string")}
