#!/usr/bin/env python3
"""A thousand clients at once, plain answers, closed loop: no error, p99 within 200 ms. Linux only.

    ./clients.py [--clients 1000] [--seconds 10] [--only starling,nginx]

Processors as in `peers.py`: the gateway has processor 0, worker and clients share processor 1.
"""

from __future__ import annotations

import argparse
import json

import peers
from bench_replica import BenchReplica

BAR_MS = 200


def milliseconds(text: str) -> float:
    """wrk's way of writing times: 950.00us, 12.3ms, 1.02s."""
    for unit, factor in (("us", 0.001), ("ms", 1.0), ("s", 1000.0)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise ValueError(f"not a time as wrk writes it: {text}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--only", default="starling,nginx")
    arguments = parser.parse_args()
    peers.build()
    peers.write_configs()
    result = {}
    up = peers.pinned(1, peers.worker_command("request"))
    try:
        for name, (command, url, key) in peers.contestants(arguments.only, BenchReplica()).items():
            process = peers.pinned(0, command)
            try:
                peers.wait_ready(name, url, key, process)
                peers.drive(url, "request", arguments.clients, 2, key)
                row = peers.drive(url, "request", arguments.clients, arguments.seconds, key)
                row["rss_mb"] = peers.rss_mb(process.pid)
                row["p99_ms"] = milliseconds(row["p99"])
                row["holds"] = row["bad"] == 0 and not row["sockets"] and row["p99_ms"] <= BAR_MS
                result[name] = row
            finally:
                peers.stop(process)
    finally:
        peers.stop(up)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
