#!/usr/bin/env python3
"""Counts what ran: CTest's JUnit files and TAP files of a folder; prints "N passed, N failed, N skipped".

usage: count_tests.py FOLDER

Exits 1 when something failed or nothing ran: a run without tests is no proof.
"""
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def junit(path: Path) -> tuple:
    passed = failed = skipped = 0
    for case in ElementTree.parse(path).iter("testcase"):
        status = case.get("status")
        if case.find("failure") is not None or status == "fail":
            failed += 1
        elif case.find("skipped") is not None or status in ("notrun", "disabled"):
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def tap(path: Path) -> tuple:
    """Leaf results only: node's reporter indents subtests below a line that sums them up."""
    passed = failed = skipped = 0
    lines = path.read_text().splitlines()
    for i, line in enumerate(lines):
        match = re.match(r"( *)(not )?ok \d+", line)
        if not match:
            continue
        parent = any(
            re.match(r" {%d,}(not )?ok " % (len(match[1]) + 1), earlier)
            for earlier in lines[start_of_block(lines, i, len(match[1])) : i]
        )
        if parent:
            continue
        if "# SKIP" in line or "# TODO" in line:
            skipped += 1
        elif match[2]:
            failed += 1
        else:
            passed += 1
    return passed, failed, skipped


def start_of_block(lines: list, end: int, indent: int) -> int:
    """The line after the previous result of the same depth, or of a lesser one."""
    for i in range(end - 1, -1, -1):
        match = re.match(r"( *)(not )?ok \d+", lines[i])
        if match and len(match[1]) <= indent:
            return i + 1
    return 0


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(sys.argv[1])
    counts = [junit(p) for p in sorted(folder.glob("*.xml"))] + [tap(p) for p in sorted(folder.glob("*.tap"))]
    passed, failed, skipped = (sum(column) for column in zip(*counts)) if counts else (0, 0, 0)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
