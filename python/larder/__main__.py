"""python -m larder import-diskcache FROM TO"""

import argparse
import sys
import time

from .errors import LarderError
from .importer import import_diskcache


class _Bar:
    """One line at the foot of a terminal: how far it is, and how long it will take."""

    def __init__(self, what):
        self._what, self._began, self._shown = what, time.monotonic(), 0.0
        self._on = sys.stderr.isatty()

    def __call__(self, done, whole):
        now = time.monotonic()
        if not self._on or (now - self._shown < 0.1 and done < whole):
            return
        self._shown = now
        share = done / whole if whole else 1.0
        left = (now - self._began) * (1 - share) / share if share else 0
        filled = int(share * 30)
        sys.stderr.write(f"\r\x1b[K{self._what} [{'#' * filled}{'.' * (30 - filled)}] {done:,} of {whole:,}"
                         + (f", {left:.0f} s left" if done < whole else "\n"))
        sys.stderr.flush()


def main(words=None):
    parser = argparse.ArgumentParser(prog="python -m larder")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("import-diskcache", help="copy a DiskCache directory into a Larder cache")
    command.add_argument("source", metavar="FROM", help="directory of a Cache or a FanoutCache; it stays as it is")
    command.add_argument("target", metavar="TO", help="directory for larder.diskcache.Cache, made when missing")
    command.add_argument("--trusted", action="store_true",
                         help="unpickle what is pickled, which runs code; without, such items are left out and counted")
    given = parser.parse_args(words)
    try:
        report = import_diskcache(given.source, given.target, trusted=given.trusted, progress=_Bar(given.source))
    except (LarderError, OSError, ValueError) as error:
        sys.exit(f"larder: {error}")
    print(f"{report.items} items, {report.expired} had expired, {report.pickled} pickled ones left out, "
          f"{report.missing} without their file")
    if report.pickled:
        print("Pickles may run any code. If you trust who wrote the directory, run it again with --trusted.")


if __name__ == "__main__":
    main()
