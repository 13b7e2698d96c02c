"""What an operator can ask of a flock and order of it: the commands, keys, workers, cut cables."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time

import pytest

from flock.child import quiet_environment
from flock.detached import Ledger
from flock.gossip import Flock
from flock.patience import until
from flock.repository import ROOT, starling_binary

CHAT = {"model": "llama-7b", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}


@pytest.fixture(scope="module")
def three(long_stage):
    """Three replicas; each test leaves all of them alive."""
    workers = [long_stage.simulator(f"sim-{number}", slots=8) for number in (1, 2)]
    flock = long_stage.keep(Flock(3, [worker.node() for worker in workers]))
    flock.wait_until_they_agree()
    return flock


def starling(replica, *words: str, code: int = 0) -> str:
    done = subprocess.run([starling_binary(), *words, "--url", replica.url, "--key", replica.key],
                          capture_output=True, text=True, timeout=30, env=quiet_environment())
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def page(replica, path: str) -> dict:
    status, _, body = replica.get(path)
    assert status == 200, (status, body)
    return json.loads(body)


def workers(replica) -> dict[str, str]:
    return {row["id"]: row["state"] for row in page(replica, "/admin/workers")["data"]}


def test_one_screen_and_one_page_tell_how_the_flock_is(three):
    told = starling(three[0], "status")
    assert "3 alive" in told and "the same everywhere" in told and "sim-2" in told
    status = page(three[0], "/v1/cluster/status")
    assert set(status) >= {"object", "cluster", "replica", "version", "state", "strategy", "in_flight", "workers", "models",
                           "members", "rings", "gossip"}
    assert status["gossip"]["state"] == "joined" and status["gossip"]["disagreeing"] == []
    assert set(status["gossip"]) >= {"state", "mode", "awareness", "lossy", "bytes_sent_per_second", "bytes_received_per_second",
                                     "dropped", "primary_key", "agreement", "disagreeing"}

    def rings() -> list[dict]:
        return [page(three[index], "/v1/cluster/status")["rings"]["replicas"] for index in range(3)]

    # A replica is on the ring once it has been ready for a while.
    until("all are on the ring", lambda: all(ring["participants"] == 3 for ring in rings()), 10)
    assert len({ring["version"] for ring in rings()}) == 1, "each computes the same ring"


def test_metrics_tell_who_is_here_and_what_gossip_costs(three):
    body = three[0].get("/metrics")[2].decode()
    assert 'starling_membership_members{status="alive"} 3' in body
    for name in ("starling_membership_changes_total", "starling_membership_awareness", "starling_membership_false_deaths_total",
                 "starling_membership_agreement_mismatch", "starling_gossip_bytes_total", "starling_gossip_packets_total",
                 "starling_gossip_dropped_total", "starling_worker_verdict"):
        assert re.search(rf"^{name}\b", body, re.MULTILINE), name


def test_a_removed_worker_is_gone_everywhere_until_it_is_resumed(three):
    """Whoever restarts meanwhile hears of it from the others."""
    status, _, body = three[1].request("DELETE", "/admin/workers/sim-2")
    assert status == 200, body
    try:
        until("nobody lists it", lambda: all("sim-2" not in workers(three[index]) for index in range(3)), 2)
        three[2].child.kill()
        three.start(2)
        three.wait_until_they_agree(5)
        until("nor does who has just started", lambda: "sim-2" not in workers(three[2]), 2)
    finally:
        assert three[0].post("/admin/workers/sim-2/resume", "")[0] == 200
    until("it is back everywhere", lambda: all(workers(three[index]).get("sim-2") == "healthy" for index in range(3)), 5)


def keys(replica) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for key in page(replica, "/v1/cluster/keyring")["keys"]:
        found.setdefault(key["state"], []).append(key["id"])
    return found


def test_a_new_key_takes_over_by_itself_and_no_request_notices(three):
    """Staged until all hold it, then it seals; the old one still opens."""
    old = keys(three[0])["primary"]
    assert "staged" in starling(three[0], "keyring", "install")

    def is_over() -> bool:
        assert three[1].post("/v1/chat/completions", CHAT)[0] == 200
        return all(keys(three[index]).get("primary") not in (old, None) for index in range(3))

    until("all seal with the new key", is_over, 8)
    assert all(keys(three[index])["primary"] == keys(three[0])["primary"] for index in range(3))
    assert old[0] in keys(three[2])["retired"]
    assert three.agree(), "nobody was lost over it"
    assert "key_is_primary" in starling(three[0], "keyring", "remove", str(keys(three[0])["primary"][0]), code=69)
    assert "3/3" in starling(three[0], "keyring", "list")


def test_who_will_not_come_back_is_taken_out_and_may_come_back(three):
    three.kill(2)
    until("it is dead", lambda: three.status(2, 0) == "dead", 6)
    assert "is out" in starling(three[0], "force-leave", "gw-3", "--prune")
    until("nobody lists it", lambda: all(three.status(2, index) is None for index in (0, 1)), 2)
    assert "member_not_found" in starling(three[0], "force-leave", "gw-9", code=69)
    assert "member_is_self" in starling(three[0], "force-leave", "gw-1", code=69)
    three.start(2)
    three.wait_until_they_agree(5)


def test_what_happens_is_told_as_it_happens(three):
    watching = subprocess.Popen([starling_binary(), "monitor", "--format", "json", "--url", three[0].url, "--key", three[0].key],
                                stdout=subprocess.PIPE, text=True, env=quiet_environment())
    try:
        # It hears only what happens once it is there, so somebody leaves until it has heard of it.
        assert "it leaves" in starling(three[2], "leave")
        until("it has left", lambda: three.status(2, 0) == "left", 15)
        three[2].child.process.wait(20)
        three.start(2)
        three.wait_until_they_agree(5)
        for line in watching.stdout:
            event = json.loads(line)
            assert {"number", "at", "kind", "name", "id", "text"} <= set(event)
            if event["kind"] == "member_alive" and event["name"] == "gw-3":
                break
    finally:
        watching.kill()
        watching.wait()


def test_one_more_place_to_knock_at_is_an_order(stage):
    """Without seeds it stands alone, until it is told of somebody."""
    worker = stage.simulator("sim-1")
    flock = stage.keep(Flock(2, [worker.node()]))
    flock.wait_until_they_agree()
    lonely = stage.keep(Flock(1, [worker.node()], {"gossip": {"seeds": []}}))
    assert "knocking at" in starling(lonely[0], "join", f"127.0.0.1:{flock.ports[0]}")
    until("it knows the others", lambda: len(lonely.members(0)) >= 2, 5)
    assert "has no port" in starling(lonely[0], "join", "10.0.0.5", code=69)


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="replicas share one address of loopback here")
def test_one_that_is_cut_off_serves_on_and_all_agree_after_the_cut(tmp_path):
    """Nobody reaches gw-1, and it nobody. The two confirm each other and are quick to call it dead; it has nobody to confirm
    what it thinks of them, and takes longer. Both sides serve, and five seconds after the cut all are one."""
    def run(script: str, *words: str) -> str:
        done = subprocess.run([ROOT / "cluster" / script, *words], capture_output=True, text=True, timeout=90,
                              env=os.environ | {"FLOCK_STATE": str(tmp_path / "flock")})
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    ledger = Ledger(tmp_path / "flock")
    try:
        key = re.search(r"STARLING_KEY=(\S+)", run("up", "3", "--workers", "1", "--port", "0", "--gossip", "0", "--relay")).group(1)
        ports = {entry["name"]: entry["port"] for entry in ledger.entries() if entry["role"] == "replica"}

        def statuses(name: str) -> dict[str, str]:
            done = subprocess.run([starling_binary(), "members", "--format", "json", "--url", f"http://127.0.0.1:{ports[name]}",
                                   "--key", key], capture_output=True, text=True, timeout=30, env=quiet_environment())
            assert done.returncode == 0, done.stderr
            return {row["name"]: row["status"] for row in json.loads(done.stdout)["members"]}

        def all_alive() -> bool:
            return all(list(statuses(name).values()) == ["alive"] * 3 for name in ports)

        until("all are alive", all_alive, 10)
        run("tell", '{"link": ["gw-1", "*"], "both": true, "udp": "block", "tcp": "blackhole"}')
        # Streams do not show whose they are where replicas do not dial from the address that they gossip on.
        run("tell", '{"link": ["other", "*"], "tcp": "blackhole"}')
        until("gw-1 is dead for the others", lambda: all(statuses(name)["gw-1"] == "dead" for name in ("gw-2", "gw-3")), 10)
        until("and they for it", lambda: statuses("gw-1") == {"gw-1": "alive", "gw-2": "dead", "gw-3": "dead"}, 40)
        answered = subprocess.run(
            ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://127.0.0.1:{ports['gw-1']}/v1/chat/completions",
             "-H", f"Authorization: Bearer {key}", "-H", "Content-Type: application/json", "-d", json.dumps(CHAT)],
            capture_output=True, text=True, timeout=30)
        assert answered.stdout == "200"
        run("tell", '{"heal": true}')
        healed = time.monotonic()
        until("all are alive again", all_alive, 10)
        assert time.monotonic() - healed <= 6
    finally:
        ledger.end(10)
