"""Studies end to end: resume, faults of children, interrupts, bad study files."""
import os
import pathlib
import signal
import subprocess
import time
import unittest

from support import ASSAY, Case, HAS_GPU, NO_CUDA, Run, SMALL_DECODER, SMALL_ENCODER

STUDY = """\
name: small
store: results.db
models:
  - model: {decoder}
    recipes: [fp32, int8, nf4]
    workload: {{prompt: 16, generate: 4, repetitions: {repetitions}}}
    tasks: [{{task: fidelity, sequences: 2, length: 8}}]
  - model: {encoder}
    recipes: [fp32, int8]
    workload: {{batch: 1, sequence: 16, repetitions: 3, min_seconds: 0}}
"""


def children_of(pid):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(entry.name))
    return found


class Studies(Case):
    def study(self, repetitions=2):
        return self.write("study.yaml", STUDY.format(decoder=SMALL_DECODER, encoder=SMALL_ENCODER,
                                                     repetitions=repetitions))

    def start_long(self):
        """A study whose first cell runs for minutes, and its child once that has begun to measure."""
        process = subprocess.Popen([ASSAY, "study", "run", self.study(2_000_000)], cwd=self.folder,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        for line in process.stderr:
            if "prompt 16" in line:
                break
        return process, children_of(process.pid)

    def test_second_run_keeps_what_is_there(self):
        study = self.study()
        first = self.run_ok("study", "run", study, "-o", "json").json()
        self.assertEqual({row["status"] for row in first["rows"]}, {"ok"})
        again = self.run_ok("study", "run", study, "-o", "json")
        self.assertEqual(again.json()["rows"], first["rows"])
        self.assertEqual(again.err.count("kept from before"), 5)
        status = self.run_ok("study", "status", study).out.splitlines()
        self.assertEqual([line.split()[0] for line in status], ["ok"] * 5)

    def test_only(self):
        run = self.run_ok("study", "run", self.study(), "--only", "nf4", "-o", "json")
        self.assertEqual({row["recipe"] for row in run.json()["rows"]}, {"nf4"})

    def test_interrupt_loses_nothing(self):
        process, _ = self.start_long()
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=30), 130)
        status = self.run_ok("study", "status", self.study(2_000_000)).out.splitlines()
        self.assertEqual(status[0].split()[0], "interrupted")
        self.assertEqual({line.split()[0] for line in status[1:]}, {"open"})

    def test_killed_child_is_a_row_and_the_rest_goes_on(self):
        process, children = self.start_long()
        self.assertEqual(len(children), 1)
        os.kill(children[0], signal.SIGKILL)
        seen = {}
        deadline = time.monotonic() + 30
        while "failed" not in seen.values() and time.monotonic() < deadline:
            status = Run(["study", "status", self.study(2_000_000)], cwd=self.folder).out
            seen = {line.split()[1]: line.split()[0] for line in status.splitlines()}
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
        self.assertIn("failed", seen.values())

    def test_child_dies_with_its_parent(self):
        process, children = self.start_long()
        process.kill()
        process.wait()
        deadline = time.monotonic() + 10
        while any(pathlib.Path(f"/proc/{pid}/cmdline").exists() and
                  b"assay" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
                  for pid in children) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertLess(time.monotonic(), deadline)

    def test_unknown_key_names_line(self):
        path = self.write("bad.yaml", "name: x\nmodels:\n  - model: a\n    recipies: [bf16]\n")
        line = self.run_error(2, "study", "run", path)
        self.assertIn("bad.yaml:4", line)
        self.assertIn("recipes", line)

    def test_check_lists_every_problem_at_once(self):
        path = self.write("bad.yaml", "name: x\nmodels:\n"
                          "  - {model: missing-one, recipes: [bf16]}\n"
                          "  - {model: missing-two, recipes: [bf16]}\n")
        run = Run(["study", "check", path], cwd=self.folder)
        self.assertEqual(run.code, 1)
        self.assertIn("missing-one", run.out)
        self.assertIn("missing-two", run.out)

    @unittest.skipIf(HAS_GPU, "a GPU is here")
    def test_unsupported_cells_leave_the_others_standing(self):
        path = self.write("mixed.yaml", "name: x\nstore: results.db\nmodels:\n"
                          f"  - {{model: {SMALL_DECODER}, recipes: [q4_1, fp32], baseline: fp32,\n"
                          "     device: [cpu, cuda], workload: {prompt: 8, generate: 0}}\n")
        run = Run(["study", "run", path, "-o", "json"], cwd=self.folder)
        self.assertEqual(run.code, 1, run.err)
        status = {(row["recipe"], row["device"]): row["status"] for row in run.json()["rows"]}
        self.assertEqual(sorted(status.values()).count("unsupported"), 3, status)
        self.assertEqual(status[("fp32", "cpu")], "ok")
        self.assertRegex(run.err, NO_CUDA)

    def test_disk_full(self):
        """A file size limit stands in for a full disk: the store cannot grow past it."""
        command = f"ulimit -f 40; exec '{ASSAY}' study run '{self.study()}'"
        run = subprocess.run(["bash", "-c", command], cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(run.returncode, 74, run.stderr)
        self.assertIn("results.db", run.stderr.splitlines()[-1])


if __name__ == "__main__":
    unittest.main()
