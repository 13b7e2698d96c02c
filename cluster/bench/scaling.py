#!/usr/bin/env python3
"""From one to eight simulated workers of fixed speed: do tokens per second grow with them?

    ./scaling.py [--workers 1,2,4,8] [--seconds 12]

Each worker decodes as its chip does, with four slots; wrk keeps exactly as many requests open as there are slots. The
answer is plain and has a fixed number of tokens, so tokens per second are requests per second times that number.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess

from bench_replica import WORK            # first: it sets the binary for what follows
from flock.replica import Replica
from flock.simulator import Simulator

SLOTS = 4
TOKENS = 64
BAR = 0.95


def measure(workers: int, seconds: int, time_scale: float) -> float:
    """Tokens per second with so many workers."""
    sims = [Simulator(f"sim-{number}", kind="llama_cpp", time_scale=time_scale, slots=SLOTS, seed=number)
            for number in range(workers)]
    replica = Replica([sim.node() for sim in sims], {"load_balancing": {"strategy": "least_connections"}})
    try:
        script = WORK / "scaling.lua"
        body = {"model": "llama-7b", "max_tokens": TOKENS, "messages": [{"role": "user", "content": "hello"}]}
        script.write_text('wrk.method="POST"\nwrk.headers["Content-Type"]="application/json"\n'
                          'wrk.headers["Authorization"]="Bearer "..os.getenv("BENCH_KEY")\nwrk.body=[[' + json.dumps(body) + "]]\n")
        out = subprocess.run(
            ["wrk", "-t1", f"-c{SLOTS * workers}", f"-d{seconds}s", "--timeout", "30s", "-s", script, replica.url + "/v1/chat/completions"],
            capture_output=True, text=True, check=True, env=dict(os.environ, BENCH_KEY=replica.key)).stdout
        if "Non-2xx" in out or "Socket errors" in out:
            raise SystemExit(f"errors in the run with {workers} workers:\n{out}")
        return float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)) * TOKENS
    finally:
        replica.stop()
        for sim in sims:
            sim.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", default="1,2,4,8")
    parser.add_argument("--seconds", type=int, default=12)
    parser.add_argument("--time-scale", type=float, default=2)
    arguments = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    result, one = {}, None
    for workers in (int(word) for word in arguments.workers.split(",")):
        rate = measure(workers, arguments.seconds, arguments.time_scale)
        one = one or rate / workers
        result[workers] = {"tokens_per_second": round(rate), "of_linear": round(rate / (one * workers), 3)}
    result["bar"] = BAR
    result["holds"] = all(row["of_linear"] >= BAR for row in result.values() if isinstance(row, dict))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
