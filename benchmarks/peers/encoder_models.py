"""One encoder in the form of every peer: a Hugging Face folder, ONNX (fp32, dynamic and static int8),
CTranslate2. Made once, kept in the work folder."""
import json
import pathlib
import subprocess
import types

import numpy

SEQUENCE = 128
LABELS = 2


def token_ids(batch, seed=0):
    return numpy.random.default_rng(seed).integers(1000, 30000, (batch, SEQUENCE), dtype=numpy.int64)


def make_folder(assay, work):
    """The synthetic model, as a plain folder: its marker is taken out, because assay scores no synthetic
    model and the comparison of outputs goes through a task."""
    folder = pathlib.Path(work) / "distilbert-base"
    if not folder.exists():
        subprocess.run([str(assay), "make-model", "--like", "distilbert-base", "-o", str(folder), "-q"],
                       check=True, stdout=subprocess.DEVNULL)
        config = folder / "config.json"
        content = json.loads(config.read_text())
        content.pop("assay_synthetic")
        content["id2label"] = {"0": "no", "1": "yes"}
        content["label2id"] = {"no": 0, "yes": 1}
        config.write_text(json.dumps(content, indent=2))
    return folder


def torch_model(folder, dtype, attention="sdpa"):
    import torch
    from transformers import DistilBertForSequenceClassification
    return DistilBertForSequenceClassification.from_pretrained(
        folder, dtype=dtype, attn_implementation=attention).eval()


def export_onnx(folder, target):
    import torch

    class Logits(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, ids, mask):
            return self.model(input_ids=ids, attention_mask=mask).logits

    model = Logits(torch_model(folder, torch.float32, "eager"))
    ids = torch.from_numpy(token_ids(2))
    batch = torch.export.Dim("batch", min=1, max=64)
    torch.onnx.export(model, (ids, torch.ones_like(ids)), target, input_names=["ids", "mask"],
                      output_names=["logits"], dynamo=True, opset_version=18, external_data=False,
                      dynamic_shapes={"ids": {0: batch}, "mask": {0: batch}})


def quantize_onnx(source, dynamic, static):
    from onnxruntime import quantization
    prepared = str(source) + ".prepared"
    quantization.shape_inference.quant_pre_process(str(source), prepared, skip_symbolic_shape=True)
    # Without VNNI, 8-bit products of ONNX Runtime saturate: its advice is 7-bit weights there.
    reduced = " avx512_vnni" not in pathlib.Path("/proc/cpuinfo").read_text()
    quantization.quantize_dynamic(prepared, str(dynamic), per_channel=True, reduce_range=reduced,
                                  weight_type=quantization.QuantType.QInt8)

    class Reader(quantization.CalibrationDataReader):
        def __init__(self):
            self.left = iter(range(8))

        def get_next(self):
            seed = next(self.left, None)
            if seed is None:
                return None
            ids = token_ids(4, seed=100 + seed)
            return {"ids": ids, "mask": numpy.ones_like(ids)}

    quantization.quantize_static(prepared, str(static), Reader(), per_channel=True, reduce_range=reduced,
                                 quant_format=quantization.QuantFormat.QDQ,
                                 op_types_to_quantize=["MatMul", "Gemm"],
                                 activation_type=quantization.QuantType.QUInt8,
                                 weight_type=quantization.QuantType.QInt8)


def convert_ctranslate2(folder, target):
    """Through the package's own reader of the architecture; the vocabulary is made up."""
    import torch
    from ctranslate2.converters import transformers as converters
    from transformers import DistilBertModel
    model = DistilBertModel.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = types.SimpleNamespace(
        unk_token="t0", get_vocab=lambda: {f"t{i}": i for i in range(model.config.vocab_size)})
    spec = converters._MODEL_LOADERS["DistilBertConfig"](model, tokenizer)
    spec.validate()
    spec.optimize()
    pathlib.Path(target).mkdir()
    spec.save(str(target))


def make_all(assay, work):
    folder = make_folder(assay, work)
    onnx = folder / "model.onnx"
    if not onnx.exists():
        export_onnx(folder, onnx)
    dynamic, static = folder / "dynamic.onnx", folder / "static.onnx"
    if not static.exists():
        quantize_onnx(onnx, dynamic, static)
    converted = folder / "ctranslate2"
    if not converted.exists():
        convert_ctranslate2(folder, converted)
    return folder
