#!/usr/bin/env python3
"""Side by side, in one run: Starling, the plain proxies (the floor) and a peer LLM gateway. Linux only.

    ./peers.py                                   closed loop, plain answers: CPU per request
    ./peers.py --mode stream                     closed loop, streams: CPU per SSE event
    ./peers.py --mode held                       1,000 slow streams at once: lateness, memory
    ./peers.py --only starling,nginx             some of them

The worker and the load share processor 1; the gateway under test has processor 0 to itself, one gateway at a time.
Machines are noisy, so rounds go A B C A B C ..., and what counts is the ratio inside a round; the median is printed.
  cpu_us_per_request   user+sys time of the gateway's processes per completed request, the figure least hurt by noise
  cpu_us_per_event     the same per SSE event, for --mode stream
  rps, p50, p99        closed loop, 64 connections
Starling runs as an operator would run it: authentication, routing, metrics and access log on (`bench_replica.py`).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from bench_replica import UPSTREAM, WORK, BenchReplica

HERE = Path(__file__).resolve().parent
EVENTS_PER_STREAM = 64
BODY = ('{"model":"llama-7b",%s"messages":[{"role":"system","content":"You are a helpful assistant."},'
        '{"role":"user","content":"Hello, tell me about hashing rings please."}],"max_tokens":100}')
ANSWER = ('{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"llama-7b","choices":[{"index":0,"message":'
          '{"role":"assistant","content":"' + "hello " * 40 + '"},"finish_reason":"stop"}],'
          '"usage":{"prompt_tokens":10,"completion_tokens":40,"total_tokens":50}}')


def build() -> None:
    """The Go programs and the peer, once. What apt brings, `cluster/system-packages bench` has brought."""
    WORK.mkdir(parents=True, exist_ok=True)
    for name in ("fakeworker", "streamload"):
        source, target = HERE / f"{name}.go", WORK / name
        if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            subprocess.run(["go", "build", "-o", target, source], check=True)
    if not (WORK / "venv/bin/smg").exists():
        subprocess.run([sys.executable, "-m", "venv", WORK / "venv"], check=True)
        subprocess.run([WORK / "venv/bin/pip", "install", "-q", "--disable-pip-version-check", "smg==1.13.0"], check=True)


def write_configs() -> None:
    WORK.mkdir(parents=True, exist_ok=True)
    head = "worker_processes 1; daemon off; error_log {w}/{n}.err; pid {w}/{n}.pid; events {{ worker_connections 8192; }}\n"
    http = ("http {{ access_log off; keepalive_requests 100000000; client_body_buffer_size 64k; client_body_temp_path {w}/body;"
            " proxy_temp_path {w}/proxy; fastcgi_temp_path {w}/f; uwsgi_temp_path {w}/u; scgi_temp_path {w}/s; ").format(w=WORK)
    models = '{"object":"list","data":[{"id":"llama-7b","object":"model","created":1,"owned_by":"local"}]}'
    (WORK / "up.conf").write_text(
        head.format(w=WORK, n="up") + http + f"default_type application/json; server {{ listen 127.0.0.1:{UPSTREAM} backlog=4096;"
        " location /health { return 200 '{\"status\":\"ok\"}'; } location /v1/models { return 200 '" + models + "'; }"
        " location /v1/chat/completions { return 200 '" + ANSWER + "'; } } }\n")
    (WORK / "nginx.conf").write_text(
        head.format(w=WORK, n="nginx") + http + f"upstream w {{ server 127.0.0.1:{UPSTREAM}; keepalive 256; keepalive_requests 100000000; }}"
        " server { listen 127.0.0.1:8100 backlog=4096; location / { proxy_pass http://w; proxy_http_version 1.1;"
        " proxy_set_header Connection ''; proxy_buffering off; proxy_read_timeout 600s; } } }\n")
    (WORK / "haproxy.cfg").write_text(
        "global\n  nbthread 1\n  maxconn 8192\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 600s\n  timeout server 600s\n"
        f"  http-reuse always\nfrontend f\n  bind 127.0.0.1:8103\n  default_backend b\nbackend b\n  server s 127.0.0.1:{UPSTREAM}\n")
    for mode, extra in (("request", ""), ("stream", '"stream":true,')):
        (WORK / f"{mode}.lua").write_text(
            'wrk.method="POST"\nwrk.headers["Content-Type"]="application/json"\n'
            'if os.getenv("BENCH_KEY") then wrk.headers["Authorization"]="Bearer "..os.getenv("BENCH_KEY") end\n'
            "wrk.body='" + BODY % extra + "'\n")


def contestants(only: str | None, replica: BenchReplica) -> dict[str, tuple[str, str, str]]:
    """Name → (command, URL, key)."""
    smg = (f"{WORK}/venv/bin/smg launch --host 127.0.0.1 --port 8104 --worker-urls http://127.0.0.1:{UPSTREAM}"
           " --policy round_robin --log-level error --prometheus-port 29001")
    table = {
        "starling": (replica.command, replica.url, replica.key),
        "nginx": (f"nginx -c {WORK}/nginx.conf", "http://127.0.0.1:8100", ""),
        "haproxy": (f"haproxy -f {WORK}/haproxy.cfg", "http://127.0.0.1:8103", ""),
        "smg": (smg, "http://127.0.0.1:8104", ""),
    }
    return {name: table[name] for name in (only.split(",") if only else table)}


def pinned(cpu: int, command: str) -> subprocess.Popen:
    return subprocess.Popen(["taskset", "-c", str(cpu), *shlex.split(command)], stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, start_new_session=True)


def family(pid: int) -> list[int]:
    todo, found = [pid], []
    while todo:
        process = todo.pop()
        found.append(process)
        children = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True).stdout.split()
        todo += [int(child) for child in children]
    return found


def cpu_seconds(pid: int) -> float:
    total = 0
    for process in family(pid):
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return total / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    total = 0
    for process in family(pid):
        try:
            for line in Path(f"/proc/{process}/status").read_text().splitlines():
                if line.startswith("VmRSS"):
                    total += int(line.split()[1])
        except OSError:
            pass
    return round(total / 1024, 1)


def stop(process: subprocess.Popen) -> None:
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    except ProcessLookupError:
        pass


def wait_ready(name: str, url: str, key: str, process: subprocess.Popen, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    fields = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"{name} ended with exit code {process.returncode}: {shlex.join(process.args)}")
        try:
            request = urllib.request.Request(url + "/v1/chat/completions", (BODY % "").encode(), fields)
            if urllib.request.urlopen(request, timeout=3).status == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    sys.exit(f"{name} did not answer 200 at {url} within {seconds:g} s")


def drive(url: str, mode: str, connections: int, seconds: int, key: str) -> dict:
    """One run of wrk on processor 1."""
    out = subprocess.run(
        ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "10s",
         "-s", f"{WORK}/{mode}.lua", url + "/v1/chat/completions"],
        capture_output=True, text=True, env=dict(os.environ, **({"BENCH_KEY": key} if key else {}))).stdout
    found = lambda pattern: re.search(pattern, out)
    bad, sockets = found(r"Non-2xx or 3xx responses: (\d+)"), found(r"Socket errors: (.*)")
    return {"n": int(found(r"(\d+) requests in").group(1)), "rps": float(found(r"Requests/sec:\s+([\d.]+)").group(1)),
            "p50": found(r"\s50%\s+(\S+)").group(1), "p99": found(r"\s99%\s+(\S+)").group(1),
            "bad": int(bad.group(1)) if bad else 0, "sockets": sockets.group(1) if sockets else ""}


def worker_command(mode: str) -> str:
    """What stands behind the gateway: nginx for plain answers, a Go program for streams."""
    if mode == "request":
        return f"nginx -c {WORK}/up.conf"
    if mode == "stream":
        return f"{WORK}/fakeworker -port {UPSTREAM} -events {EVENTS_PER_STREAM} -gap 1ms"
    return f"{WORK}/fakeworker -port {UPSTREAM} -events 100 -gap 50ms -first 50ms"


def closed_loop(arguments: argparse.Namespace, replica: BenchReplica) -> dict:
    up = pinned(1, worker_command(arguments.mode))
    rows: dict[str, list[dict]] = {}
    try:
        for _ in range(arguments.rounds):
            for name, (command, url, key) in contestants(arguments.only, replica).items():
                process = pinned(0, command)
                try:
                    wait_ready(name, url, key, process)
                    drive(url, arguments.mode, arguments.connections, 1, key)
                    before = cpu_seconds(process.pid)
                    row = drive(url, arguments.mode, arguments.connections, arguments.seconds, key)
                    row["cpu_us"] = (cpu_seconds(process.pid) - before) / max(row["n"], 1) * 1e6
                    row["rss_mb"] = rss_mb(process.pid)
                    rows.setdefault(name, []).append(row)
                finally:
                    stop(process)
    finally:
        stop(up)
    median = lambda name, field: statistics.median(row[field] for row in rows[name])
    result = {}
    for name in rows:
        result[name] = {
            "cpu_us_per_request": round(median(name, "cpu_us"), 1), "rps": round(median(name, "rps")), "p50": rows[name][-1]["p50"],
            "p99": rows[name][-1]["p99"], "rss_mb": median(name, "rss_mb"), "bad": sum(row["bad"] for row in rows[name])}
        if arguments.mode == "stream":
            result[name]["cpu_us_per_event"] = round(median(name, "cpu_us") / EVENTS_PER_STREAM, 2)
        if name != "starling" and "starling" in rows:
            ratios = [ours["cpu_us"] / theirs["cpu_us"] for ours, theirs in zip(rows["starling"], rows[name])]
            result[name]["starling_cpu_ratio"] = round(statistics.median(ratios), 3)
    return result


def held_streams(arguments: argparse.Namespace, replica: BenchReplica) -> dict:
    """Many slow streams at once (20 events/s each, 5 s long); lateness per event and memory, against the direct path."""
    up = pinned(1, worker_command("held"))
    rows: dict[str, list[dict]] = {}
    direct = {"direct": ("sleep 600", f"http://127.0.0.1:{UPSTREAM}", "")}
    try:
        for _ in range(arguments.rounds):
            for name, (command, url, key) in {**direct, **contestants(arguments.only, replica)}.items():
                process = pinned(0, command)
                try:
                    wait_ready(name, url, key, process)
                    rows.setdefault(name, []).append(held_once(arguments, process, url, key))
                finally:
                    stop(process)
    finally:
        stop(up)
    late = lambda row: row["event_lateness_ms"]["p99"]
    result = {}
    for name in rows:
        # The round in the middle by lateness stands for all; failures and memory of every round count.
        result[name] = sorted(rows[name], key=late)[len(rows[name]) // 2]
        result[name]["failures"] = sum(sum(row["failures"].values()) for row in rows[name])
        result[name]["kib_per_stream"] = max(row["kib_per_stream"] for row in rows[name])
        if name != "starling" and "starling" in rows:
            ratios = [late(ours) / late(theirs) for ours, theirs in zip(rows["starling"], rows[name])]
            result[name]["starling_lateness_ratio"] = round(statistics.median(ratios), 3)
    return result


def held_once(arguments: argparse.Namespace, process: subprocess.Popen, url: str, key: str) -> dict:
    before, base = cpu_seconds(process.pid), rss_mb(process.pid)
    load = subprocess.Popen(
        ["taskset", "-c", "1", f"{WORK}/streamload", "-url", url + "/v1/chat/completions", "-key", key,
         "-streams", str(arguments.streams), "-for", f"{arguments.held_seconds}s", "-ramp", "2s"],
        stdout=subprocess.PIPE, text=True)
    peak = base
    while load.poll() is None:
        peak = max(peak, rss_mb(process.pid))
        time.sleep(0.5)
    row = json.loads(load.communicate()[0])
    row["rss_mb_before"], row["rss_mb_held"] = base, peak
    row["kib_per_stream"] = round((peak - base) * 1024 / arguments.streams, 1)
    row["cpu_us_per_event"] = round((cpu_seconds(process.pid) - before) / max(row["events"], 1) * 1e6, 2)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="comma-separated names")
    parser.add_argument("--mode", choices=["request", "stream", "held"], default="request")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--held-seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    build()
    write_configs()
    replica = BenchReplica()
    measured = held_streams(arguments, replica) if arguments.mode == "held" else closed_loop(arguments, replica)
    print(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
