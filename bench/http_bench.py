"""A small cached answer over HTTP, as Arrow and as JSON, by wrk; nginx serving a file of the same size beside it.

nginx is a yardstick of what the machine and the protocol allow: it only copies a file, where Larder parses a body,
finds the plan, looks at the data's files, makes the key and pins the entry. Client and server share one core.
"""
import re
import socket
import subprocess
import sys
from pathlib import Path

import rows
import served

CONNECTIONS = 8
SQL = "SELECT origin, count(*) AS flights, avg(delay) AS delay_avg FROM flights GROUP BY ALL ORDER BY flights DESC LIMIT 20"
# Larder answers each request; nginx closes a connection after 1,000 unless told otherwise.
NGINX = """daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; open_file_cache max=100;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen 127.0.0.1:{port}; root {folder}/files; }}
}}
"""
WRK = """wrk.method = "{method}"
wrk.body = [==[{body}]==]
wrk.headers["Content-Type"] = "application/json"
"""


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def milliseconds(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if not found:
        sys.exit(f"bench: wrk's '{text}' is no duration")
    return float(found[1]) * {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}[found[2]]


def load(pid: int, port: int, path: str, script: Path, seconds: int) -> dict:
    """What one round of wrk measured, in microseconds a request."""
    before = served.cpu_ns(pid)
    done = subprocess.run([*served.loopback_core(), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency",
                           "-s", str(script), f"http://127.0.0.1:{port}{path}"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    spent = served.cpu_ns(pid) - before
    total = re.search(r"(\d+) requests in ([\d.]+)s", done.stdout)
    if done.returncode != 0 or not total or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        sys.exit(f"bench: wrk was not answered well:\n{done.stdout}")
    requests = int(total[1])
    return {
        "time": float(total[2]) * 1e6 / requests,
        "cpu": spent / 1000 / requests,
        "p99": milliseconds(re.search(r"99%\s+(\S+)", done.stdout)[1]) * 1000,
    }


def rows_of(args, folder: Path):
    seconds = 1 if args.smoke else 5
    core = served.loopback_core()
    nginx = folder / "nginx"
    (nginx / "files").mkdir(parents=True)
    nginx_port = unused_port()
    (nginx / "nginx.conf").write_text(NGINX.format(folder=nginx, port=nginx_port))
    log = nginx / "error.log"
    log.touch()
    with served.larder(args.build, folder / "http", core) as (larder_pid, larder_port), \
            served.running([*core, "nginx", "-e", log, "-c", nginx / "nginx.conf"], nginx / "out.log") as process:
        served.wait_for_port(nginx_port, log)
        plain = nginx / "get.lua"
        plain.write_text(WRK.format(method="GET", body=""))
        asks = {}
        for form in ("arrow", "json"):
            with served.Client(larder_port) as client:
                request = client.query(SQL, form)
                client.send(request)
                body = served.answered(client.send(request), "hit")
            (nginx / "files" / form).write_bytes(body)
            asks[form] = nginx / f"{form}.lua"
            asks[form].write_text(WRK.format(method="POST", body=request.partition(b"\r\n\r\n")[2].decode()))
        figures = {form: {"larder": [], "nginx": []} for form in asks}
        for _ in range(args.repeats):
            for form, script in asks.items():
                figures[form]["larder"].append(load(larder_pid, larder_port, "/api/v1/query", script, seconds))
                figures[form]["nginx"].append(load(process.pid, nginx_port, f"/{form}", plain, seconds))
    for metric in ("time", "cpu", "p99"):
        for form, taken in figures.items():
            ours, theirs = ([one[metric] for one in taken[system]] for system in ("larder", "nginx"))
            yield rows.row("http", f"hit_{form}", metric, "us a request", ours, "nginx", theirs)
