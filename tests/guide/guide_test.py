#!/usr/bin/env python3
"""Runs the commands of README.md and docs/guide as a newcomer would, against the built program, so that the guide stays true.

usage: guide_test.py BUILD_DIR [PAGE...]

A page is run from top to bottom in an empty directory, with the built `larder` on the PATH. The word after a block's
language says what the block is:

  ```yaml file=larder.yaml   is written to that file, relative to the directory the shell is in
  ```sh run                  runs, and must succeed; all such blocks of a page are one shell
  ```sh run fails            runs, and its last command must fail
  ```sh serve                runs beside the others from now on; goes on once it has printed its address
  ```cpp same=PATH           is that file of the tree, word for word
  ```text output             is what the block before it printed; a line `...` is any lines, ... in a line any text

README.md is run in a directory with a copy of examples. Other blocks are only read. The guide's port 8080 is replaced by a free one. Nothing is left running.
"""
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "guide"
FLIGHTS = "node_modules/vega-datasets/data/flights-3m.parquet"
BLOCK = re.compile(r"^```(\w+) ([^\n]+)\n(.*?)^```$", re.M | re.S)
START_SECONDS_MAX = 30
BLOCK_SECONDS_MAX = 60


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def blocks(text: str) -> list:
    """[(line, language, words, content)] of the blocks that mean something here."""
    return [(text.count("\n", 0, found.start()) + 1, found[1], found[2].split(), found[3])
            for found in BLOCK.finditer(text)]


def matches(expected: str, printed: str) -> bool:
    """Whether `printed` is what the page shows."""
    pattern = ""
    for line in expected.strip("\n").split("\n"):
        if line.strip() == "...":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += ".*?".join(re.escape(part) for part in line.rstrip().split("...")) + r"[ \r]*\n"
    return re.fullmatch(pattern, printed.strip("\n") + "\n") is not None


class Shell:
    """One bash that runs blocks in turn and tells what each printed."""

    END = "-- end of block --"

    def __init__(self, folder: Path, environment: dict):
        self.environment = environment
        self.bash = subprocess.Popen(["bash", "--noprofile", "--norc"], cwd=folder, env=environment,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.servers = []
        self.log = folder / "servers.log"

    def run(self, script: str) -> tuple:
        """(exit status, output). Commands stop at the first that fails, as `set -e` has it; the shell lives on."""
        # `set -e` would end the shell and a subshell would forget what the block set, so a trap leaves a loop of one turn.
        block = (f"set -o pipefail\n__status=0\nwhile :; do\ntrap '__status=$?; break' ERR\n{script}\nbreak\ndone\n"
                 f"trap - ERR\necho; echo '{self.END}' $__status\n")
        self.bash.stdin.write(block.encode())
        self.bash.stdin.flush()
        printed = b""
        while True:
            ready, _, _ = select.select([self.bash.stdout], [], [], BLOCK_SECONDS_MAX)
            some = os.read(self.bash.stdout.fileno(), 65536) if ready else b""
            printed += some
            end = re.search(rf"\n{self.END} (\d+)\n$".encode(), printed)
            if end:
                return int(end[1]), printed[:end.start()].decode(errors="replace")
            if not some:
                return -1, printed.decode(errors="replace") + "\n(no more came)"

    def where(self) -> Path:
        return Path(os.readlink(f"/proc/{self.bash.pid}/cwd"))

    def serve(self, script: str) -> str:
        """Starts a block that goes on; what it printed until it was ready."""
        with self.log.open("a") as log:
            server = subprocess.Popen(["bash", "-ec", "exec " + script.strip()], cwd=self.where(),
                                      env=self.environment, text=True, stdout=subprocess.PIPE, stderr=log)
        self.servers.append(server)
        ready, _, _ = select.select([server.stdout], [], [], START_SECONDS_MAX)
        return server.stdout.readline() if ready else ""

    def close(self) -> None:
        for server in self.servers:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            server.stdout.close()
        self.bash.stdin.close()
        self.bash.wait(15)
        self.bash.stdout.close()


class Guide(unittest.TestCase):
    maxDiff = None
    build = None

    def walk(self, page: Path) -> None:
        port = str(unused_port())
        text = page.read_text()
        with tempfile.TemporaryDirectory(prefix="larder-guide-") as folder:
            environment = dict(os.environ, PATH=f"{self.build}/bin:{os.environ['PATH']}", HOME=folder, LC_ALL="C.UTF-8")
            if page.name == "README.md":
                if not (ROOT / FLIGHTS).exists():
                    self.skipTest(f"{FLIGHTS} is not here; npm brings it")
                shutil.copytree(ROOT / "examples", Path(folder) / "examples")
                os.symlink(ROOT / "node_modules", Path(folder) / "node_modules")
            shell = Shell(Path(folder), environment)
            try:
                printed = ""
                for line, language, words, content in blocks(text):
                    content = content.replace("8080", port)
                    place = f"{page.relative_to(ROOT)}:{line}"
                    if words[0].startswith("file="):
                        path = shell.where() / words[0].removeprefix("file=")
                        path.parent.mkdir(parents=True, exist_ok=True)
                        path.write_text(content)
                    elif words[0].startswith("same="):
                        self.assertEqual(content, (ROOT / words[0].removeprefix("same=")).read_text(), place)
                    elif words[0] == "run":
                        status, printed = shell.run(content)
                        if (status != 0) != ("fails" in words):
                            self.fail(f"{place}: ended with status {status} and printed:\n{printed}")
                    elif words[0] == "serve":
                        printed = shell.serve(content)
                        self.assertIn("http://", printed, f"{place}: the server did not say where it listens; it said "
                                                          f"{shell.log.read_text()}")
                    elif words[0] == "output":
                        if not matches(content, printed):
                            self.fail(f"{place}: the page shows\n{content}\nbut this was printed:\n{printed}")
                    else:
                        self.fail(f"{place}: a block of {language} says '{words[0]}', which means nothing")
            finally:
                shell.close()


class Runner(unittest.TestCase):
    """The runner itself can fail."""

    def setUp(self):
        self.shell = Shell(Path(tempfile.gettempdir()), dict(os.environ))
        self.addCleanup(self.shell.close)

    def test_a_failing_command_ends_its_block(self):
        status, printed = self.shell.run("echo one\nfalse\necho two\n")
        self.assertEqual((status, printed.strip()), (1, "one"))

    def test_the_shell_remembers(self):
        self.shell.run("cd /\nword=larder")
        self.assertEqual(self.shell.run("pwd; echo $word")[1].split(), ["/", "larder"])
        self.assertEqual(self.shell.where(), Path("/"))

    def test_what_a_page_may_leave_open(self):
        self.assertTrue(matches("a ... c\n...\nz\n", "a b c\nx\ny\nz\n"))
        self.assertTrue(matches("a\n...\nz\n", "a\nz\n"))
        self.assertFalse(matches("a\nz\n", "a\nb\nz\n"))
        self.assertFalse(matches("a ... d\n", "a b c\n"))


def add_pages(pages: list) -> None:
    for page in pages:
        name = "test_" + re.sub(r"\W", "_", page.stem)
        setattr(Guide, name, lambda self, page=page: self.walk(page))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    Guide.build = Path(sys.argv[1]).resolve()
    chosen = [Path(name).resolve() for name in sys.argv[2:]]
    add_pages(chosen or [ROOT / "README.md", *sorted(page for page in GUIDE.glob("*.md") if blocks(page.read_text()))])
    unittest.main(argv=sys.argv[:1], verbosity=2)
