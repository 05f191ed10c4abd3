"""The built program, driven as a user and as a script would: at a terminal (a pty) and in a pipe."""
import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import unittest
from pathlib import Path

SECONDS_MAX = 60


class Ended:
    """How a run of the program ended."""

    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr.decode()

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def lines(self) -> list:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def json(self) -> dict:
        (line,) = self.lines
        return line


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="larder-cli-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("LARDER_")}
        self.environment.update(TERM="xterm", LC_ALL="C.UTF-8")
        self.environment.pop("NO_COLOR", None)

    def larder(self, *words, stdin: bytes = b"", **environment) -> Ended:
        return Ended(subprocess.run([PROGRAM, *words], cwd=self.folder, env={**self.environment, **environment},
                                    input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=SECONDS_MAX))

    def good(self, *words, **how) -> Ended:
        ended = self.larder(*words, **how)
        self.assertEqual((ended.code, ended.err), (0, ""), words)
        return ended

    def refused(self, code: int, sentence: str, *words, **how) -> None:
        ended = self.larder(*words, **how)
        self.assertEqual((ended.code, ended.err, ended.out), (code, f"larder: {sentence}\n", b""), words)

    def at_terminal(self, *words, columns: int = 100, **environment) -> tuple:
        """(exit code, what a terminal of that width got)"""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        run = subprocess.Popen([PROGRAM, *words], cwd=self.folder, env={**self.environment, **environment},
                               stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        seen = b""
        try:
            while select.select([ours], [], [], SECONDS_MAX)[0]:
                seen += os.read(ours, 65536)
        except OSError:  # the other side is closed
            pass
        os.close(ours)
        return run.wait(SECONDS_MAX), seen.decode().replace("\r\n", "\n")

    @property
    def program(self) -> str:
        return PROGRAM


PROGRAM = ""


def main(usage: str) -> None:
    """Runs the tests of the calling file; its first argument is the program."""
    global PROGRAM
    if len(sys.argv) < 2:
        sys.exit(usage)
    PROGRAM = str(Path(sys.argv.pop(1)).resolve())
    unittest.main(module="__main__", verbosity=2)
