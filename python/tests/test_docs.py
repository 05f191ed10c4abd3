"""What the guide shows is what happens, and docstrings, too."""

import doctest
import re
from pathlib import Path

import larder
import pytest
from larder import diskcache

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide"


@pytest.mark.parametrize("page, count", [("python.md", 7), ("diskcache.md", 1)])
def test_the_guides_page(tmp_path, monkeypatch, page, count):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```pycon\n(.*?)^```$", (GUIDE / page).read_text(), re.M | re.S)
    assert len(blocks) >= count
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, page, str(GUIDE / page), 0)
    failed = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=failed.append)
    assert failed == [], "".join(failed)


def test_docstrings():
    assert doctest.testmod(larder).failed == doctest.testmod(diskcache).failed == 0
