#!/usr/bin/env python3
"""Writes a folder of web files as one C++ source that carries them into a binary.

usage: embed.py FOLDER OUT.cc

OUT.cc defines larder::server::built_in_assets() (src/server/assets.h): for each file its path, type, SHA-256, whether
its name holds a hash of its content, and its bytes as they are, gzipped and brotlied. The bytes lie beside OUT.cc in
OUT.blobs/ and are taken in by the assembler, so compiling takes no time, however large they are. Compressed copies
are left out where they save less than a tenth. Brotli needs the command `brotli`; without it there are no such copies.
The same folder gives the same bytes.
"""
import gzip
import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
    ".txt": "text/plain; charset=utf-8",
}
COMPRESSIBLE = {".html", ".js", ".mjs", ".css", ".json", ".map", ".webmanifest", ".svg", ".ico", ".wasm", ".txt"}
# index-DiwrgTda.js, as bundlers name what may be kept for ever
HASHED = re.compile(r"assets/.*-[A-Za-z0-9_-]{8}\.[a-z0-9]+(\.map)?$")


def brotli(data: bytes) -> bytes:
    """Compressed; empty without the command."""
    if not shutil.which("brotli"):
        return b""
    return subprocess.run(["brotli", "--quality=11", "--stdout", "-"], input=data, stdout=subprocess.PIPE, check=True).stdout


def worth(small: bytes, plain: bytes) -> bytes:
    return small if len(small) < 0.9 * len(plain) else b""


def cpp_string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if folder / "index.html" not in files:
        print(f"{folder}: has no index.html", file=sys.stderr)
        return 1

    blobs = out.with_suffix(".blobs")
    shutil.rmtree(blobs, ignore_errors=True)
    blobs.mkdir(parents=True)
    assembly, symbols, rows = [], [], []

    def blob(name: str, data: bytes) -> str:
        """The bytes as a string_view expression."""
        if not data:
            return "{}"
        path = blobs / name
        path.write_bytes(data)
        assembly.append(
            f'asm(R"(.section .rodata.larder_assets, "a"\n.balign 16\nlarder_asset_{name}:\n'
            f'.incbin "{path.resolve()}"\n.previous)");'
        )
        symbols.append(f'extern "C" __attribute__((visibility("hidden"))) const char larder_asset_{name}[];')
        return f"{{larder_asset_{name}, {len(data)}}}"

    for number, path in enumerate(files):
        name = path.relative_to(folder).as_posix()
        data = path.read_bytes()
        compressible = path.suffix in COMPRESSIBLE
        gzipped = worth(gzip.compress(data, 9, mtime=0), data) if compressible else b""
        brotlied = worth(brotli(data), data) if compressible else b""
        fields = [
            cpp_string("/" + name),
            cpp_string(TYPES.get(path.suffix, "application/octet-stream")),
            cpp_string(hashlib.sha256(data).hexdigest()[:32]),
            "true" if HASHED.match(name) else "false",
            blob(f"{number}_plain", data),
            blob(f"{number}_gzip", gzipped),
            blob(f"{number}_brotli", brotlied),
        ]
        rows.append("    {" + ", ".join(fields) + "},")

    lines = [
        f"// Made by tools/embed.py from {folder.name}; do not edit.",
        '#include "server/assets.h"',
        "",
        *assembly,
        *symbols,
        "",
        "namespace larder::server {",
        "namespace {",
        "constexpr Asset kAssets[] = {",
        *rows,
        "};",
        "}  // namespace",
        "std::span<const Asset> built_in_assets() { return kAssets; }",
        "}  // namespace larder::server",
        "",
    ]
    out.write_text("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
