"""The examples of the README, run as they stand there (tests/precision and tests/study read those of
the other pages)."""
import pathlib
import re
import shlex
import unittest

from support import Case, HAS_GPU, ROOT, Run, needs

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Work that an example leaves at its default, made short.
SHORTER = {"bench": ["-p", "32", "-n", "4", "-r", "1"], "eval": ["--limit", "5", "--sequences", "2", "--length", "16"]}


def blocks(page, language):
    text = (ROOT / page).read_text()
    found = [body for name, body in FENCE.findall(text) if name == language]
    assert found, f"{page} has no {language or 'plain'} block"
    return found


def commands(page):
    """Lines of plain blocks that call the program, without the comment behind them."""
    for body in blocks(page, ""):
        for line in body.splitlines():
            words = shlex.split(line, comments=True)
            if words and pathlib.Path(words[0]).name == "assay":
                yield words[1:]


class Examples(Case):
    def setUp(self):
        super().setUp()
        self.decoder = needs("ASSAY_SMOLLM2")
        text = "\n".join(f"Line {i} of a text that a perplexity can be taken of." for i in range(200))
        self.names = {
            "MODEL": str(self.decoder),
            "perplexity=wiki.txt": f"perplexity={self.write('wiki.txt', text)}",
        }

    def run_example(self, words):
        words = [self.names.get(word, word) for word in words]
        if "--limit" not in words:
            words += SHORTER.get(words[0], [])
        run = Run(words, cwd=self.folder)
        self.assertEqual(run.code, 0, f"{words}\n{run.out}\n{run.err}")
        self.assertTrue(run.out.strip(), words)

    def test_the_commands_of_the_readme(self):
        ran = []
        for words in commands("README.md"):
            if words[:2] == ["study", "run"]:
                continue  # scripts/quickstart runs it
            if words[0] == "verify" and not HAS_GPU:
                continue
            if "CLASSIFIER" in words:
                shared = needs("ASSAY_SHARED", "models/distilbert-sst2-mini")
                self.names["CLASSIFIER"] = str(shared / "models" / "distilbert-sst2-mini")
                self.names["sst2=dev.tsv"] = f"sst2={shared}/data/sst2/eval2000.tsv"
            with self.subTest(" ".join(words)):
                self.run_example(words)
                ran.append(words[0])
        self.assertGreaterEqual(set(ran), {"doctor", "inspect", "generate", "eval", "report", "bench"})

    def test_the_recipes_of_the_readme(self):
        for i, body in enumerate(blocks("README.md", "yaml")):
            with self.subTest(body):
                recipe = self.write(f"recipe{i}.yaml", body)
                self.run_ok("inspect", self.decoder, "--plan", recipe)


if __name__ == "__main__":
    unittest.main()
