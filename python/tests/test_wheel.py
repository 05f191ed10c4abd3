"""The wheel holds all that is needed, and says so rightly."""

import base64
import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from larder import _larder

ROOT = Path(__file__).resolve().parents[2]


def test_the_wheel(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "python" / "packaging"))
    monkeypatch.setenv("LARDER_PYTHON_EXTENSION", _larder.__file__)
    import backend

    name = backend.build_wheel(str(tmp_path))
    assert name.startswith("larder-0.1.0-cp38-abi3-linux_")
    with zipfile.ZipFile(tmp_path / name) as wheel:
        record = dict(line.split(",")[:2] for line in wheel.read("larder-0.1.0.dist-info/RECORD").decode().split())
        assert set(record) == set(wheel.namelist())
        for path, digest in record.items():
            if digest:
                made = base64.urlsafe_b64encode(hashlib.sha256(wheel.read(path)).digest()).rstrip(b"=").decode()
                assert digest == "sha256=" + made, path
        wheel.extractall(tmp_path / "site")
    assert (tmp_path / "site" / "larder" / "py.typed").exists()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run([sys.executable, str(ROOT / "python" / "tests" / "smoke.py")], env=environment, cwd=tmp_path,
                          stdout=subprocess.PIPE, text=True, check=True)
    assert "fine" in done.stdout
