#!/usr/bin/env python3
"""Benchmarks of Larder beside its rivals, in one run on the same work.

usage: bench/run.py [engine|eviction|query|http|python]... [--workload NAME]... [--json] [--smoke] [--keys N] [--repeats N] [--dir DIR]

  engine   the cache engine: absl's hash map, LMDB, SQLite, Redis, RocksDB
  eviction misses of a full cache: item-level S3-FIFO, LRU, FIFO, LFU, simulated
  query    a dashboard's questions over HTTP, cold and warm; DuckDB asked directly
  http     small cached answers over HTTP by wrk; nginx with a file of the same size
  python   calls from Python; DiskCache, functools.lru_cache, a dict

Prints tables, or with --json one object a line with bench, workload, system, metric, unit, value, rival, rival_value,
ratio (ours / the rival's, of medians) and spread (half the range of the single rounds' ratios, as a part of the ratio).
--smoke does little of everything, to see that it works; its figures mean nothing. --instructions counts the engine's
instructions an operation under valgrind instead, for machines too busy to measure time.
"""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import http_bench  # noqa: E402
import python_bench  # noqa: E402
import query_bench  # noqa: E402
import rows  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
WORKLOADS = ROOT / "bench" / "workloads"
KEYS_FULL = 1_000_000  # of the large workloads; --keys shrinks all in proportion


def engine(args, folder: Path):
    """Rows of the engine's benchmark, as its program prints them."""
    program = args.build / "bench" / "engine"
    if not program.exists():
        sys.exit(f"bench: {program} is missing; run ./dev build release")
    command = [program, "--workloads", WORKLOADS, "--dir", folder, "--repeats", str(args.repeats)]
    if args.keys:
        command += ["--scale", str(args.keys / KEYS_FULL)]
    if args.smoke:
        command += ["--seconds", "0.1", "--warm-seconds", "0.05"]
    opening = ("open", "rebuild")
    names = [name for name in args.workload if name not in opening]
    if names or not args.workload:
        yield from printed(program, [*command, *names])
    if len(names) < len(args.workload) or not args.workload:
        program = args.build / "bench" / "opening"
        scale = str(args.keys / KEYS_FULL if args.keys else 1)
        yield from printed(program, [program, "--dir", folder, "--scale", scale, "--repeats", str(args.repeats)])


def eviction(args, folder: Path):
    """Rows of misses beside simulated policies. The traces are always the same, so one round says it all."""
    program = args.build / "bench" / "eviction"
    if not program.exists():
        sys.exit(f"bench: {program} is missing; run ./dev build release")
    scale = ["--scale", "0.05"] if args.smoke else []
    policies = [] if args.smoke else ["--policies"]
    yield from printed(program, [program, "--dir", folder, *scale, *policies, *args.workload])


def printed(program: Path, command: list):
    """The rows that a program prints, a line each, as they come."""
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout:
            yield json.loads(line)
    finally:
        process.terminate()
        status = process.wait()
    if status != 0:
        sys.exit(f"bench: {program.name} ended with status {status}")


def instructions(args, folder: Path):
    """Rows of instructions an operation: valgrind counts only while the clock of a time run would tick."""
    program = args.build / "bench" / "engine"
    names = args.workload or ["get_hit", "get_zipf", "get_miss", "insert", "overwrite"]
    listed = subprocess.run([program, "--workloads", WORKLOADS, "--dir", folder, "--list-systems"],
                            check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    # Redis works in another program, and the slow ones would take an hour to say what their times say already.
    systems = [name for name in listed if name in ("larder", "absl", "lmdb")]
    scale = (args.keys or 20_000) / KEYS_FULL
    for name in names:
        counts = {}
        for system in systems:
            for old in folder.glob("callgrind.*"):
                old.unlink()
            done = subprocess.run(
                ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder}/callgrind.%p",
                 program, "--workloads", WORKLOADS, "--dir", folder, "--scale", str(scale), "--repeats", "1",
                 "--no-latency", "--seconds", "3600", "--warm-seconds", "0", "--systems", system, name],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            if done.returncode != 0:
                sys.exit(f"bench: under valgrind {system} failed in {name}:\n{done.stderr[-2000:]}")
            ops = next(row["ops"] for row in map(json.loads, done.stdout.splitlines()) if row["metric"] == "time")
            total = 0
            for path in folder.glob("callgrind.*"):
                with path.open() as file:
                    total += sum(int(line.split()[1]) for line in file if line.startswith("totals:"))
            counts[system] = total / ops
        ours = counts.pop("larder", None)
        for rival, count in counts.items():
            yield rows.row("engine", name, "instructions", "an operation", [ours] if ours else [], rival, [count])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", nargs="*", help="engine, eviction, query, http or python; default: all")
    parser.add_argument("--workload", action="append", default=[], help="only this one of the engine's workloads, or traces")
    parser.add_argument("--json", action="store_true", help="one object a line")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--keys", type=int, help=f"of the workloads that have {KEYS_FULL}; the others shrink alike")
    parser.add_argument("--repeats", type=int, help="rounds; default 5, 1 with --smoke")
    parser.add_argument("--dir", type=Path, default=ROOT / "build" / "bench-data", help="where stores are made")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release", help="folder of the built programs")
    parser.add_argument("--instructions", action="store_true", help="count the engine's instructions instead")
    args = parser.parse_args()
    benches = {"engine": engine, "eviction": eviction, "query": query_bench.rows_of, "http": http_bench.rows_of,
               "python": python_bench.rows_of}
    for name in args.bench:
        if name not in benches:
            sys.exit(f"bench: there is no benchmark '{name}'; known are: {', '.join(benches)}")
    args.repeats = args.repeats or (1 if args.smoke else 5)
    if args.smoke and not args.keys:
        args.keys = 20_000
    if args.instructions:
        benches = {"engine": instructions}

    # A signal ends this program as an exception would, so that servers are stopped and files removed.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    args.dir.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=args.dir))
    seen = []
    try:
        for name in args.bench or benches:
            for row in benches[name](args, folder):
                row.pop("ops", None)
                seen.append(row)
                if args.json:
                    print(json.dumps(row), flush=True)
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if not any(args.dir.iterdir()):
            args.dir.rmdir()
    if not args.json:
        load = os.getloadavg()[0]
        print(f"medians of {args.repeats}; in brackets ours / the rival's, less is better; load {load:.1f}")
        print(rows.tables(seen))
    return 0 if seen else 1


if __name__ == "__main__":
    sys.exit(main())
