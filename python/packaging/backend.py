"""Builds the wheel (PEP 517, PEP 427): CMake makes the extension, the rest is a zip file. Needs no other package.

The extension is of the stable ABI, so one wheel serves every CPython from 3.8 on.
"""

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def _project(name):
    """One word of pyproject.toml; tomllib is in Python only since 3.11."""
    text = (ROOT / "pyproject.toml").read_text()
    return re.search(rf'^{name} = "(.*)"$', text, re.M).group(1)


VERSION = _project("version")
INFO = f"larder-{VERSION}.dist-info"


def _metadata():
    return (f"Metadata-Version: 2.1\nName: larder\nVersion: {VERSION}\nSummary: {_project('description')}\n"
            f"License: MIT\nRequires-Python: {_project('requires-python')}\nDescription-Content-Type: text/markdown\n\n"
            + (ROOT / "README.md").read_text())


def _tag():
    platform = re.sub(r"[-.]", "_", sysconfig.get_platform())
    return f"cp38-abi3-{platform}"


def _wheel():
    return f"Wheel-Version: 1.0\nGenerator: larder\nRoot-Is-Purelib: false\nTag: {_tag()}\n"


def _extension(work):
    # A test has it already.
    if "LARDER_PYTHON_EXTENSION" in os.environ:
        return Path(os.environ["LARDER_PYTHON_EXTENSION"])
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    include = sysconfig.get_path("include")
    for command in (["cmake", "-S", str(ROOT), "-B", str(work), *generator, "-DCMAKE_BUILD_TYPE=Release",
                     "-DLARDER_CACHE_ONLY=ON", "-DLARDER_PYTHON=ON"],
                    ["cmake", "--build", str(work), "--target", "larder_python", "--parallel", str(os.cpu_count() or 1)]):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env={"LARDER_PYTHON_INCLUDE": include, **os.environ})
        if done.returncode != 0:
            sys.exit(f"{done.stdout}\nlarder: this failed: {' '.join(command)}")
    return work / "python" / "larder" / "_larder.abi3.so"


def get_requires_for_build_wheel(config_settings=None):
    return []


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    folder = Path(metadata_directory) / INFO
    folder.mkdir()
    (folder / "METADATA").write_text(_metadata())
    (folder / "WHEEL").write_text(_wheel())
    return INFO


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    extension = _extension(ROOT / "build" / "wheel")
    files = {f"larder/{path.relative_to(ROOT / 'python' / 'larder')}": path.read_bytes()
             for path in sorted((ROOT / "python" / "larder").rglob("*"))
             if path.suffix in (".py", ".pyi") or path.name == "py.typed"}
    files["larder/_larder.abi3.so"] = extension.read_bytes()
    files[f"{INFO}/METADATA"] = _metadata().encode()
    files[f"{INFO}/WHEEL"] = _wheel().encode()
    files[f"{INFO}/licenses/LICENSE"] = (ROOT / "LICENSE").read_bytes()
    record = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b'=').decode()},{len(content)}\n"
        for name, content in files.items()) + f"{INFO}/RECORD,,\n"
    files[f"{INFO}/RECORD"] = record.encode()
    name = f"larder-{VERSION}-{_tag()}.whl"
    with zipfile.ZipFile(Path(wheel_directory) / name, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, content in files.items():
            # The same bytes from the same sources: no time of building in it.
            entry = zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0))
            entry.external_attr = (0o755 if path.endswith(".so") else 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(entry, content)
    return name
