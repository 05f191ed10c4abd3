#!/usr/bin/env python3
"""Refuses an #include that the modules' lines in src/CMakeLists.txt do not allow.

usage: layers.py ROOT

A file in src/M may include <larder/...>, "base/...", "M/..." and the modules that M's own line names. Files of
include/larder may include only <larder/...>. CMake's links are transitive; this check is not, on purpose: what a
module uses, its own line says.
"""
import re
import sys
from pathlib import Path

INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', re.M)


def modules(cmake: str) -> dict:
    """The lines `larder_module(NAME USES... [LIBS ...])` as {NAME: {USES}}."""
    found = {}
    for words in re.findall(r"^larder_module\(([^)]*)\)", cmake, re.M):
        name, *rest = words.split()
        uses = rest[: rest.index("LIBS")] if "LIBS" in rest else rest
        found[name] = set(uses) | {name, "base"}
    return found


def strays(root: Path) -> list:
    allowed = modules((root / "src/CMakeLists.txt").read_text())
    complaints = []
    for folder in sorted(p for p in (root / "src").iterdir() if p.is_dir()):
        if folder.name not in allowed:
            complaints.append(f"src/{folder.name}: no line larder_module({folder.name} ...) in src/CMakeLists.txt")
            continue
        for path in sorted(folder.rglob("*.[ch]*")):
            for target in INCLUDE.findall(path.read_text()):
                module = target.split("/")[0]
                if "/" in target and module in allowed and module not in allowed[folder.name]:
                    complaints.append(
                        f"{path.relative_to(root)}: includes {target}, but the line of '{folder.name}' in "
                        f"src/CMakeLists.txt does not name '{module}'"
                    )
    for path in sorted((root / "include").rglob("*.h")):
        for target in INCLUDE.findall(path.read_text()):
            if target.split("/")[0] in allowed and "/" in target:
                complaints.append(f"{path.relative_to(root)}: a public header includes {target}")
    return complaints


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    complaints = strays(Path(sys.argv[1]))
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
