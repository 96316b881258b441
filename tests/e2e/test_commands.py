"""The commands on small random models: rows, proofs, files, errors."""
import csv
import io
import itertools
import json
import sqlite3
import struct
import unittest

from support import Case, GOLDEN, HAS_GPU, NO_CUDA, SMALL_DECODER, SMALL_ENCODER, Run

COMMANDS = [["bench"], ["eval"], ["study", "run"], ["study", "check"], ["study", "status"],
            ["report"], ["quantize"], ["generate"], ["tokenize"], ["inspect"], ["doctor"],
            ["make-model"], ["calibrate"], ["verify"]]
BENCH = ["-p", "24", "-n", "6", "-r", "2"]


class Help(Case):
    def test_every_command_shows_an_example(self):
        for command in COMMANDS:
            run = self.run_ok(*command, "--help")
            self.assertRegex(run.out, f"Example: .*assay {command[0]}")

    def test_unknown_option_is_a_usage_error(self):
        self.assertEqual(Run(["bench", "--no-such"]).code, 2)


class Quantize(Case):
    def quantize(self, precision, name):
        return self.run_ok("quantize", "-m", SMALL_DECODER, "--precision", precision, "-o", name)

    def rows(self, model, precision):
        run = self.run_ok("bench", "-m", model, *BENCH, "-o", "json", "--store", self.store,
                          "--precision", precision)
        return run.json()["rows"]

    def test_what_is_written_loads_and_runs_as_stored(self):
        for precision, source, recipe in [
                ("nf4", "bnb nf4", None), ("fp4", "bnb fp4", None), ("int8", "bnb int8", None),
                ("double", "bnb nf4", "{precision: nf4, double_quant: true, compute: fp32}")]:
            self.quantize(recipe or precision, precision)
            config = json.loads((self.folder / precision / "config.json").read_text())
            written = config["quantization_config"]
            self.assertEqual(written["quant_method"], "bitsandbytes")
            self.assertEqual(written["load_in_8bit"], precision == "int8")
            self.assertEqual(written["bnb_4bit_use_double_quant"], precision == "double")
            for row in self.rows(self.folder / precision, "stored,bf16"):
                self.assertEqual((row["status"], row["proved"]), ("ok", True), row)
                self.assertEqual(row["source"], source)
                self.assertIn(row["recipe"], [f"{source} (stored)", f"bf16 (from {source})"])

    def test_nothing_is_requantized(self):
        """The same tokens, whether the codes are made while loading or were made before."""
        self.quantize("nf4", "nf4")
        layers = []
        for model in (SMALL_DECODER, self.folder / "nf4"):
            row = self.rows(model, "nf4")[0]
            layers.append([(e["layer"], e["encoding"]) for e in row["executed"]])
        self.assertEqual(layers[0], layers[1])

    def test_refusals(self):
        (self.folder / "full").mkdir()
        self.write("full/file", "x")
        line = self.run_error(2, "quantize", "-m", SMALL_DECODER, "--precision", "nf4", "-o", "full")
        self.assertIn("is not empty", line)
        self.quantize("nf4", "nf4")
        line = self.run_error(69, "quantize", "-m", "nf4", "--precision", "int8", "-o", "again")
        self.assertIn("bnb nf4", line)
        self.assertFalse((self.folder / "again").exists())
        line = self.run_error(69, "quantize", "-m", SMALL_DECODER, "-o", "mixed", "--precision",
                              "{default: nf4, rules: [{match: mlp, precision: int8}]}")
        self.assertIn("one quantization", line)
        line = self.run_error(2, "quantize", "-m", SMALL_DECODER, "--precision", "bf16", "-o", "b")
        self.assertIn("quantizes no layer", line)

    def test_unknown_methods_are_named(self):
        self.quantize("nf4", "model")
        config = json.loads((self.folder / "model/config.json").read_text())
        for method in ("aqlm", "hqq", "quanto"):
            config["quantization_config"] = {"quant_method": method}
            (self.folder / "model/config.json").write_text(json.dumps(config))
            self.assertIn(f'quant_method "{method}"',
                          self.run_error(69, "inspect", self.folder / "model"))


class HubCache(Case):
    def test_a_name_is_found_in_the_cache(self):
        commit = "0123456789abcdef0123456789abcdef01234567"
        model = self.folder / "hub/models--org--tiny"
        blobs, snapshot = model / "blobs", model / "snapshots" / commit
        for folder in (blobs, snapshot, model / "refs"):
            folder.mkdir(parents=True)
        (model / "refs/main").write_text(commit)
        for number, file in enumerate(("config.json", "model.safetensors")):
            (blobs / f"{number:040x}").write_bytes((SMALL_DECODER / file).read_bytes())
            (snapshot / file).symlink_to(f"../../blobs/{number:040x}")
        home = {"HF_HOME": str(self.folder)}
        self.assertIn("tiny: llama", self.run_ok("inspect", "org/tiny", env=home).out)
        run = self.run_ok("bench", "-m", "org/tiny@main", *BENCH, "-o", "json", "--store",
                          self.store, "--precision", "bf16", env=home)
        self.assertEqual(run.json()["rows"][0]["model"], "tiny")
        line = self.run_error(74, "inspect", "org/tinny", env=home)
        for part in ("org/tinny", "HF_HOME", "models--org--tinny", "org/tiny", "hf download"):
            self.assertIn(part, line)


class Bench(Case):
    def test_rows_of_every_precision_are_proved(self):
        run = self.run_ok("bench", "-m", SMALL_DECODER, *BENCH, "-o", "json", "--store", self.store,
                          "--precision", "fp32,bf16,fp16,int8,int8-weight-only,nf4,stored,"
                          "{precision: nf4, double_quant: true}")
        document = run.json()
        self.assertIn("cpu", document["environment"])
        rows = document["rows"]
        self.assertEqual({row["test"] for row in rows}, {"pp24", "tg6"})
        self.assertEqual(len(rows), 16)
        for row in rows:
            self.assertEqual((row["status"], row["proved"]), ("ok", True), row)
            metrics = row["metrics"]
            self.assertGreater(metrics["tokens_per_second"]["value"], 0)
            self.assertEqual(len(metrics["tokens_per_second"]["ci95"]), 2)
            self.assertIsNone(metrics["energy_gross"]["value"])
            self.assertTrue(metrics["energy_gross"]["reason"])
            self.assertGreaterEqual(len(row["samples"]), 2)
            self.assertTrue(row["executed"])

    def test_encodings_that_ran_are_those_asked_for(self):
        run = self.run_ok("bench", "-m", SMALL_DECODER, *BENCH, "-o", "json", "--store", self.store,
                          "--recipe", "{default: bf16, rules: [{match: mlp, precision: int8}]}")
        executed = run.json()["rows"][0]["executed"]
        by_layer = {entry["layer"]: entry["encoding"] for entry in executed}
        for layer, encoding in by_layer.items():
            self.assertEqual(encoding, "int8" if ".mlp." in layer else "bf16", by_layer)

    def test_formats(self):
        common = ["bench", "-m", SMALL_DECODER, *BENCH, "--store", self.store]
        self.assertIn("| ", self.run_ok(*common, "-o", "md").out)
        lines = self.run_ok(*common, "-o", "jsonl").out.splitlines()
        self.assertEqual({json.loads(line)["test"] for line in lines}, {"pp24", "tg6"})
        rows = list(csv.DictReader(io.StringIO(self.run_ok(*common, "-o", "csv").out)))
        self.assertEqual(len(rows) > 0 and rows[0]["recipe"], "bf16")

    def test_forced_instruction_set_is_what_ran(self):
        run = self.run_ok("bench", "-m", SMALL_DECODER, *BENCH, "-o", "json", "--store", self.store,
                          "--precision", "fp32,int8", env={"ASSAY_CPU_ISA": "portable"})
        for row in run.json()["rows"]:
            kernels = {e["kernel"] for e in row["executed"] if e["kernel"].startswith("linear")}
            self.assertTrue(kernels)
            for kernel in kernels:
                self.assertTrue(kernel.endswith("_portable"), kernel)

    def npy(self, name, rows):
        shape = (len(rows), len(rows[0])) if isinstance(rows[0], list) else (len(rows),)
        header = f"{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
        values = [v for row in rows for v in (row if isinstance(row, list) else [row])]
        self.write(name, b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() +
                   struct.pack(f"<{len(values)}q", *values))

    def test_real_samples_take_the_place_of_random_tokens(self):
        (self.folder / "tokens").mkdir()
        self.npy("tokens/input_ids.npy", [[5 + i, 6, 7, 8] for i in range(3)])
        self.npy("tokens/labels.npy", [0, 1, 0])
        common = ["bench", "-m", SMALL_ENCODER, "-b", "1", "-s", "4", "-r", "4", "--precision", "fp32",
                  "--store", self.store, "-o", "json", "--data", "tokens"]
        run = self.run_ok(*common)
        self.assertIn("data 3 samples x 4 tokens -> cpu", run.err)
        [row] = run.json()["rows"]
        self.assertEqual((row["test"], row["status"]), ("b1s4", "ok"))
        self.assertEqual(row["iterations"]["inputs"], 3)
        self.npy("tokens/attention_mask.npy", [[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]])
        self.assertEqual(self.run_ok(*common).json()["rows"][0]["status"], "ok")
        self.npy("tokens/input_ids.npy", [[5, 6, 7, 8], [5, 10**6, 7, 8], [5, 6, 7, 8]])
        run = Run(common, cwd=self.folder)
        self.assertEqual(run.code, 1)
        self.assertIn("sample 1 has the token 1000000", run.json()["rows"][0]["reason"])

    def test_cells_take_turns(self):
        run = self.run_ok("bench", "-m", SMALL_DECODER, *BENCH[:4], "-r", "5", "-o", "json", "--store",
                          self.store, "--precision", "fp32,int8", "--interleave=2")
        rows = run.json()["rows"]
        self.assertEqual(len(rows), 4)
        for row in rows:
            self.assertEqual((row["status"], row["proved"], row["rounds"]), ("ok", True, 2))
            self.assertEqual(len(row["samples"]), 6, "two rounds of three make at least five")
            rate = row["metrics"]["tokens_per_second"]
            self.assertEqual((rate["n"], len(rate["rounds"])), (6, 2))
        self.assertIn("[4/4]", run.err)
        self.assertIn("round 2 of 2", run.err)

    def test_unknown_instruction_set(self):
        line = self.run_error(2, "bench", "-m", SMALL_DECODER, env={"ASSAY_CPU_ISA": "avx9"})
        self.assertIn("avx9", line)

    @unittest.skipIf(HAS_GPU, "a GPU is here")
    def test_without_a_gpu_cuda_is_missing(self):
        line = self.run_error(69, "bench", "-m", SMALL_DECODER, "--device", "cuda")
        self.assertRegex(line, NO_CUDA)

    def test_unknown_precision_names_near_ones(self):
        line = self.run_error(2, "bench", "-m", SMALL_DECODER, "--precision", "int9")
        self.assertIn("int8", line)

    def test_rule_that_matches_nothing(self):
        line = self.run_error(2, "inspect", SMALL_DECODER, "--plan",
                              "{default: bf16, rules: [{match: '*down_prj', precision: int8}]}")
        self.assertIn("down_prj", line)

    def test_store_that_cannot_be_written(self):
        line = self.run_error(74, "bench", "-m", SMALL_DECODER, *BENCH, "--store",
                              "/proc/nowhere/x.db")
        self.assertIn("/proc/nowhere/x.db", line)


class Eval(Case):
    def test_fidelity_of_the_baseline_with_itself_is_zero(self):
        run = self.run_ok("eval", "-m", SMALL_DECODER, "--precision", "fp32,int8", "--tasks",
                          "fidelity", "--sequences", "3", "--length", "12", "-o", "json",
                          "--store", self.store)
        rows = {row["recipe"]: row for row in run.json()["rows"]}
        self.assertEqual(rows["fp32"]["metrics"]["kl_divergence"]["value"], 0.0)
        self.assertEqual(rows["fp32"]["metrics"]["top1_agreement"]["value"], 1.0)
        self.assertGreater(rows["int8"]["metrics"]["kl_divergence"]["value"], 0.0)
        self.assertEqual(rows["fp32"]["metrics"]["scored_tokens"]["value"], 33)


    def token_file(self, name, ids):
        """Pre-tokenized data: one tensor `input_ids`."""
        header = json.dumps({"input_ids": {"dtype": "I32", "shape": [1, len(ids)],
                                           "data_offsets": [0, 4 * len(ids)]}}).encode()
        return self.write(name, struct.pack("<Q", len(header)) + header +
                          struct.pack(f"<{len(ids)}i", *ids))

    def test_outliers_are_fixed_by_calibration(self):
        arguments = ["eval", "-m", SMALL_DECODER, "--baseline", "bf16", "--tasks", "fidelity",
                     "--sequences", "3", "--length", "12", "-o", "json", "--store", self.store]
        def recipe(name):
            return ("{precision: int8, threshold: 1.5, outliers: calibrated, calibration: "
                    f"{name}}}")
        self.token_file("a.safetensors", range(1, 60))
        run = self.run_ok(*arguments, "--precision", recipe("a.safetensors"))
        row = run.json()["rows"][0]
        self.assertIs(row["proved"], True)
        self.assertEqual(row["calibration"]["tokens"], 59)
        self.assertRegex(row["calibration"]["table"], "^[0-9a-f]{64}$")
        fixed = [note for note in row["notes"] if note.startswith("outlier columns are fixed: ")]
        self.assertEqual(len(fixed), 1, row["notes"])
        self.assertGreater(int(fixed[0].split()[4]), 0)
        # Other data is another cell; the same data under another name is the same.
        def attempts():
            with sqlite3.connect(self.store) as database:
                return database.execute("SELECT count(*) FROM attempts").fetchone()[0]
        self.token_file("b.safetensors", range(1, 60))
        self.run_ok(*arguments, "--resume", "--precision", recipe("b.safetensors"))
        self.assertEqual(attempts(), 1)
        self.token_file("b.safetensors", range(2, 61))
        self.run_ok(*arguments, "--resume", "--precision", recipe("b.safetensors"))
        self.assertEqual(attempts(), 2)
        # Without data the cell says what is missing.
        run = Run([*arguments, "--precision", "bf16,{precision: int8, outliers: calibrated}"])
        self.assertEqual(run.code, 1, run.err)
        reasons = [row["reason"] for row in run.json()["rows"] if row["status"] == "unsupported"]
        self.assertEqual(len(reasons), 1)
        self.assertIn("calibration: FILE", reasons[0])

    def test_a_task_without_a_file_is_looked_for_in_the_cache(self):
        line = self.run_error(74, "eval", "-m", SMALL_DECODER, "--tasks", "hellaswag",
                              env={"HF_HOME": str(self.folder)})
        self.assertIn(f"{self.folder}/hub/datasets--Rowan--hellaswag/snapshots/", line)
        self.assertIn("hf download Rowan/hellaswag --repo-type dataset --revision", line)


class Inspect(Case):
    def check_malformed(self, name, content, *words):
        self.check_refused(self.write(name, content), *words)

    def check_refused(self, path, *words):
        line = self.run_error(65, "inspect", path)
        self.assertIn(path.name, line)
        for word in words:
            self.assertIn(word, line)
        self.assertLess(self.last.seconds, 2.0)
        self.assertLess(self.last.peak, 256 << 20)

    def test_malformed_files(self):
        header = json.dumps({"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}})
        head = struct.pack("<Q", len(header)) + header.encode()
        self.check_malformed("truncated.safetensors", head + b"\0" * 8, "w")
        self.check_malformed("long.safetensors", struct.pack("<Q", 1 << 60) + b"{}", "header")
        gguf = b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0)
        self.check_malformed("count.gguf", gguf, "tensor")
        gguf = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1 << 62)
        self.check_malformed("string.gguf", gguf)

    def large(self, name, head, body, tail=b""):
        """A file of 100 MB, written in pieces: a process inherits the peak memory of the one that starts
        it. `body(i)` is piece i."""
        path, size = self.folder / name, 100_000_000
        with open(path, "wb") as file:
            file.write(head(size))
            end = file.tell() + size
            file.write(tail)
            pieces = itertools.count()
            while file.tell() < end:
                batch = b"".join(body(i) for i in itertools.islice(pieces, 20_000))
                file.write(batch[:end - file.tell()])
        return path

    def test_headers_of_100_mb(self):
        """Every length is true, so that nothing can be refused before it is read."""
        entry = b'"%08d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},'
        for start, body in ((b"{", lambda i: entry % i), (b'{"', lambda i: b"a" * 50),
                            (b'{"', lambda i: b"\\u0001" * 8), (b"{", lambda i: b" " * 50),
                            (b'{"a":', lambda i: b"1" * 50), (b'{"a":', lambda i: b"[" * 50)):
            with self.subTest(start + body(0)):
                path = self.large("large.safetensors", lambda size: struct.pack("<Q", size), body, start)
                self.check_refused(path, "byte")
        key = struct.pack("<Q", 9) + b"%09d" + struct.pack("<IB", 0, 1)
        path = self.large("large.gguf", lambda size: b"GGUF" + struct.pack(
            "<IQQ", 3, 0, size // len(key % 0)), lambda i: key % i)
        self.check_refused(path, "byte")

    def test_unknown_architecture(self):
        self.write("config.json", json.dumps({"model_type": "mamba", "architectures": ["Mamba"]}))
        model = (SMALL_DECODER / "model.safetensors").read_bytes()
        self.write("model.safetensors", model)
        self.assertIn("mamba", self.run_error(65, "inspect", self.folder).lower())

    def test_missing_tokenizer(self):
        line = self.run_error(65, "generate", "-m", SMALL_DECODER, "--prompt", "x", "-q")
        self.assertIn("tokenizer", line)

    def test_chat_needs_a_template_and_system_needs_chat(self):
        line = self.run_error(2, "generate", "-m", SMALL_DECODER, "--prompt", "x", "--system", "y")
        self.assertIn("--chat", line)

    def test_plan_lists_every_layer(self):
        run = self.run_ok("inspect", SMALL_DECODER, "--plan", "int8", "-o", "json")
        plan = run.json()["plans"][0]
        self.assertIn("down_proj", json.dumps(plan))


class Static(Case):
    BENCH = ("bench", "-m", SMALL_DECODER, "--precision", "int8-static", *BENCH, "-o", "json")

    def test_without_data_it_is_unsupported(self):
        run = Run(self.BENCH, cwd=self.folder)
        self.assertEqual(run.code, 69, run.err)
        row, = run.json()["rows"]
        self.assertEqual(row["status"], "unsupported")
        self.assertIn("needs calibration data", row["reason"])

    def test_a_table_is_written_and_used(self):
        self.run_ok("calibrate", "-m", SMALL_DECODER, "--random", "--samples", "3", "--length", "20", "-o",
                    "table.json", "-q")
        for row in self.run_ok(*self.BENCH, "--calibration", "table.json").json()["rows"]:
            self.assertEqual((row["status"], row["proved"]), ("ok", True))
            self.assertIn("random tokens (seed 1)", row["calibration"]["origin"])
            self.assertTrue(any("activation scales of" in note and "random tokens" in note
                                for note in row["notes"]), row["notes"])
            self.assertIn("int8_static", {entry["activation"] for entry in row["executed"]})
        run = Run(["bench", "-m", SMALL_ENCODER, "--precision", "int8-static", "--calibration", "table.json",
                   "-o", "json"], cwd=self.folder)
        self.assertIn("another model", run.json()["rows"][0]["reason"])


class Synthetic(Case):
    ENCODER = "synthetic:distilbert-base:outliers"

    def test_rows_are_marked_and_int8_finds_the_outliers(self):
        run = self.run_ok("bench", "-m", self.ENCODER, "--precision", "int8", "-s", "16", "-r", "2",
                          "--warmup", "0", "--min-seconds", "0", "-o", "json")
        row, = run.json()["rows"]
        self.assertEqual((row["status"], row["proved"]), ("ok", True))
        self.assertEqual(row["source"], "bf16 (synthetic)")
        self.assertEqual(row["model"], "distilbert-base-outliers")

    def test_one_tensor_at_a_time_is_in_memory_beside_the_weights(self):
        run = self.run_ok("bench", "-m", "synthetic:distilbert-base", "--precision", "bf16,int8", "-s", "8", "-r",
                          "1", "--warmup", "0", "--min-seconds", "0", "-o", "json")
        largest = 30522 * 768 * 2
        for row in run.json()["rows"]:
            weights = row["metrics"]["weight_bytes"]["value"]
            program = 64e6
            self.assertLess(row["metrics"]["peak_host_memory"]["value"], weights + largest + program)

    def test_is_never_scored(self):
        data = self.write("data.tsv", "sentence\tlabel\na fine film\t1\n")
        for task in (f"sst2={data}", "fidelity"):
            run = Run(["eval", "-m", self.ENCODER, "--precision", "fp32", "--tasks", task, "-o",
                       "json"], cwd=self.folder)
            self.assertEqual(run.code, 69, run.err)
            row, = run.json()["rows"]
            self.assertEqual(row["status"], "unsupported")
            self.assertIn("weights are random", row["reason"])

    def test_written_folder_is_marked_too(self):
        self.run_ok("make-model", "--like", "distilbert-base", "--seed", "3", "-o", "made", "-q")
        out = self.run_ok("inspect", "made").out
        self.assertIn("67.0 M parameters, stored as bf16 (synthetic)", out)
        line = self.run_error(2, "make-model", "--like", "distilbert-base", "-o", "made")
        self.assertIn("is not empty", line)

    def test_unknown_shape_names_near_ones(self):
        line = self.run_error(2, "make-model", "--like", "llama-3-80b")
        self.assertIn("did you mean llama-3-8b", line)


class Doctor(Case):
    def test_every_precision_works_on_the_cpu(self):
        rows = self.run_ok("doctor", "--device", "cpu", "-o", "json").json()["precisions"]
        names = {row["precision"] for row in rows}
        self.assertLessEqual({"fp32", "fp16", "bf16", "int8", "int8-weight-only", "nf4", "fp4"}, names)
        for row in rows:
            if row["precision"] in ("tf32", "fp8"):
                self.assertFalse(row["works"], row)
                self.assertIn("CUDA devices of capability", row["reason"])
            else:
                self.assertTrue(row["works"] and row["kernel"], row)

    def test_cuda_works_or_says_why_not(self):
        run = Run(["doctor", "--device", "cuda", "-o", "json"])
        rows = run.json()["precisions"]
        self.assertTrue(all(row["works"] or row["reason"] for row in rows), rows)
        self.assertEqual(run.code, 0 if any(row["works"] for row in rows) else 69)
        self.assertTrue(all(row["device"] == "cuda:0" for row in rows))


class Verify(Case):
    @unittest.skipIf(HAS_GPU, "a GPU is here")
    def test_without_a_gpu_it_says_so(self):
        line = self.run_error(69, "verify", "-m", SMALL_DECODER)
        self.assertRegex(line, NO_CUDA)

    def test_the_cpu_has_no_second_witness(self):
        line = self.run_error(2, "verify", "-m", SMALL_DECODER, "--device", "cpu")
        self.assertIn("CUPTI", line)

    @unittest.skipUnless(HAS_GPU, "no GPU is here")
    def test_the_witness_agrees(self):
        for model in (SMALL_DECODER, SMALL_ENCODER):
            run = Run(["verify", "-m", str(model), "--precision", "fp32,fp16,bf16,int8", "-o", "json"])
            if "no second witness" in run.err:
                self.skipTest(run.err.strip())
            for recipe in run.json()["recipes"]:
                for line in recipe["lines"]:
                    self.assertEqual((line["ledger"], line["problem"]), (line["witness"], ""), line)


class Store(Case):
    def test_report_from_the_store(self):
        self.run_ok("bench", "-m", SMALL_ENCODER, "-b", "1,2", "-s", "16", "-r", "2", "--precision",
                    "fp32,int8", "--store", self.store, "-o", "json")
        rows = self.run_ok("report", self.store, "--json").json()["rows"]
        self.assertEqual({row["test"] for row in rows}, {"b1s16", "b2s16"})
        self.assertEqual(self.run_ok("report", self.store, "--csv", self.folder).code, 0)
        self.assertTrue((self.folder / "rows.csv").exists())
        with sqlite3.connect(self.store) as db:
            self.assertEqual(db.execute("pragma integrity_check").fetchone()[0], "ok")

    def test_not_a_store(self):
        path = self.write("note.txt", "this is no database, but it is longer than a header" * 40)
        self.assertIn("note.txt", self.run_error(65, "report", path))


if __name__ == "__main__":
    unittest.main()
