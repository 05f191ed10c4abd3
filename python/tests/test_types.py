"""What mypy says of the package, and of a program that uses it."""

import os
import subprocess
import sys

import larder
import pytest

pytest.importorskip("mypy")
pytestmark = pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="mypy runs nothing of the extension")

PROGRAM = '''
import larder

cache = larder.Cache("cache")


@cache.memoize(expire=60)
def area(width: int, height: int = 1) -> float:
    return float(width * height)


reveal_type(area(1, height=2))
reveal_type(area.forget(1))
reveal_type(cache.transact(lambda t: 5))
area("wide")
cache.set("a", 1, expires=5)
'''


def mypy(folder, *words):
    environment = {**os.environ, "MYPYPATH": os.path.dirname(os.path.dirname(os.path.abspath(larder.__file__)))}
    return subprocess.run([sys.executable, "-m", "mypy", "--cache-dir", str(folder / "kept"), *words], cwd=folder,
                          stdout=subprocess.PIPE, text=True, env=environment).stdout


def test_the_package(tmp_path):
    said = mypy(tmp_path, "--ignore-missing-imports", os.path.dirname(larder.__file__))
    assert "Success" in said, said


def test_a_program(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    said = mypy(tmp_path, "--ignore-missing-imports", "program.py")
    assert 'Revealed type is "builtins.float"' in said and 'Revealed type is "builtins.bool"' in said, said
    assert 'Revealed type is "builtins.int"' in said, said
    assert '"str"; expected "int"' in said and 'Unexpected keyword argument "expires"' in said, said
    assert "Found 2 errors" in said, said
