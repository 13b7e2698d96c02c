"""What a network, a disk or an operator may do to a flock, and that nobody is taken for dead who lives."""

from __future__ import annotations

import json
import random
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from flock.child import quiet_environment
from flock.gossip import Flock
from flock.patience import throughout, until
from flock.repository import starling_binary

# Bars
HEALED_SECONDS = 5
ALL_BACK_SECONDS = 10
HOLD_SECONDS = 30


@pytest.fixture(scope="module")
def worker(long_stage):
    return long_stage.simulator("sim-1", slots=64)


@pytest.fixture(scope="module")
def long_three(long_stage, worker):
    return long_stage.keep(Flock(3, [worker.node()], behind_relay=True))


@pytest.fixture
def three(long_three):
    """Three replicas behind a relay; each test finds all of them alive, and a network without faults."""
    long_three.relay.heal()
    for index in range(3):
        if index not in long_three.running():
            long_three.start(index)
    long_three.wait_until_they_agree(15)
    return long_three


def starling(replica, *words: str, key: str | None = None) -> subprocess.CompletedProcess:
    return subprocess.run([starling_binary(), *words, "--url", replica.url, "--key", key or replica.key],
                          capture_output=True, text=True, timeout=30, env=quiet_environment())


def all_views_are_equal(flock: Flock) -> bool:
    views = [flock.view(index) for index in flock.running()]
    return all(view == views[0] for view in views)


# Links


@pytest.mark.parametrize("links", [[("gw-1", "*")], [("*", "gw-1")], [("gw-1", "*"), ("*", "gw-1")]],
                         ids=["outwards", "inwards", "both-ways"])
def test_a_cut_cable_is_seen_and_five_seconds_after_it_is_mended_all_say_the_same(three, links):
    for source, target in links:
        three.relay.cut(source, target)
    until("the others miss it", lambda: all(three.status(0, index) == "dead" for index in (1, 2)), 10)
    told = starling(three[1], "members", "--status", "dead")
    assert told.returncode == 0 and "gw-1" in told.stdout and "gw-3" not in told.stdout
    three.relay.heal()
    took = three.wait_until_they_agree(HEALED_SECONDS)
    # Of incarnations as well: a word that was lost on its way comes with the next sync.
    until("all say the same", lambda: all_views_are_equal(three), HEALED_SECONDS - took)


def test_where_only_streams_pass_nobody_dies_and_it_is_said(three):
    deaths = three.deaths()
    three.relay.link("gw-1", "gw-2", both=True, udp="block")

    def blocked() -> list[float]:
        return [three[index].metric_sum("starling_membership_udp_blocked") for index in range(3)]

    until("both ends say so", lambda: blocked() == [1, 1, 0], 15)
    throughout("nobody is dead, and both ends say so", lambda: three.deaths() == deaths and blocked() == [1, 1, 0],
               HOLD_SECONDS)
    told = starling(three[0], "members", "--rtt")
    assert [row.split()[0] for row in told.stdout.splitlines() if "blocked" in row] == ["gw-2"], told.stdout
    three.relay.heal()
    until("it is over", lambda: blocked() == [0, 0, 0], 15)


def test_a_loss_of_a_fifth_kills_nobody(three):
    deaths = three.deaths()
    three.relay.link("*", "*", udp={"loss": 0.2})
    throughout("nobody is dead", lambda: three.deaths() == deaths, HOLD_SECONDS)
    assert three.relay.sum("dropped_loss") > 0


def test_doubled_damaged_late_and_shuffled_packets_change_nothing(three):
    before = [three.lives(index) for index in range(3)]
    deaths, drops = three.deaths(), three.drops()
    three.relay.link("*", "*", udp={"duplicate": 0.3, "reorder": 0.3, "corrupt": 0.05, "delay_ms": 10, "jitter_ms": 20})
    throughout("nobody is dead, and all are who they were", lambda: three.deaths() == deaths
               and [three.lives(index) for index in range(3)] == before, 15)
    three.relay.heal()
    after = three.drops()
    assert after["replay"] > drops["replay"], "the doubles were counted"
    assert sum(after[reason] for reason in ("decode", "version", "key", "auth")) \
        > sum(drops[reason] for reason in ("decode", "version", "key", "auth")), "the damaged were counted"


def test_recorded_packets_change_nothing_when_they_are_sent_again(three):
    three.relay.tell(record=True)
    # What happens in these seconds is what is thrown at them later: a death among it.
    three.kill(2)
    until("it is dead", lambda: all(three.status(2, index) == "dead" for index in (0, 1)), 8)
    three.start(2)
    three.wait_until_they_agree(5)
    packets = three.relay.tell(record=False)["packets"]
    assert packets > 50
    until("all say the same", lambda: all_views_are_equal(three), 5)
    before = [three.lives(index) for index in range(3)]
    deaths, drops = three.deaths(), three.drops()
    for speed in (0, 10):
        three.relay.tell(replay=True, speed=speed)
        throughout("nobody is dead, and all are who they were", lambda: three.deaths() == deaths
                   and [three.lives(index) for index in range(3)] == before, 3)
    grown = {reason: count - drops[reason] for reason, count in three.drops().items() if count != drops[reason]}
    assert set(grown) <= {"replay", "unproven", "key", "overload"}, grown
    assert sum(grown.values()) >= packets, (grown, packets)


def test_garbage_at_the_gossip_port_is_counted_and_dropped(three):
    deaths, drops = three.deaths(), three.drops()
    generator = random.Random(1)
    address = (three.hosts[0], three.ports[0])
    end = time.monotonic() + 6
    memory: list[int] = []

    def streams() -> None:
        while time.monotonic() < end:
            try:
                with socket.create_connection(address, timeout=1) as connection:
                    connection.sendall(generator.randbytes(generator.randrange(1, 70_000)))
            except OSError:
                pass

    thread = threading.Thread(target=streams)
    thread.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        while time.monotonic() < end:
            for _ in range(100):
                datagrams.sendto(generator.randbytes(generator.randrange(0, 1_500)), address)
            memory.append(three[0].child.resident_kib())
    thread.join()
    assert three.deaths() == deaths
    assert sum(three.drops().values()) - sum(drops.values()) > 1_000
    # The first third is for buffers that are there once and for all.
    assert max(memory) - memory[len(memory) // 3] < 8_192, memory[::50]
    three.wait_until_they_agree(1)


def test_a_bad_link_is_found_by_asking_everybody(three):
    def reachability() -> subprocess.CompletedProcess:
        return starling(three[2], "members", "--reachability")

    until("all is well", lambda: reachability().returncode == 0, 15, every=0.5)
    assert reachability().stdout == "3 members reach each other\n"
    three.relay.cut("gw-1", "gw-2")
    # Whoever cannot be asked cannot answer, so both ends see the cut of one way; the third reaches both.
    found = until("both ends tell of it", lambda: (told := reachability()).stdout.count("reached by others only") == 2
                  and told, 20, every=0.5)
    assert found.returncode == 1
    assert [row.split()[:2] for row in found.stdout.splitlines()[1:]] == [["gw-1", "gw-2"], ["gw-2", "gw-1"]]
    assert all(three.status(other, index) == "alive" for index in range(3) for other in range(3))
    three.relay.heal()
    until("all is well again", lambda: reachability().returncode == 0, 15, every=0.5)
    three.pause(0)
    try:
        told = reachability()
        assert told.returncode == 1 and "gw-1 did not answer" in told.stdout, told
    finally:
        three.resume(0)


# Processes and disks


def test_all_are_killed_and_all_come_back(three):
    for index in range(3):
        three[index].child.send(signal.SIGKILL)
    for index in range(3):
        three.kill(index)
    began = time.monotonic()
    starting = [threading.Thread(target=three.start, args=(index, False)) for index in range(3)]
    for thread in starting:
        thread.start()
    for thread in starting:
        thread.join()
    assert time.monotonic() - began <= 5, "they were to be started at once"
    three.wait_until_they_agree(ALL_BACK_SECONDS)
    until("all say the same", lambda: all_views_are_equal(three), ALL_BACK_SECONDS)


def test_without_its_data_it_is_another_one_and_the_old_one_is_dead(three):
    old = three.members(2)["gw-3"]["id"]
    three.kill(2)
    three.forget_data(2)
    three.start(2)
    until("the old one is dead and another is alive", lambda: all(
        {row["status"] for row in three.rows(index) if row["name"] == "gw-3" and row["id"] != old} == {"alive"}
        and [row["status"] for row in three.rows(index) if row["id"] == old] in ([], ["dead"])
        for index in (0, 1)), 8)
    assert starling(three[0], "force-leave", "--prune", old).returncode == 0
    until("the old one is listed no more", lambda: all(
        old not in {row["id"] for row in three.rows(index)} for index in range(3)), 5)


def test_of_two_with_the_same_data_one_becomes_another(three):
    first = three.members(0)["gw-1"]["id"]
    old = three.members(0)["gw-3"]["id"]
    three.kill(2)
    three.forget_data(2)
    shutil.copytree(three.data(0), three.data(2))
    three.start(2, wait_ready=False)

    def ids() -> dict[str, str]:
        return {name: row["id"] for name, row in three.members(1).items() if row["status"] == "alive"}

    # Its name alone says nothing: the process before it was called so as well.
    until("another gw-3 is alive", lambda: ids().get("gw-3") not in (None, old) and len(set(ids().values())) == 3, 15)
    assert first in ids().values()
    assert sum(three[index].metric_sum("starling_membership_renewals_total") for index in (0, 2)) >= 1
    assert starling(three[0], "force-leave", "--prune", old).returncode == 0


def test_other_settings_are_shown_and_not_refused(three):
    three.kill(2)
    three.start(2, settings={"load_balancing": {"strategy": "least_connections"}})
    until("its other settings are seen", lambda: three.members(0)["gw-3"]["agreement"] != three.members(0)["gw-1"]["agreement"], 10)
    three.wait_until_they_agree(10)
    assert three.members(0)["gw-1"]["agreement"] == three.members(0)["gw-2"]["agreement"]
    until("it is counted", lambda: [three[index].metric_sum("starling_membership_agreement_mismatch") for index in range(3)]
          == [1, 1, 2], 5)
    assert json.loads(three[0].get("/v1/cluster/status")[2])["gossip"]["disagreeing"] == ["gw-3"]
    three.kill(2)


def test_a_name_can_be_a_seed(stage, worker):
    flock = stage.keep(Flock(1, [worker.node()]))
    second = flock.add()
    flock.start(second, settings={"gossip": {"seeds": [f"dns:localhost:{flock.ports[0]}"]}})
    flock.wait_until_they_agree(10)


# Keys


def keys(flock: Flock, index: int) -> dict[str, list[int]]:
    """Numbers of keys by state, as one replica says."""
    told = starling(flock[index], "keyring", "list", "--format", "json")
    # 1: somebody is suspect for a moment, and did not answer.
    assert told.returncode in (0, 1) and told.stdout, told
    by_state: dict[str, list[int]] = {}
    for key in json.loads(told.stdout)["keys"]:
        by_state.setdefault(key["state"], []).append(key["id"])
    return by_state


def test_a_new_key_is_used_by_all_and_whoever_missed_it_comes_back(three):
    deaths = three.deaths()
    old = keys(three, 0)["primary"][0]
    assert starling(three[1], "keyring", "install").returncode == 0
    until("all seal with the new key", lambda: all(
        keys(three, index)["primary"] not in ([], [old]) for index in range(3)), 20, every=0.3)
    new = keys(three, 0)["primary"][0]
    assert all(keys(three, index)["primary"] == [new] for index in range(3))
    assert three.deaths() == deaths and three.agree()

    three.kill(2)
    until("it is dead", lambda: all(three.status(2, index) == "dead" for index in (0, 1)), 8)
    assert starling(three[0], "keyring", "install").returncode == 0
    until("the others seal with a third key", lambda: all(
        keys(three, index)["primary"] not in ([], [new]) for index in (0, 1)), 20, every=0.3)
    three.start(2)
    three.wait_until_they_agree(5)
    third = keys(three, 0)["primary"]
    until("it seals with the third key as well", lambda: keys(three, 2)["primary"] == third, 10, every=0.3)
    page = json.loads(starling(three[2], "keyring", "list", "--format", "json").stdout)
    assert page["members"] == 3 and next(key["holders"] for key in page["keys"] if key["id"] == third[0]) == 3


def test_the_keyring_commands_end_with_what_scripts_can_test(three):
    primary = keys(three, 0)["primary"][0]
    table = starling(three[0], "keyring", "list")
    assert table.returncode == 0 and f"{primary}" in table.stdout and "primary" in table.stdout
    refused = starling(three[0], "keyring", "remove", f"{primary}")
    assert refused.returncode == 69 and "key_is_primary" in refused.stderr
    unknown = starling(three[0], "keyring", "use", "1")
    assert unknown.returncode == 69 and "starling keyring list" in unknown.stderr
    three.pause(2)
    try:
        told = until("one is missed", lambda: (told := starling(three[0], "keyring", "list")).returncode and told, 6)
        assert told.returncode == 1 and "gw-3 did not answer" in told.stdout, told
    finally:
        three.resume(2)
    nobody = subprocess.run([starling_binary(), "keyring", "list", "--url", "http://127.0.0.1:9", "--key", "k"],
                            capture_output=True, text=True, timeout=30, env=quiet_environment())
    assert nobody.returncode == 69
    without_key = subprocess.run([starling_binary(), "keyring", "list", "--url", three[0].url], capture_output=True, text=True,
                                 timeout=30, env=quiet_environment())
    assert without_key.returncode == 78


# Operators


def test_whoever_was_taken_out_and_lives_joins_again(three):
    lived = next(row for row in three.rows(2) if row["name"] == "gw-3" and row["status"] == "alive")
    rejoins = three[2].metric_sum("starling_membership_forced_rejoins_total")
    # By its id: a test before may have left a dead one of this name.
    done = starling(three[0], "force-leave", lived["id"])
    assert done.returncode == 0 and done.stdout == f"{lived['id']} is out\n", done
    until("it is back as another process", lambda: three.agree()
          and (lived["id"], lived["session"]) not in three.lives(0), 10)
    assert three[2].metric_sum("starling_membership_forced_rejoins_total") == rejoins + 1
    unknown = starling(three[0], "force-leave", "gw-9")
    assert unknown.returncode == 69 and "starling members" in unknown.stderr


def test_join_status_and_leave(stage, worker):
    flock = stage.keep(Flock(1, [worker.node()]))
    second = flock.add()
    alone = flock.start(second, settings={"gossip": {"seeds": []}})
    assert json.loads(starling(alone, "status", "--format", "json").stdout)["gossip"]["state"] == "alone"
    assert starling(alone, "join", flock.reached(0)).returncode == 0
    flock.wait_until_they_agree(5)
    told = json.loads(starling(alone, "status", "--format", "json").stdout)
    assert told["gossip"]["state"] == "joined"
    assert "2 alive" in starling(alone, "status").stdout
    left = starling(alone, "leave")
    assert left.returncode == 0, left
    until("it has left", lambda: flock.status(second, 0) == "left", 8)
    assert alone.child.process.wait(20) == 0
