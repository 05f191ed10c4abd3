"""A dashboard's five questions on 3,000,000 flights: warm against cold, and against DuckDB asked directly.

cold is asked after everything was evicted, warm is the same again, many times; both over HTTP on one connection, Arrow.
duckdb is asked in its own process without HTTP: duckdb reads the Parquet file each time, as a miss does; duckdb_loaded
has the rows in a table of its own in memory, the fastest it can be.
"""
import json
import statistics
import subprocess
import time
from pathlib import Path

import rows
import served

QUESTIONS = Path(__file__).resolve().parent / "questions"
DATABASES = {
    "duckdb": f"CREATE VIEW flights AS FROM '{served.FLIGHTS}'",
    "duckdb_loaded": f"CREATE TABLE flights AS FROM '{served.FLIGHTS}'",
}


def direct_ms(build: Path, database: str, sql: str, times: int) -> float:
    done = subprocess.run([build / "bench" / "duckdb_direct", database, sql, str(times)],
                          check=True, stdout=subprocess.PIPE, text=True)
    return statistics.median(json.loads(line)["ms"] for line in done.stdout.splitlines())


def asked_ms(client: served.Client, request: bytes, cache: str) -> float:
    start = time.perf_counter()
    answer = client.send(request)
    took = (time.perf_counter() - start) * 1000
    served.answered(answer, cache)
    return took


def rows_of(args, folder: Path):
    warm_times = 20 if args.smoke else 500
    direct_times = 1 if args.smoke else 3
    questions = {path.stem: path.read_text().strip() for path in sorted(QUESTIONS.glob("*.sql"))}
    with served.larder(args.build, folder / "query") as (_, port):
        # The first question of a server's life pays for threads and pages that no later one needs.
        with served.Client(port) as client:
            client.send(client.query("SELECT count(*) FROM flights", "arrow"))
        figures = {name: {"cold": [], "warm": [], **{rival: [] for rival in DATABASES}} for name in questions}
        for _ in range(args.repeats):
            for name, sql in questions.items():
                # A connection would be closed by the server while the rivals are asked.
                with served.Client(port) as client:
                    request = client.query(sql, "arrow")
                    client.send(client.request("DELETE", "/api/v1/entries"))
                    figures[name]["cold"].append(asked_ms(client, request, "fwd=miss"))
                    warm = [asked_ms(client, request, "hit") for _ in range(warm_times)]
                    figures[name]["warm"].append(statistics.median(warm))
                for rival, database in DATABASES.items():
                    figures[name][rival].append(direct_ms(args.build, database, sql, direct_times))
    for name, taken in figures.items():
        for rival in ("cold", *DATABASES):
            yield rows.row("query", name, "warm", "ms", taken["warm"], rival, taken[rival])
    for name, taken in figures.items():
        yield rows.row("query", name, "cold", "ms", taken["cold"], "duckdb", taken["duckdb"])
