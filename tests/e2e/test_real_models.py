"""The real small models through the command line, compared with figures."""
import json
import signal
import sqlite3
import subprocess
import time
import unittest

from support import ASSAY, Case, GOLDEN, needs


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

    def test_tokenize_takes_lengths_from_the_file(self):
        """MiniLM's tokenizer.json cuts to 128 ids and pads to as many."""
        model = needs("ASSAY_MINILM")
        lines = "short\n" + "word " * 200
        short, long = [len(json.loads(line)["ids"]) for line in
                       self.run_ok("tokenize", "-m", model, stdin=lines).out.splitlines()]
        self.assertEqual((short, long), (128, 128))
        short, long = [len(json.loads(line)["ids"]) for line in
                       self.run_ok("tokenize", "-m", model, "--whole", stdin=lines).out.splitlines()]
        self.assertEqual((short, long), (3, 202))

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

    def questions(self, count):
        """Sums whose right answer is the third choice of four."""
        lines = [json.dumps({"query": f"{i} plus {i + 1} is",
                             "endings": ["blue.", "a long walk.", f"{2 * i + 1}.", "not a number."],
                             "label": 2}) for i in range(count)]
        return self.write("questions.jsonl", "\n".join(lines))

    def test_multiple_choice_with_its_paired_table(self):
        model = needs("ASSAY_SMOLLM2")
        task = f"hellaswag={self.questions(24)}"
        run = self.run_ok("eval", "-m", model, "--precision", "bf16,nf4", "--tasks", task,
                          "--limit", "20", "--store", self.store)
        self.assertIn("--limit 20: 20 items of hellaswag cannot show", run.err)
        self.assertRegex(run.out, "at n = 20|worse by|better by|at chance")
        document = self.run_ok("report", self.store, "--json").json()
        self.assertEqual([row["metrics"]["acc"]["n"] for row in document["rows"]], [20, 20])
        self.assertGreater(document["rows"][0]["metrics"]["acc"]["value"], 0.25)
        compared = {(row["recipe"], row["metric"]): row for row in document["comparisons"]}
        self.assertEqual(set(compared), {("nf4", "acc"), ("nf4", "acc_norm")})
        row = compared["nf4", "acc"]
        accuracy = [r["metrics"]["acc"]["value"] for r in document["rows"]]
        self.assertAlmostEqual(row["difference"], accuracy[1] - accuracy[0])
        self.assertAlmostEqual((row["gained"] - row["lost"]) / 20, row["difference"])
        items = self.run_ok("report", self.store, "--items", "--test", "hellaswag")
        self.assertRegex(items.out, r"hellaswag: bf16 -> nf4: \d+ of 20 items flip")

    def test_a_data_set_of_the_hub_and_fixed_outliers(self):
        model = needs("ASSAY_SMOLLM2")
        commit = "218ec52e09a7e7462a5400043bb9a69a41d06b76"
        snapshot = self.folder / "hub" / "datasets--Rowan--hellaswag" / "snapshots" / commit / "data"
        snapshot.mkdir(parents=True)
        (snapshot / "validation.jsonl").write_text(self.questions(12).read_text())
        text = self.write("text.txt", "A fox ran over the hill and met a dog. " * 60)
        recipe = (f"{{precision: int8, outliers: calibrated, calibration: {{file: {text}, "
                  "samples: 2, length: 64}}")
        answers = []
        for batch in (1, 16):
            store = self.folder / f"{batch}.db"
            run = self.run_ok("eval", "-m", model, "--precision", recipe, "--tasks", "hellaswag",
                              "--batch-size", batch, "-o", "json", "--store", store,
                              env={"HF_HOME": str(self.folder)})
            row = run.json()["rows"][0]
            self.assertEqual(row["data"]["repo"], "Rowan/hellaswag")
            self.assertEqual(row["data"]["revision"], commit)
            self.assertRegex(row["data"]["sha256"], "^[0-9a-f]{64}$")
            self.assertFalse([note for note in row["notes"] if "each call" in note], row["notes"])
            with sqlite3.connect(store) as database:
                items = [json.loads(item) for (item,) in database.execute("SELECT item FROM items")]
            answers.append([a["log_likelihoods"] for a in sorted(items, key=lambda a: a["i"])])
        self.assertEqual(len(answers[0]), 12)
        self.assertEqual(*answers)

    def test_a_stopped_evaluation_goes_on_at_the_item(self):
        model = needs("ASSAY_SMOLLM2")
        study = self.write("study.yaml", f"""
name: s
store: {self.store}
models:
  - model: {model}
    recipes: [bf16]
    tasks: [{{task: hellaswag, file: {self.questions(200)}, batch_size: 4}}]
""")
        process = subprocess.Popen([ASSAY, "study", "run", str(study)], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)
        answered = self.wait_for(lambda: count_items(self.store), process)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)
        self.run_ok("study", "run", study)
        row = self.run_ok("report", self.store, "--json").json()["rows"][0]
        self.assertEqual(row["metrics"]["acc"]["n"], 200)
        note = [n for n in row["notes"] if "answered before" in n]
        self.assertEqual(len(note), 1, row["notes"])
        self.assertGreaterEqual(int(note[0].split()[0]), answered)

    def wait_for(self, question, process):
        """The first answer that is not 0, while the process runs."""
        for _ in range(600):
            self.assertIsNone(process.poll(), "it ended before it could be stopped")
            if answer := question():
                return answer
            time.sleep(0.1)
        self.fail("no answer reached the store in a minute")


def count_items(path):
    """Answers in a store that may still be in the making."""
    if not path.exists():
        return 0
    with sqlite3.connect(path, timeout=30) as store:
        try:
            return store.execute("SELECT count(*) FROM items").fetchone()[0]
        except sqlite3.OperationalError:
            return 0


if __name__ == "__main__":
    unittest.main()
