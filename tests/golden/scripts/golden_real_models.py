# Copyright the assay authors
# SPDX-License-Identifier: Apache-2.0
"""What transformers computes in fp32 with the three real models that the tests use."""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import BertModel, DistilBertForSequenceClassification

from golden_common import check, write_golden
from golden_gguf import GgufLlama
from golden_random_models import GREEDY_TOKENS, check_uncached, encoder_outputs, greedy

# Twice the agreement that fp32 must reach: prompts with a closer call than this are not used,
# because no correct program could be held to their tokens.
REAL_GREEDY_MARGIN = 2e-4
TOP_LOGITS = 64
FULL_LOGITS = 2

PROMPTS = (
    "def fibonacci(n):\n    \"\"\"Return the n-th Fibonacci number.\"\"\"\n",
    "In 1969, the first humans",
    "To make a cup of tea, first",
    "#include <stdio.h>\n\nint main(void) {",
    "Photosynthesis is the process by which",
    "Dear Sir or Madam,\n\nI am writing to",
    "1, 2, 3, 5, 8, 13,",
    "Caf\u00e9 na\u00efve \u2014 d\u00e9j\u00e0 vu: these words",
    "Hello",
    "Machine learning models are often quantized to",
)
QUESTIONS = ("What is the capital of France?", "Name a colour.", "Say hello in Spanish.")
CHAT_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"

MINILM_SENTENCES = (
    "A man is eating food.",
    "The girl is carrying a baby.",
    "Precision",
    "The caf\u00e9's cr\u00e8me br\u00fbl\u00e9e cost \u20ac7.50 \u2014 unbelievably cheap, isn't it?",
    "What does it cost in accuracy to run a model with eight-bit weights on this machine?",
    "Assaying is the old art of finding how much gold or silver there is in a piece of metal. "
    "A small sample is wrapped in lead, melted in a cupel of bone ash, and held in the heat until "
    "everything base has been drawn off; the bead that stays is weighed on a balance that can tell "
    "a hundredth of a milligram. The assayer keeps the record of every step, because a figure "
    "without its record is worth no more than a rumour.",
)

SST2_SENTENCES = (
    "a warm , funny and deeply felt film",
    "the plot makes no sense at all",
    "i loved every minute of it .",
    "tedious",
    "it 's not bad , but it 's not good either",
    "the acting is superb , yet the story goes nowhere",
    "one of the best pictures of the year",
    "a waste of time and talent",
    "you will leave the theatre smiling",
    "nothing here is new , nothing here is true , and nobody seems to care",
    "an honest portrait of a difficult man",
    "so slow that even the popcorn fell asleep",
    "the jokes land , the songs soar and the ending is perfect",
    "I WANTED TO LIKE IT MORE THAN I DID",
    "visually stunning , emotionally empty",
    "hardly a masterpiece , though never dull",
    "the director should be ashamed",
    "a na\u00efve but charming d\u00e9but",
    "brilliant !",
    "what begins as a clever thriller with a fine cast and a real sense of place soon turns into a "
    "loud , muddled chase that has forgotten its own people , and by the time the last car has "
    "burned there is nobody left to care about",
)


def write_json(path: Path, value) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=True) + "\n")
    print(path)


def chat_text(question: str) -> str:
    """What the file's chat template makes of one question, with the turn of the assistant open."""
    return (f"<|im_start|>system\n{CHAT_SYSTEM}<|im_end|>\n"
            f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n")


def until_stop(tokens: list[int], stop: int) -> list[int]:
    return tokens[:tokens.index(stop) + 1] if stop in tokens else tokens


def add_last_logits(tensors: dict, name: str, logits: torch.Tensor) -> None:
    top = logits.topk(TOP_LOGITS)
    tensors[f"{name}.top_ids"], tensors[f"{name}.top_logits"] = top.indices, top.values
    tensors[f"{name}.max_abs_logit"] = logits.abs().max()[None]


@torch.no_grad()
def make_smollm2(path: Path, out: Path) -> None:
    source = GgufLlama(path)
    model, tokenizer = source.model(), source.tokenizer()
    stop = model.config.eos_token_id
    tensors, full, listing, margins = {}, {}, [], []
    texts = [("greedy", text) for text in PROMPTS] + [("chat", chat_text(q)) for q in QUESTIONS]
    counts = {"greedy": 0, "chat": 0}
    for kind, text in texts:
        name = f"{kind}{counts[kind]}"
        counts[kind] += 1
        ids = torch.tensor(tokenizer.encode(text).ids)
        tokens, margin = greedy(model, ids, GREEDY_TOKENS)
        check_uncached(model, ids, tokens, name)
        check(margin >= REAL_GREEDY_MARGIN, f"smollm2 {name}: lead of only {margin:.1e}")
        check(kind == "chat" or stop not in tokens, f"smollm2 {name} stops early")
        tokens = until_stop(tokens, stop)
        logits = model(ids[None]).logits[0, -1]
        tensors[f"{name}.prompt"], tensors[f"{name}.tokens"] = ids, tokens
        add_last_logits(tensors, name, logits)
        if kind == "greedy" and counts[kind] <= FULL_LOGITS:
            full[f"{name}.logits"] = logits
        margins.append(margin)
        listing.append({"name": name, "text": text, "ids": ids.tolist(), "tokens": tokens,
                        "completion": tokenizer.decode(tokens), "smallest_lead": f"{margin:.1e}"})
    folder = out / "models" / "smollm2"
    write_golden(folder / "golden.safetensors", tensors,
                 {"file": path.name, "smallest_greedy_margin": f"{min(margins):.1e}"})
    write_golden(folder / "full_logits.safetensors", full, {"position": "last of the prompt"})
    write_json(folder / "prompts.json", listing)


def load_tokenizer(folder: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def encoder_records(model, tokenizer: Tokenizer, texts, keys) -> tuple[dict, list]:
    tensors, listing = {}, []
    for i, text in enumerate(texts):
        ids = torch.tensor(tokenizer.encode(text).ids)
        output = encoder_outputs(model, ids[None], torch.ones(1, len(ids), dtype=torch.long))
        tensors[f"seq{i}.ids"] = ids
        tensors |= {f"seq{i}.{key}": output[key][0] for key in keys}
        listing.append({"name": f"seq{i}", "text": text, "ids": ids.tolist()})
    return tensors, listing


@torch.no_grad()
def make_minilm(source: Path, out: Path) -> None:
    model = BertModel.from_pretrained(source, dtype=torch.float32, attn_implementation="eager")
    tensors, listing = encoder_records(model.eval(), load_tokenizer(source), MINILM_SENTENCES,
                                       ("mean", "normalized"))
    write_golden(out / "models" / "minilm" / "golden.safetensors", tensors)
    write_json(out / "models" / "minilm" / "sentences.json", listing)


def read_labelled(path: Path) -> list[tuple[str, int]]:
    lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")[1:]
    return [(text, int(label)) for text, label in (line.rsplit("\t", 1) for line in lines)]


def evaluate(model, tokenizer: Tokenizer, path: Path) -> dict:
    rows, predicted, lead = read_labelled(path), "", float("inf")
    for text, _ in rows:
        logits = model(torch.tensor([tokenizer.encode(text).ids])).logits[0]
        predicted += str(int(logits.argmax()))
        lead = min(lead, (logits[0] - logits[1]).abs().item())
    correct = sum(int(p) == label for p, (_, label) in zip(predicted, rows))
    return {"file": path.name, "items": len(rows), "correct": correct,
            "smallest_lead": f"{lead:.1e}", "predicted": predicted}


@torch.no_grad()
def make_sst2(source: Path, eval_file: Path | None, out: Path) -> None:
    model = DistilBertForSequenceClassification.from_pretrained(
        source, dtype=torch.float32, attn_implementation="eager").eval()
    tokenizer = load_tokenizer(source)
    tensors, listing = encoder_records(model, tokenizer, SST2_SENTENCES, ("logits",))
    folder = out / "models" / "sst2_mini"
    write_golden(folder / "golden.safetensors", tensors)
    write_json(folder / "sentences.json", listing)
    if eval_file is not None:
        result = evaluate(model, tokenizer, eval_file)
        print(f"{eval_file.name}: {result['correct']} of {result['items']}, "
              f"smallest lead {result['smallest_lead']}")
        write_json(folder / "predictions.json", result)
