"""What the guide shows is what happens, and docstrings, too."""

import doctest
import re
from pathlib import Path

import larder

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "python.md"


def test_the_guides_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```pycon\n(.*?)^```$", GUIDE.read_text(), re.M | re.S)
    assert len(blocks) >= 7
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "python.md", str(GUIDE), 0)
    failed = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=failed.append)
    assert failed == [], "".join(failed)


def test_docstrings():
    assert doctest.testmod(larder).failed == 0
