"""The tools that decide whether a change may land must themselves be able to say no."""
import gzip
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOOLS = Path(__file__).resolve().parent


def run(tool: str, *args: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, TOOLS / tool, *args], capture_output=True, text=True)


class Tree(unittest.TestCase):
    """A small source tree on disk, for one case."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        self.write("src/CMakeLists.txt", "larder_module(base)\nlarder_module(engine LIBS zstd)\n"
                   "larder_module(wire)\nlarder_module(query engine)\nlarder_module(server query\n   wire LIBS yaml)\n")
        for module in ("base", "engine", "wire", "query", "server"):
            self.write(f"src/{module}/a.h", '#include <larder/result.h>\n#include "base/check.h"\n#include <vector>\n')

    def tearDown(self):
        self.folder.cleanup()

    def write(self, path: str, text: str):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


class Layers(Tree):
    def test_takes_what_the_lines_name(self):
        self.write("src/query/b.cc", '#include "query/a.h"\n#include "engine/a.h"\n#include "base/a.h"\n')
        self.write("src/server/b.cc", '#include "wire/a.h"\n')
        self.assertEqual(run("layers.py", str(self.root)).returncode, 0)

    def test_refuses_a_module_that_the_line_does_not_name(self):
        for path, target in [("src/engine/b.cc", "query/a.h"), ("src/query/b_test.cc", "wire/a.h"),
                             ("src/base/b.h", "engine/a.h"), ("src/server/b.cc", "engine/a.h")]:
            with self.subTest(path=path):
                self.write(path, f'  # include "{target}"\n')
                told = run("layers.py", str(self.root))
                self.assertEqual(told.returncode, 1)
                self.assertIn(f"{path}: includes {target}", told.stderr)
                (self.root / path).unlink()

    def test_refuses_an_inner_header_in_a_public_one(self):
        self.write("include/larder/cache.h", '#include "base/check.h"\n')
        self.assertIn("include/larder/cache.h: a public header includes base/check.h",
                      run("layers.py", str(self.root)).stderr)

    def test_refuses_a_folder_without_a_line(self):
        self.write("src/helpers/a.h", "")
        self.assertIn("src/helpers: no line", run("layers.py", str(self.root)).stderr)


class Links(Tree):
    def check(self) -> subprocess.CompletedProcess:
        return run("links.py", str(self.root))

    def test_takes_what_is_there(self):
        self.write("docs/a.md", "# The engine, mapped\n## `get` & set\n## Again\n## Again\n")
        self.write("README.md", "[a](docs/a.md) [b](docs/a.md#the-engine-mapped) ![c](src) [d](docs/a.md#get--set)\n"
                   "[e](#own) [f](https://example.org/x) [g](docs/a.md#again-1)\n\n# Own\n"
                   "```\n[no](link.md)\n```\nand `[no](link.md)` in code\n")
        self.write("build/page.md", "[made](nothing.md)\n")
        told = self.check()
        self.assertEqual((told.returncode, told.stderr), (0, ""))

    def test_refuses_what_leads_nowhere(self):
        self.write("docs/a.md", "# One\n")
        for link in ("docs/b.md", "docs/a.md#two", "#none", "../outside.md"):
            with self.subTest(link=link):
                self.write("README.md", f"```\ncode\n```\n[x]({link})\n")
                told = self.check()
                self.assertEqual(told.returncode, 1)
                self.assertIn(f"README.md:4: {link}", told.stderr)


class CountTests(Tree):
    def count(self) -> subprocess.CompletedProcess:
        return run("count_tests.py", str(self.root))

    def test_counts_leaves_of_both_kinds(self):
        self.write("a.xml", '<testsuite><testcase name="a" status="run"/>'
                   '<testcase name="b" status="fail"><failure/></testcase>'
                   '<testcase name="c" status="notrun"><skipped/></testcase></testsuite>')
        self.write("b.tap", "TAP version 13\n# Subtest: a\n    ok 1 - x\n    not ok 2 - y\n    1..2\nnot ok 1 - a\n"
                   "ok 2 - b\nok 3 - c # SKIP no browser\n")
        told = self.count()
        self.assertEqual(told.stdout, "3 passed, 2 failed, 2 skipped\n")
        self.assertEqual(told.returncode, 1)

    def test_all_passed(self):
        self.write("b.tap", "ok 1 - a\n")
        self.assertEqual((self.count().stdout, self.count().returncode), ("1 passed, 0 failed\n", 0))

    def test_nothing_ran_is_no_proof(self):
        self.assertEqual(self.count().returncode, 1)


class Embed(Tree):
    def embed(self):
        told = run("embed.py", str(self.root / "page"), str(self.root / "out/assets.cc"))
        return told, sorted((self.root / "out").glob("assets.*"))

    def test_carries_every_file_whole(self):
        script = "console.log('larder');\n" * 100
        self.write("page/index.html", "<html>")
        self.write("page/assets/app-DiwrgTda.js", script)
        self.write("page/my-favourite.js", "1")
        told, _ = self.embed()
        self.assertEqual(told.returncode, 0, told.stderr)
        source = (self.root / "out/assets.cc").read_text()
        for row in ['{"/assets/app-DiwrgTda.js", "text/javascript; charset=utf-8", ', '{"/index.html", "text/html; charset=utf-8", ']:
            self.assertIn(row, source)
        self.assertEqual([line.split(", ")[3] for line in source.splitlines() if line.startswith("    {")],
                         ["true", "false", "false"])
        blobs = self.root / "out/assets.blobs"
        self.assertEqual((blobs / "0_plain").read_text(), script)
        self.assertEqual(gzip.decompress((blobs / "0_gzip").read_bytes()).decode(), script)
        self.assertFalse((blobs / "1_gzip").exists())  # it would save nothing
        self.embed()
        self.assertEqual((self.root / "out/assets.cc").read_text(), source)

    def test_refuses_a_folder_without_a_page(self):
        self.write("page/readme.txt", "")
        told, made = self.embed()
        self.assertEqual(told.returncode, 1)
        self.assertIn("has no index.html", told.stderr)
        self.assertEqual(made, [])


if __name__ == "__main__":
    unittest.main()
