"""Checkpoints with quantized layers: one small layer in the tensors of every method, and their parts
missing, mistyped or of other shapes."""
import json
import struct

from makers import safetensors

LAYER = "m.l"
SIZES = {"U8": 1, "I8": 1, "F8_E4M3": 1, "F16": 2, "BF16": 2, "F32": 4, "I32": 4, "I64": 8}
ONE = {"F16": b"\x00\x3c", "BF16": b"\x80\x3f", "F32": b"\x00\x00\x80\x3f"}
# Values of the standard tables, as the package writes them.
NF4 = (-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
       -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
       0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
       0.7229568362236023, 1.0)


def ones(dtype, *shape):
    return dtype, list(shape), ONE[dtype] * size(shape)


def codes(dtype, *shape):
    length = size(shape) * SIZES[dtype]
    return dtype, list(shape), bytes((37 * i + 11) % 251 % 120 for i in range(length))


def size(shape):
    count = 1
    for n in shape:
        count *= n
    return count


def pack(config, tensors):
    text = config if isinstance(config, str) else json.dumps(config)
    header, data = {"__metadata__": {"quantization_config": text}}, b""
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    return safetensors.pack(header, data)


def bnb_nf4():
    state = json.dumps({"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [4, 64]}).encode()
    return ({"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
            {f"{LAYER}.weight": codes("U8", 128, 1), f"{LAYER}.weight.absmax": ones("F32", 4),
             f"{LAYER}.weight.quant_map": ("F32", [16], struct.pack("<16f", *NF4)),
             f"{LAYER}.weight.quant_state.bitsandbytes__nf4": ("U8", [len(state)], state)})


def bnb_int8():
    return ({"quant_method": "bitsandbytes", "load_in_8bit": True},
            {f"{LAYER}.weight": codes("I8", 3, 5), f"{LAYER}.SCB": ones("F32", 3),
             f"{LAYER}.weight_format": ("U8", [], b"\0")})


def gptq():
    return ({"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": True, "sym": True},
            {f"{LAYER}.qweight": codes("I32", 8, 8), f"{LAYER}.qzeros": codes("I32", 2, 1),
             f"{LAYER}.scales": ones("F16", 2, 8),
             f"{LAYER}.g_idx": ("I32", [64], struct.pack("<64i", *[i % 2 for i in range(64)]))})


def gptq_rows():
    return ({"quant_method": "gptq", "bits": 8, "group_size": -1, "desc_act": False, "sym": False,
             "checkpoint_format": "gptq_v2"},
            {f"{LAYER}.qweight": codes("I32", 8, 4), f"{LAYER}.qzeros": codes("I32", 1, 1),
             f"{LAYER}.scales": ones("BF16", 1, 4),
             f"{LAYER}.g_idx": ("I32", [32], bytes(128))})


def awq():
    return ({"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm", "zero_point": True},
            {f"{LAYER}.qweight": codes("I32", 64, 1), f"{LAYER}.qzeros": codes("I32", 2, 1),
             f"{LAYER}.scales": ones("F16", 2, 8)})


def compressed(weights, **activations):
    group = {"targets": ["Linear"], "weights": weights, "input_activations": activations or None}
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": group}}


def ct_packed():
    return (compressed({"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32}),
            {f"{LAYER}.weight_packed": codes("I32", 8, 8), f"{LAYER}.weight_scale": ones("BF16", 8, 2),
             f"{LAYER}.weight_zero_point": codes("I32", 1, 2),
             f"{LAYER}.weight_shape": ("I64", [2], struct.pack("<2q", 8, 64))})


def ct_int8():
    return (compressed({"num_bits": 8, "type": "int"}, num_bits=8, type="int", strategy="token",
                       dynamic=True, symmetric=True),
            {f"{LAYER}.weight": codes("I8", 3, 5), f"{LAYER}.weight_scale": ones("BF16", 3, 1)})


def ct_fp8():
    return (compressed({"num_bits": 8, "type": "float"}),
            {f"{LAYER}.weight": codes("F8_E4M3", 3, 5), f"{LAYER}.weight_scale": ones("F32", 1)})


def mxfp4():
    return ({"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]},
            {f"{LAYER}_blocks": codes("U8", 2, 3, 2, 16), f"{LAYER}_scales": codes("U8", 2, 3, 2)})


METHODS = {"bnb-nf4": bnb_nf4, "bnb-int8": bnb_int8, "gptq": gptq, "gptq-rows": gptq_rows, "awq": awq,
           "ct-packed": ct_packed, "ct-int8": ct_int8, "ct-fp8": ct_fp8, "mxfp4": mxfp4}


def broken(name, make):
    config, tensors = make()
    result = {}
    for i, part in enumerate(tensors):
        kept = {key: value for key, value in tensors.items() if key != part}
        result[f"{name}-without-{i}"] = (pack(config, kept), "")
        dtype, shape, content = tensors[part]
        other = "U8" if dtype != "U8" else "I8"
        flat = [len(content)]
        result[f"{name}-mistyped-{i}"] = (pack(config, tensors | {part: (other, flat, content)}), "")
        result[f"{name}-empty-{i}"] = (pack(config, tensors | {part: (dtype, [0, *shape[1:]] or [0], b"")}), "")
        result[f"{name}-flat-{i}"] = (pack(config, tensors | {part: (dtype, [size(shape), 1, 1], content)}), "")
    return result


#: Damage that leaves a layer: what the part says is not needed, or is taken from the shape of others.
ACCEPTED = {"bnb-int8-flat-2", "bnb-int8-without-2", "bnb-nf4-flat-0", "bnb-nf4-flat-3", "ct-fp8-flat-1",
            "ct-int8-flat-1", "ct-packed-without-2", "gptq-rows-without-3", "gptq-without-3"}


def configs():
    config, tensors = gptq()
    def gptq_with(**changes):
        return pack({**config, **changes}, tensors)
    return {"no-config": (safetensors.pack({}), "no quantization_config"),
            "config-no-json": (pack("{", tensors), "config.json"),
            "config-a-list": (pack("[]", tensors), "must be an object"),
            "method-missing": (pack("{}", tensors), "'quant_method' is missing"),
            "method-unknown": (pack('{"quant_method": "hqq\\n"}', tensors), "is not read here"),
            "method-of-another": (pack('{"quant_method": "awq", "bits": 4, "group_size": 32}', tensors), ""),
            "bits-three": (gptq_with(bits=3), "'bits' is 3"),
            "bits-a-text": (gptq_with(bits="4"), "must be an integer"),
            "group-zero": (gptq_with(group_size=0), ""),
            "group-negative": (gptq_with(group_size=-2), ""),
            "group-least": (gptq_with(group_size=-(1 << 63)), ""),
            "group-largest": (gptq_with(group_size=(1 << 63) - 1), "")}


def files():
    result = dict(configs())
    for name, make in METHODS.items():
        result[name] = (pack(*make()), None)
        result |= broken(name, make)
    return {name: (content, None if name in ACCEPTED else message)
            for name, (content, message) in result.items()}
