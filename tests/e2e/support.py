"""What the end-to-end tests share: the program, the models, and how to call it. Standard library only."""
import json
import os
import pathlib
import resource
import shutil
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
ASSAY = os.environ.get("ASSAY_BINARY", str(ROOT / "build" / "test" / "src" / "assay"))
SMALL_DECODER = GOLDEN / "models" / "llama_tied"
SMALL_ENCODER = GOLDEN / "models" / "distilbert_classifier"


def needs(variable, inside=""):
    """Path from an environment variable; the test is listed as skipped, with the reason, without it."""
    path = os.environ.get(variable, "")
    if not path or not (pathlib.Path(path) / inside).exists():
        raise unittest.SkipTest(f"{variable} does not name an existing path ({inside or 'model'})")
    return pathlib.Path(path)


class Run:
    """A finished call: exit code, texts, seconds, peak resident bytes."""

    def __init__(self, arguments, stdin="", env=None, cwd=None):
        before = time.monotonic()
        # A machine with a meter times longer; tests that want one bring their own.
        environment = {**os.environ, "ASSAY_POWERCAP_ROOT": "/nowhere/powercap", **(env or {})}
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            process = subprocess.Popen([ASSAY, *map(str, arguments)], stdin=subprocess.PIPE,
                                       stdout=out, stderr=err, env=environment, cwd=cwd, text=True)
            process.stdin.write(stdin)
            process.stdin.close()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            err.seek(0)
            self.out, self.err = out.read(), err.read()
        self.code = process.returncode
        self.seconds = time.monotonic() - before
        self.peak = usage.ru_maxrss * 1024

    def json(self):
        return json.loads(self.out)


class Case(unittest.TestCase):
    """A test in a folder of its own."""

    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="assay-e2e-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.store = self.folder / "results.db"

    def run_ok(self, *arguments, **keywords):
        run = Run(arguments, cwd=self.folder, **keywords)
        self.assertEqual(run.code, 0, f"{arguments}\n{run.out}\n{run.err}")
        return run

    def run_error(self, code, *arguments, **keywords):
        """Expects an exit code and one line of error; returns that line."""
        run = Run(arguments, cwd=self.folder, **keywords)
        self.assertEqual(run.code, code, f"{arguments}\n{run.out}\n{run.err}")
        lines = [line for line in run.err.splitlines() if line.startswith("assay: ")]
        self.assertEqual(len(lines), 1, run.err)
        self.last = run
        return lines[0]

    def write(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path


#: What `--device cuda` answers where nothing can run there: no CUDA in the build, no driver, no device.
NO_CUDA = "cuda.*: .*(built without CUDA|NVIDIA driver|no CUDA device)"
HAS_GPU = shutil.which("nvidia-smi") is not None
