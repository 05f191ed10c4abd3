"""Servers that a benchmark starts and stops by their process id, and a client that costs little."""
import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLIGHTS = ROOT / "node_modules" / "vega-datasets" / "data" / "flights-3m.parquet"
START_SECONDS_MAX = 30


@contextlib.contextmanager
def running(command: list, log: Path, stdout=None):
    """A child process that is told to end, and made to after ten seconds."""
    with log.open("w") as errors:
        process = subprocess.Popen(list(map(str, command)), stdout=stdout or errors, stderr=errors, text=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def larder(build: Path, folder: Path, pin: list = ()):
    """`larder serve` on the flights data: (process id, port)."""
    program = build / "bin" / "larder"
    if not program.exists():
        sys.exit(f"bench: {program} is missing; run ./dev build release")
    if not FLIGHTS.exists():
        sys.exit(f"bench: {FLIGHTS} is missing; run ./dev setup")
    folder.mkdir(parents=True)
    config = folder / "larder.yaml"
    config.write_text(f"store: {{path: store, size: 256MiB}}\n"
                      f"server: {{listen: \"127.0.0.1:0\"}}\n"
                      f"sources: {{flights: {{kind: files, path: \"{FLIGHTS.resolve()}\"}}}}\n")
    log = folder / "larder.log"
    with running([*pin, program, "serve", "--config", config], log, stdout=subprocess.PIPE) as process:
        ready, _, _ = select.select([process.stdout], [], [], START_SECONDS_MAX)
        line = process.stdout.readline() if ready else ""
        found = re.search(r"larder: http://127\.0\.0\.1:(\d+)/", line)
        if not found:
            sys.exit(f"bench: larder serve did not say where it listens; it said {line!r}\n{log.read_text()[-2000:]}")
        yield process.pid, int(found[1])


def wait_for_port(port: int, log: Path) -> None:
    end = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    sys.exit(f"bench: nothing listens on port {port}\n{log.read_text()[-2000:]}")


def cpu_ns(pid: int) -> int:
    """What the scheduler gave to all threads of a process."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir())


def loopback_core() -> list:
    """The command that keeps client and server on one core: between two, waking one another is what would be measured."""
    return ["taskset", "-c", str(max(os.sched_getaffinity(0)))]


class Client:
    """One kept connection that speaks just enough HTTP/1.1 to ask and to read an answer of a known length."""

    def __init__(self, port: int):
        self.host = f"127.0.0.1:{port}"
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def request(self, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> bytes:
        return (f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\nContent-Type: {kind}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n").encode() + body

    def send(self, request: bytes) -> tuple:
        """(status line and headers, body)."""
        self.socket.sendall(request)
        got = b""
        while b"\r\n\r\n" not in got:
            got += self._more()
        head, _, body = got.partition(b"\r\n\r\n")
        length = int(re.search(rb"\r\ncontent-length: *(\d+)", head, re.I)[1])
        parts, have = [body], len(body)
        while have < length:
            parts.append(self._more())
            have += len(parts[-1])
        return head.decode(), b"".join(parts)

    def _more(self) -> bytes:
        some = self.socket.recv(1 << 20)
        if not some:
            sys.exit("bench: the server closed the connection")
        return some

    def query(self, sql: str, form: str) -> bytes:
        return self.request("POST", "/api/v1/query", json.dumps({"sql": sql, "format": form}).encode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def answered(answer: tuple, cache: str) -> bytes:
    """The body of an answer that must be a 200 and a hit, or a miss, as `cache` says."""
    head, body = answer
    if not head.startswith("HTTP/1.1 200") or not re.search(rf"\r\ncache-status: larder; *{cache}", head, re.I):
        sys.exit(f"bench: a 200 with cache status '{cache}' was due, this came:\n{head}\n{body[:500]!r}")
    return body
