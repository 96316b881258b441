"""The real small models through the command line, compared with figures."""
import json
import unittest

from support import Case, GOLDEN, needs


class RealModels(Case):
    def test_sst2_at_fp32_is_exactly_1810_of_2000(self):
        shared = needs("ASSAY_SHARED", "models/distilbert-sst2-mini")
        run = self.run_ok("eval", "-m", shared / "models" / "distilbert-sst2-mini", "--precision",
                          "fp32", "--tasks", f"sst2={shared}/data/sst2/eval2000.tsv", "-o", "json",
                          "--store", self.store)
        row = run.json()["rows"][0]
        self.assertTrue(row["proved"])
        self.assertEqual(row["metrics"]["acc"]["value"] * 2000, 1810)

    def test_greedy_text_equals_the_reference(self):
        model = needs("ASSAY_SMOLLM2")
        prompts = json.loads((GOLDEN / "models" / "smollm2" / "prompts.json").read_text())
        for prompt in prompts[:2]:
            run = self.run_ok("generate", "-m", model, "--precision", "fp32", "--prompt",
                              prompt["text"], "-n", "32", "--ids", "--ignore-eos", "-q")
            self.assertEqual(json.loads(run.out), prompt["tokens"])

    def test_chat_equals_the_reference_and_keeps_the_talk(self):
        model = needs("ASSAY_SMOLLM2")
        prompts = json.loads((GOLDEN / "models" / "smollm2" / "prompts.json").read_text())
        turn = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"
        first = [p for p in prompts if turn[0] in p["text"]][0]
        question = first["text"].split(turn[0])[1].removesuffix(turn[1])
        system = first["text"].split("<|im_start|>system\n")[1].split("<|im_end|>")[0]
        options = ["-m", model, "--precision", "fp32", "-n", "32", "-q"]
        run = self.run_ok("generate", *options, "--chat", "--prompt", question, "--ids")
        answer = [token for token in first["tokens"] if token != 2]
        self.assertEqual(json.loads(run.out), answer)
        said = self.run_ok("generate", *options, "--chat", "--prompt", question).out.removesuffix("\n")
        run = self.run_ok("generate", *options, "--chat", "--system", system, "--ids",
                          stdin=f"{question}\nAnd of Spain?\n")
        lines = run.out.splitlines()
        self.assertEqual(json.loads(lines[0]), answer)
        whole = first["text"] + said + "<|im_end|>\n" + turn[0] + "And of Spain?" + turn[1]
        run = self.run_ok("generate", *options, "--prompt", whole, "--ids")
        self.assertEqual(lines[1:], run.out.splitlines())

    def test_tokenize(self):
        model = needs("ASSAY_SMOLLM2")
        prompts = json.loads((GOLDEN / "models" / "smollm2" / "prompts.json").read_text())
        lines = [p for p in prompts if "\n" not in p["text"]]
        self.assertTrue(lines)
        run = self.run_ok("tokenize", "-m", model, stdin="\n".join(p["text"] for p in lines))
        for prompt, line in zip(lines, run.out.splitlines(), strict=True):
            self.assertEqual(json.loads(line)["ids"], prompt["ids"])

    def test_a_dequantized_source_names_itself(self):
        model = needs("ASSAY_SMOLLM2")
        run = self.run_ok("bench", "-m", model, "--precision", "bf16,stored", "-p", "16", "-n", "2",
                          "-r", "1", "-o", "json", "--store", self.store)
        rows = run.json()["rows"]
        self.assertIn("bf16 (from q4_1)", {row["recipe"] for row in rows})
        self.assertEqual({row["source"] for row in rows}, {"q4_1"})
        stored = [row for row in rows if row["recipe"] != "bf16 (from q4_1)"][0]
        self.assertIn("q4_1", {entry["encoding"] for entry in stored["executed"]})

    def test_perplexity(self):
        model = needs("ASSAY_SMOLLM2")
        shared = needs("ASSAY_SHARED", "data/wikitext2/wiki.test.raw")
        run = self.run_ok("eval", "-m", model, "--precision", "bf16", "--tasks",
                          f"perplexity={shared}/data/wikitext2/wiki.test.raw", "--limit", "2",
                          "-o", "json", "--store", self.store)
        value = run.json()["rows"][0]["metrics"]["perplexity"]["value"]
        self.assertTrue(10 < value < 40, value)


if __name__ == "__main__":
    unittest.main()
