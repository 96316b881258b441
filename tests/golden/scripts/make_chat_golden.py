#!/usr/bin/env python3
"""Writes tests/golden/chat/*.json: what transformers renders, for the chat template tests.

Needs `transformers` and `jinja2`; with --smollm2 FILE.gguf also `gguf` (without it that part is left
as it is). Templates are those of chat_templates.py, written for these tests; of SmolLM2's own only
the rendered results are kept. A case that transformers refuses has "error": true in place of a text.
"""
import argparse
import datetime
import json
import pathlib

from transformers.utils import chat_template_utils

from chat_templates import CONVERSATIONS, EXPRESSIONS, TEMPLATES, TOOLS

OUT = pathlib.Path(__file__).resolve().parent.parent / "chat"
NOW = datetime.datetime(2024, 7, 26, 14, 5, 9, 120034)
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


class FixedClock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


def render(template, messages, tools=None, generation=False, **extra):
    try:
        texts, _ = chat_template_utils.render_jinja_template(
            conversations=[messages], tools=tools, chat_template=template,
            add_generation_prompt=generation, **TOKENS, **extra)
        texts[0].encode()
        return {"text": texts[0]}
    except Exception:  # whatever it is, the case is one that must fail here, too
        return {"error": True}


def cases(template):
    for name in CONVERSATIONS:
        for tools in (False, True):
            for generation in (False, True):
                yield {"conversation": name, "tools": tools, "generation": generation,
                       **render(template, CONVERSATIONS[name], TOOLS if tools else None, generation)}


def write(name, content):
    OUT.mkdir(exist_ok=True)
    (OUT / name).write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def smollm2_template(path):
    from gguf import GGUFReader
    return GGUFReader(path).get_field("tokenizer.chat_template").contents()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--smollm2")
    arguments = parser.parse_args()
    chat_template_utils.datetime = FixedClock
    write("conversations.json", {"conversations": CONVERSATIONS, "tools": TOOLS, "tokens": TOKENS})
    write("templates.json", [{"name": name, "template": template, "cases": list(cases(template))}
                             for name, template in TEMPLATES.items()])
    write("expressions.json", [{"template": template, **render(template, CONVERSATIONS["turns"])}
                               for template in EXPRESSIONS])
    if arguments.smollm2:
        TOKENS.update(bos_token="<|im_start|>", eos_token="<|im_end|>")
        write("smollm2.json", list(cases(smollm2_template(arguments.smollm2))))


if __name__ == "__main__":
    main()
