#!/usr/bin/env python3
"""Holds the figures of a run against the bars that Starling set itself, and says for each whether it holds.

    ./bars.py [FOLDER]      the folder with request.json, stream.json, … (default: .work)
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

Row = tuple[str, str, str, bool]


def rows(folder: Path) -> Iterator[Row]:
    """(what, measured, bar, whether it holds) for each figure that is there."""
    readers = {"request": request, "stream": stream, "held": held, "concurrent": concurrent, "scaling": scaling, "startup": startup,
               "mixed": mixed, "turns": turns}
    for name, reader in readers.items():
        path = folder / f"{name}.json"
        if path.exists() and path.stat().st_size:
            yield from reader(json.loads(path.read_text()))


def request(facts: dict) -> Iterator[Row]:
    ours = facts["starling"]["cpu_us_per_request"]
    yield "CPU per request", f"{ours} µs", "≤ 70 µs", ours <= 70
    yield from ratio("CPU per request", facts, "nginx", 3.0)
    yield from ratio("CPU per request", facts, "smg", 0.33)


def stream(facts: dict) -> Iterator[Row]:
    yield from ratio("CPU per SSE event", facts, "nginx", 1.4)
    yield from ratio("CPU per SSE event", facts, "smg", 0.65)


def ratio(what: str, facts: dict, peer: str, bar: float) -> Iterator[Row]:
    if peer in facts:
        measured = facts[peer]["starling_cpu_ratio"]
        yield f"{what}, against {peer}", f"{measured} ×", f"≤ {bar} ×", measured <= bar


def held(facts: dict) -> Iterator[Row]:
    ours = facts["starling"]
    yield f"{ours['streams']} held streams, failures", str(ours["failures"]), "0", ours["failures"] == 0
    yield "memory per held stream", f"{ours['kib_per_stream']} KiB", "≤ 40 KiB", ours["kib_per_stream"] <= 40
    if "nginx" in facts:
        late, ratio = ours["event_lateness_ms"]["p99"], facts["nginx"]["starling_lateness_ratio"]
        yield "event lateness p99, against nginx", f"{late:.1f} ms, {ratio:.2f} ×", "≤ 2 ×", ratio <= 2


def concurrent(facts: dict) -> Iterator[Row]:
    ours = facts["starling"]
    errors = ours["bad"] or ours["sockets"]
    yield "1,000 clients, errors", str(errors or 0), "0", not errors
    yield "1,000 clients, p99", f"{ours['p99_ms']:.0f} ms", "≤ 200 ms", ours["p99_ms"] <= 200


def scaling(facts: dict) -> Iterator[Row]:
    for workers, row in facts.items():
        if isinstance(row, dict) and workers != "1":
            yield f"tokens/s with {workers} workers", f"{row['of_linear']} of linear", "≥ 0.95", row["of_linear"] >= 0.95


def startup(facts: dict) -> Iterator[Row]:
    yield "start to ready", f"{facts['seconds_to_ready']} s", "≤ 0.5 s", facts["seconds_to_ready"] <= 0.5
    yield "idle RSS", f"{facts['idle_rss_mb']} MB", "≤ 40 MB", facts["idle_rss_mb"] <= 40


def mixed(facts: dict) -> Iterator[Row]:
    for other, bar in (("least_connections", 0.8), ("round_robin", 0.6)):
        measured = facts["resource_aware"][f"p95_of_{other}"]
        yield f"mixed fleet, p95 to the last token, resource_aware against {other}", f"{measured} ×", f"≤ {bar} ×", measured <= bar


def turns(facts: dict) -> Iterator[Row]:
    ours = facts["prefix_affinity"]
    yield "conversations, cached share, against one endless cache", str(ours["of_best"]), "≥ 0.9", ours["of_best"] >= 0.9
    yield ("conversations, cached share, against round_robin", f"{ours['cached_of_round_robin']} ×", "≥ 2 ×",
           ours["cached_of_round_robin"] >= 2)
    measured = ours["first_token_p50_of_round_robin"]
    yield "conversations, p50 to the first token, against round_robin", f"{measured} ×", "≤ 0.5 ×", measured <= 0.5


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent / ".work"
    found = list(rows(folder))
    if not found:
        sys.exit(f"no figures in {folder}; run cluster/bench/run first")
    print("| what | measured | bar | |\n|---|---|---|---|")
    for what, measured, bar, holds in found:
        print(f"| {what} | {measured} | {bar} | {'holds' if holds else '**missed**'} |")


if __name__ == "__main__":
    main()
