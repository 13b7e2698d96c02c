"""Several replicas, no coordinator: they find each other, notice who is gone, and share what they know of workers."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time

import pytest

from flock.child import quiet_environment
from flock.gossip import Flock
from flock.patience import until
from flock.repository import starling_binary

CHAT = "/v1/chat/completions"


def chat(model: str = "m", stream: bool = False, **more) -> dict:
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": "hello"}]} | more


@pytest.fixture(scope="module")
def five(long_stage):
    """Five replicas; each test leaves all of them alive."""
    worker = long_stage.simulator("sim-1", slots=64)
    return long_stage.keep(Flock(5, [worker.node()]))


def starling(replica, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run([starling_binary(), *words, "--url", replica.url, "--key", replica.key],
                          capture_output=True, text=True, timeout=30, env=quiet_environment())


def test_a_member_list_names_everybody_in_the_promised_shape(five):
    five.wait_until_they_agree()
    rows = five.members(0)
    assert sorted(rows) == [five.name(index) for index in range(5)]
    for row in rows.values():
        assert list(row) == ["name", "status", "id", "session", "incarnation", "address", "ready", "agreement", "version",
                             "rtt_ms", "since"]
        assert row["ready"] is True and len(row["id"]) == 32
    assert len({row["agreement"] for row in rows.values()}) == 1


def test_the_command_prints_what_the_page_says(five):
    five.wait_until_they_agree()
    told = starling(five[0], "members", "--format", "json")
    assert told.returncode == 0, told.stderr
    assert {row["name"] for row in json.loads(told.stdout)["members"]} == set(five.members(0))
    table = starling(five[0], "members")
    assert table.returncode == 0 and all(name in table.stdout for name in five.members(0))


def test_one_that_is_killed_is_known_by_all_within_four_seconds_and_back_within_one(five):
    five.wait_until_they_agree()
    took = []
    for victim in (4, 3):
        killed = time.monotonic()
        five.kill(victim)
        others = [index for index in range(5) if index != victim]
        until("all others hold it dead", lambda: all(five.status(victim, index) == "dead" for index in others), 6)
        took.append(time.monotonic() - killed)
        five.start(victim, wait_ready=True)
        five.wait_until_they_agree(3)
    assert max(took) <= 4, took


def test_one_that_stops_in_order_is_known_to_have_left(five):
    five.wait_until_they_agree()
    five[4].child.send(signal.SIGTERM)
    until("all others know that it left", lambda: all(five.status(4, index) == "left" for index in range(4)), 8)
    five[4].child.process.wait(20)
    five.start(4)
    five.wait_until_they_agree(3)


def test_a_pause_of_ten_seconds_ejects_nobody_else_and_ends_within_two(five):
    five.wait_until_they_agree()
    five.pause(2)
    others = [0, 1, 3, 4]
    until("the others hold it dead", lambda: all(five.status(2, index) == "dead" for index in others), 12)
    # What it does when it wakes is the test, so it sleeps for as long as the bar says.
    time.sleep(max(0, 10 - 4))
    five.resume(2)
    resumed = time.monotonic()
    worst = set()

    def is_over() -> bool:
        worst.update(row["status"] for name, row in five.members(2).items() if name != five.name(2))
        return five.agree()

    until("everybody is alive everywhere", is_over, 4)
    assert time.monotonic() - resumed <= 2
    assert "dead" not in worst, "whoever slept blamed others for it"


def test_a_joiner_is_known_by_all_within_half_a_second(stage):
    worker = stage.simulator("sim-1")
    flock = stage.keep(Flock(4, [worker.node()]))
    flock.wait_until_they_agree()
    joiner = flock.start(flock.add(), wait_ready=False)
    took = flock.wait_until_they_agree(3)
    assert joiner.child.is_running and took <= 0.5


def test_two_clusters_never_merge_though_they_share_addresses(stage):
    worker = stage.simulator("sim-1")
    ours = stage.keep(Flock(2, [worker.node()]))
    theirs = stage.keep(Flock(1, [worker.node()], {"gossip": {"seeds": [f"127.0.0.1:{port}" for port in ours.ports]}},
                              cluster="another"))
    ours.wait_until_they_agree()
    until("the stranger has been refused", lambda: len(theirs.members(0)) == 1 and theirs[0].get("/readyz")[0] == 200, 5)
    assert set(ours.members(0)) == {"gw-1", "gw-2"} == set(ours.members(1))
    ids = {row["id"] for row in ours.members(0).values()}
    assert {row["id"] for row in theirs.members(0).values()}.isdisjoint(ids)


def test_unreachable_seeds_are_no_error_and_it_serves_alone(stage):
    worker = stage.simulator("sim-1")
    alone = stage.keep(Flock(1, [worker.node()], {"gossip": {"seeds": ["127.0.0.1:9", "dns:no-such-name.invalid:7946"]}}))
    assert alone[0].post(CHAT, chat("llama-7b"))[0] == 200
    assert json.loads(alone[0].get("/v1/cluster/status")[2])["gossip"]["state"] == "alone"


def test_a_stream_through_another_replica_does_not_notice_a_kill(five):
    five.wait_until_they_agree()
    answers = []

    def stream() -> None:
        status, _, body = five[0].post(CHAT, chat("llama-7b", stream=True, max_tokens=400), seconds=60)
        answers.append((status, body))

    thread = threading.Thread(target=stream)
    thread.start()
    five.kill(3)
    thread.join(60)
    assert answers and answers[0][0] == 200 and answers[0][1].endswith(b"data: [DONE]\n\n")
    until("it is dead for the others", lambda: five.status(3, 0) == "dead", 6)
    five.start(3)
    five.wait_until_they_agree(3)


# Workers


def in_rotation(replica, worker: str) -> str:
    listed = json.loads(replica.get("/admin/workers")[2])
    return next(row["state"] for row in listed["data"] if row["id"] == worker)


def test_a_drain_on_one_replica_is_a_drain_on_all(five):
    five.wait_until_they_agree()
    try:
        assert five[1].post("/admin/workers/sim-1/drain", "")[0] == 200
        until("it is drained everywhere", lambda: all(in_rotation(five[index], "sim-1") in ("draining", "down")
                                                      for index in range(5)), 2)
    finally:
        assert five[3].post("/admin/workers/sim-1/resume", "")[0] == 200
    until("it is back everywhere", lambda: all(in_rotation(five[index], "sim-1") == "healthy" for index in range(5)), 5)


def test_an_address_that_is_blocked_on_one_replica_is_refused_by_all_for_so_long(stage):
    worker = stage.simulator("sim-1")
    flock = stage.keep(Flock(3, [worker.node()], {"server": {"trusted_proxies": ["127.0.0.1"]}}))
    flock.wait_until_they_agree()

    def asks(index: int, address: str) -> int:
        return flock[index].post(CHAT, chat("llama-7b"), {"X-Forwarded-For": address})[0]

    def blocked(index: int) -> list[str]:
        return [row["address"] for row in json.loads(flock[index].get("/admin/blocks")[2])["data"]]

    assert flock[0].post("/admin/blocks", {"address": "192.0.2.7", "seconds": 600})[0] == 200
    assert flock[0].post("/admin/blocks", {"address": "2001:db8::7", "seconds": 3})[0] == 200
    began = time.monotonic()
    until("all know of both", lambda: all(len(blocked(index)) == 2 for index in range(3)), 2)
    for index in range(3):
        assert asks(index, "192.0.2.7") == 403 == asks(index, "2001:db8::9")
        assert asks(index, "192.0.2.8") == 200 == asks(index, "2001:db8:0:1::7")
    assert time.monotonic() - began < 3, "the test was too slow to say anything"
    until("one ends by itself, everywhere", lambda: all(blocked(index) == ["192.0.2.7"] for index in range(3)), 5)
    assert [asks(index, "2001:db8::9") for index in range(3)] == [200] * 3
    assert flock[2].request("DELETE", "/admin/blocks/192.0.2.7")[0] == 200
    until("the other is lifted everywhere", lambda: all(asks(index, "192.0.2.7") == 200 for index in range(3)), 2)


def test_a_worker_that_dies_is_left_by_all_within_a_second_and_back_within_three(stage):
    workers = [stage.simulator(f"sim-{number}", slots=8) for number in (1, 2)]
    flock = stage.keep(Flock(3, [worker.node() for worker in workers], {"load_balancing": {"probe_interval_seconds": 2}}))
    flock.wait_until_they_agree()
    workers[0].kill()
    killed = time.monotonic()
    # One replica meets it in a request; the others are told.
    for _ in range(4):
        assert flock[0].post(CHAT, chat("llama-7b"))[0] == 200
    until("nobody sends anything there", lambda: all(not is_offered(flock[index], "sim-1") for index in range(3)), 3)
    assert time.monotonic() - killed <= 1
    port = workers[0].port
    back = stage.keep(type(workers[0])("sim-1", slots=8, port=port))
    born = time.monotonic()
    until("it is back everywhere", lambda: all(in_rotation(flock[index], "sim-1") == "healthy" for index in range(3)), 6)
    assert back.child.is_running and time.monotonic() - born <= 3


def is_offered(replica, worker: str) -> bool:
    listed = json.loads(replica.get("/admin/workers")[2])
    row = next(row for row in listed["data"] if row["id"] == worker)
    return row["state"] in ("healthy", "degraded") and row.get("verdict") not in ("outvoted", "condemned")
