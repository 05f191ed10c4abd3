#!/usr/bin/env python3
"""Refuses a link in a Markdown file that leads nowhere: to no file or folder of the tree, or to no heading of a page.

usage: links.py ROOT

Links to the web are not followed. Headings have the names that GitHub gives them.
"""
import re
import sys
from pathlib import Path
from urllib.parse import unquote

LEFT_OUT = {"build", "node_modules", "dist", ".git"}
FENCE = re.compile(r"^(```|~~~).*?^\1[ \t]*$", re.M | re.S)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|^\[[^\]]+\]:\s*(\S+)|(?:href|src)=\"([^\"]+)\"", re.M)
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.M)


def blanked(found: re.Match) -> str:
    """As many lines, with nothing in them, so that line numbers stay."""
    return "\n" * found[0].count("\n")


def anchors(text: str) -> set:
    seen, names = {}, set()
    for heading in HEADING.findall(FENCE.sub(blanked, text)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        names.add(f"{name}-{seen[name]}" if name in seen else name)
        seen[name] = seen.get(name, 0) + 1
    return names


def pages(root: Path) -> list:
    return sorted(page for page in root.rglob("*.md")
                  if not LEFT_OUT & set(page.relative_to(root).parts) and not page.is_symlink())


def broken(root: Path) -> list:
    complaints = []
    for page in pages(root):
        text = CODE.sub("", FENCE.sub(blanked, page.read_text()))
        for found in LINK.finditer(text):
            target = next(group for group in found.groups() if group)
            if re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            path, _, anchor = unquote(target).partition("#")
            place = f"{page.relative_to(root)}:{text.count(chr(10), 0, found.start()) + 1}"
            aim = (page.parent / path).resolve() if path else page
            if not aim.exists() or not aim.is_relative_to(root.resolve()):
                complaints.append(f"{place}: {target} is not there")
            elif anchor and aim.suffix == ".md" and anchor not in anchors(aim.read_text()):
                complaints.append(f"{place}: {target}: the page has no such heading")
    return complaints


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    complaints = broken(Path(sys.argv[1]).resolve())
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
