#!/usr/bin/env python3
"""How long until a replica answers, and what it weighs when nobody asks anything.

    ./startup.py [--rounds 10]

From exec to 200 on /livez and on /readyz (which waits for a first sign of life from a worker), and resident memory a
moment later, with one idle worker and no client.
"""

from __future__ import annotations

import argparse
import http.client
import json
import shlex
import statistics
import time

from bench_replica import BenchReplica          # first: it sets the binary for what follows
from flock.child import Child
from flock.simulator import Simulator

BAR_SECONDS, BAR_MB = 0.5, 40


def answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def seconds_until(port: int, path: str, begun: float) -> float:
    while not answers(port, path):
        if time.monotonic() - begun > 30:
            raise SystemExit(f"{path} did not answer 200 within 30 s")
        time.sleep(0.002)
    return time.monotonic() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    sim = Simulator("sim-1", kind="openai")
    replica = BenchReplica([sim.node()], name="startup", port=8106)
    live, ready, megabytes = [], [], []
    try:
        for _ in range(arguments.rounds):
            begun = time.monotonic()
            child = Child(shlex.split(replica.command))
            live.append(seconds_until(replica.port, "/livez", begun))
            ready.append(seconds_until(replica.port, "/readyz", begun))
            # Some probe rounds later the pages of start-up are settled.
            time.sleep(5 if not megabytes else 0)
            megabytes.append(child.resident_kib() / 1024)
            child.stop()
    finally:
        sim.stop()
    result = {
        "seconds_to_live": round(statistics.median(live), 3), "seconds_to_ready": round(statistics.median(ready), 3),
        "seconds_to_ready_worst": round(max(ready), 3), "idle_rss_mb": round(max(megabytes), 1),
        "bar": {"seconds": BAR_SECONDS, "rss_mb": BAR_MB}}
    result["holds"] = result["seconds_to_ready"] <= BAR_SECONDS and result["idle_rss_mb"] <= BAR_MB
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
