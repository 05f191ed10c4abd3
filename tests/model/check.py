#!/usr/bin/env python3
"""Checks a model with spin: as it is it must hold, and with each of its faults it must not.

usage: check.py MODEL.pml [FAULT...]
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path


def run(folder: str, *command: str) -> str:
    try:
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except FileNotFoundError:
        sys.exit(f"{command[0]} is missing; ./dev setup brings it")
    if done.returncode != 0 and command[0] != "./pan":
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}")
    return done.stdout


def explore(model: Path, fault: str) -> str:
    """What pan says of the model with this fault; empty: with none."""
    with tempfile.TemporaryDirectory() as folder:
        run(folder, "spin", *([f"-D{fault}"] if fault else []), "-a", str(model))
        run(folder, "gcc", "-O2", "-w", "-DSAFETY", "-DVECTORSZ=2048", "-o", "pan", "pan.c")
        return run(folder, "./pan", "-m1000000")


def main() -> int:
    model = Path(sys.argv[1]).resolve()
    failed = 0
    for fault in ["", *sys.argv[2:]]:
        said = explore(model, fault)
        errors = re.search(r"errors: (\d+)", said)
        whole = "Search not completed" not in said and "max search depth too small" not in said
        states = re.search(r"(\d+) states, stored", said)
        if errors is None or (not fault and (errors[1] != "0" or not whole)):
            print(f"{model.name}: does not hold\n{said}")
            failed += 1
        elif fault and errors[1] == "0":
            print(f"{model.name}: holds with {fault}, and should not\n{said}")
            failed += 1
        else:
            count = states[1] if states else "?"
            print(f"{model.name} {'with ' + fault + ': fails, as it should' if fault else f'holds, {count} states'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
