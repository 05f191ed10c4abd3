"""Calls from Python beside DiskCache, functools.lru_cache and a dict: the same words, the same keys, each in a process
of its own, one after another in each round. Processor time, since what a disk is waited for says little of a cache; so
DiskCache's waiting for its disk is not counted against it."""
import json
import os
import subprocess
from pathlib import Path

import rows

CALLS = Path(__file__).resolve().parent / "python_calls.py"
CACHES = ("larder", "diskcache", "dict", "lru_cache")
PYTHON = "/usr/bin/python3"  # Debian's, which has Debian's DiskCache
SIZES = (100, 10 * 1024)


def rows_of(args, folder: Path):
    operations = 200 if args.smoke else 5000
    environment = {**os.environ, "PYTHONPATH": str(args.build / "python")}
    for size in SIZES:
        figures = {name: [] for name in CACHES}
        for number in range(args.repeats):
            for name in CACHES:
                done = subprocess.run(
                    [PYTHON, CALLS, name, folder / f"{name}-{size}-{number}", str(size), str(operations)],
                    check=True, stdout=subprocess.PIPE, text=True, env=environment)
                figures[name].append(json.loads(done.stdout))
        for workload in figures["larder"][0]:
            ours = [figure[workload] for figure in figures["larder"]]
            for rival in CACHES[1:]:
                theirs = [figure[workload] for figure in figures[rival] if workload in figure]
                if theirs:
                    yield rows.row("python", f"{workload}_{size}", "cpu", "us", ours, rival, theirs)
