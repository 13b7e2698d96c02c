"""`starling simulate`: the same seed tells the same story, in any process, and the first line tells it again."""

from __future__ import annotations

import json
import shlex
import subprocess

from flock.child import quiet_environment
from flock.repository import starling_binary


def simulate(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run([starling_binary(), "simulate", *words], capture_output=True, text=True, timeout=100,
                          env=quiet_environment())


def test_the_same_seed_ends_with_the_same_hash():
    """Hashing of sets and mappings is seeded anew in each process; nothing of it may reach a run."""
    words = ("--replicas", "3", "--seed", "4711", "--scenario", "mixed", "--duration", "20s", "--format", "json")
    reports = [json.loads(simulate(*words).stdout) for _ in range(2)]
    assert reports[0]["trace_hash"] == reports[1]["trace_hash"] and reports[0]["events"] == reports[1]["events"]
    assert reports[0]["seed"] == 4711 and reports[0]["replicas"] == 3 and reports[0]["scenario"] == "mixed"
    for name in ("events_per_second", "violations", "marks", "bytes_per_node_second", "false_deaths_per_node_hour"):
        assert name in reports[0]
    assert set(reports[0]["detection_seconds"]) == {"count", "median", "p99", "max"}


def test_the_first_line_is_the_command_that_tells_it_again():
    first = simulate("--replicas", "2", "--scenario", "kill", "--duration", "10s")
    command = shlex.split(first.stdout.splitlines()[0])
    assert command[:2] == ["starling", "simulate"]
    again = simulate(*command[2:])
    assert again.stdout == first.stdout


def test_a_trace_tells_of_one_replica_from_a_moment_on():
    told = simulate("--replicas", "3", "--seed", "1", "--scenario", "kill", "--duration", "30s", "--trace", "--only", "r1",
                    "--trace-from", "2s").stdout.splitlines()
    story = [line for line in told[1:] if line[0].isdigit() and line.split()[1].startswith("r")]
    assert story and all(line.split()[1] == "r1" and float(line.split()[0]) >= 2 for line in story)


def test_what_cannot_be_is_said():
    assert "r0 is the first" in simulate("--only", "r9").stderr
    assert "--replicas is a number from 1 to" in simulate("--replicas", "0").stderr
    assert "--loss is a share" in simulate("--loss", "20").stderr
    assert "are about one seed" in simulate("--seeds", "2", "--trace").stderr
