"""`starling workers …` and the admin routes behind it: what an operator asks of a running replica."""

from __future__ import annotations

import json
import subprocess

import pytest

from flock.child import quiet_environment
from flock.patience import until
from flock.repository import starling_binary
from scripted_worker import answer_plainly

CHAT = "/v1/chat/completions"


def body(words: str = "hello", **more) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": words}]} | more).encode()


def starling(replica, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [starling_binary(), "workers", *arguments, "--config", replica.config, "--url", replica.url],
        capture_output=True, text=True, timeout=20, env=quiet_environment())


@pytest.fixture
def pair(stage):
    workers = [stage.worker(name, script=answer_plainly) for name in ("one", "two")]
    replica = stage.replica(workers, {"load_balancing": {"strategy": "resource_aware"}})
    replica.workers = workers
    return replica


def test_list_and_show(pair):
    listed = starling(pair, "list")
    assert listed.returncode == 0, listed.stderr
    lines = listed.stdout.splitlines()
    assert lines[0].split() == ["WORKER", "KIND", "ADDRESS", "STATE", "RUNNING", "MODELS"]
    assert [line.split()[0] for line in lines[1:]] == ["one", "two"] and "healthy" in lines[1]
    assert [worker["id"] for worker in json.loads(starling(pair, "list", "--json").stdout)["data"]] == ["one", "two"]
    shown = json.loads(starling(pair, "show", "two").stdout)
    assert shown["id"] == "two" and shown["speeds"][0]["model"] == "m" and shown["speeds"][0]["decode_tokens_per_second"] > 0
    unknown = starling(pair, "show", "three")
    assert unknown.returncode == 69 and "worker_not_found" in unknown.stderr


@pytest.mark.parametrize("kind", ["mlx_lm", "llama_cpp", "ollama", "omlx"])
def test_a_worker_tells_its_version_in_each_of_its_lives(stage, kind):
    worker = stage.simulator("mac", kind=kind)
    replica = stage.replica([worker.node()])
    if kind in ("ollama", "omlx"):
        # Their models load when somebody asks.
        assert replica.post(CHAT, body(model="llama-7b"))[0] == 200

    def shown() -> dict:
        return json.loads(replica.get("/admin/workers/mac")[2])

    until("it has told", lambda: "version" in shown())
    before = shown()["version"]
    assert json.loads(starling(replica, "show", "mac").stdout)["version"] == before
    assert shown().get("capabilities") == (["metrics", "slots", "tools"] if kind == "llama_cpp" else None)
    fault = worker.fault("close_listener")["id"]
    until("it is seen to be gone", lambda: shown()["state"] == "down", 30)
    assert shown()["version"] == before
    worker.ask("POST", "/_sim/set", {"version": "9.1.0"})
    worker.ask("POST", "/_sim/restart", {})
    worker.ask("DELETE", f"/_sim/faults/{fault}")
    until("it tells anew", lambda: shown().get("version") == "9.1.0", 60)


def test_drain_and_resume(pair):
    assert json.loads(starling(pair, "drain", "one").stdout)["state"] == "down"
    assert {pair.post(CHAT, body())[1]["x-starling-worker"] for _ in range(4)} == {"two"}
    assert json.loads(starling(pair, "resume", "one").stdout)["state"] == "loading"
    until("it is back", lambda: json.loads(starling(pair, "show", "one").stdout)["state"] == "healthy", every=0.1)


def test_a_choice_is_explained(pair):
    starling(pair, "drain", "one")
    _, fields, _ = pair.post(CHAT, body(), {"x-request-id": "why/this one?"})
    # Not every id is one that we pass on; ours can be asked for just as well.
    asked = starling(pair, "explain", fields["x-request-id"])
    assert asked.returncode == 0, asked.stderr
    told = json.loads(asked.stdout)
    assert told["strategy"] == "resource_aware" and told["model"] == "m"
    attempt, = told["attempts"]
    one, two = attempt["workers"]
    assert attempt["chosen"] == "two" and one["why_not"] == "an operator took it out" and "score_seconds" not in one
    assert two["chosen"] and two["score_seconds"] > 0 and two["slots"] > 0 and two["decode_tokens_per_second"] > 0
    missing = starling(pair, "explain", "nobody")
    assert missing.returncode == 69 and "decision_not_found" in missing.stderr


def test_a_request_that_ends_workers_is_refused_until_an_operator_forgives_it(stage):
    """Three workers hang up on it. Two hear of it, the client's retries reach none, others are served as ever."""

    def hangs_up_on_poison(visit):
        if b"poison" not in visit.body:
            answer_plainly(visit)

    workers = [stage.worker(f"w{number}", script=hangs_up_on_poison) for number in range(3)]
    replica = stage.replica(workers)
    status, fields, answer = replica.post(CHAT, body("poison"))
    assert (status, fields["x-should-retry"]) == (502, "false") and json.loads(answer)["error"]["code"] == "worker.poisoned_request"
    assert sum(b"poison" in visit.body for worker in workers for visit in worker.visits) == 2
    for stream in (False, True):
        status, fields, answer = replica.post(CHAT, body("poison", stream=stream, user="another"))
        assert (status, fields["x-should-retry"]) == (422, "false")
    assert all(replica.post(CHAT, body("water"))[0] == 200 for _ in range(6))
    assert sum(b"poison" in visit.body for worker in workers for visit in worker.visits) == 2
    assert replica.metric_sum("starling_worker_casualties_total") == 2
    convict, = json.loads(starling(replica, "poison").stdout)["data"]
    assert convict["state"] == "convicted" and convict["casualties"] == 2 and 3_500 < convict["seconds_left"] <= 3_600
    assert starling(replica, "poison", "--clear", "0123456789abcdef").returncode == 69
    assert json.loads(starling(replica, "poison", "--clear", convict["fingerprint"]).stdout)["data"] == []
    for worker in workers:
        worker.script = answer_plainly
    assert replica.post(CHAT, body("poison"))[0] == 200


def test_the_key_may_come_through_a_pipe(pair):
    asked = subprocess.run(
        ["bash", "-c", '"$0" workers list --config "$1" --url "$2" --key-file <(printf "%s\\n" "$3")', starling_binary(), pair.config,
         pair.url, pair.key], capture_output=True, text=True, timeout=20, env=quiet_environment())
    assert asked.returncode == 0 and "healthy" in asked.stdout, asked.stderr


def test_who_may_not_ask_is_told(pair, tmp_path):
    key = tmp_path / "key"
    key.write_text("sk-nobody\n")
    refused = starling(pair, "list", "--key-file", str(key))
    assert refused.returncode == 69 and "401" in refused.stderr and "sk-nobody" not in refused.stderr
    nowhere = subprocess.run(
        [starling_binary(), "workers", "list", "--config", pair.config, "--url", "http://127.0.0.1:1"],
        capture_output=True, text=True, timeout=20, env=quiet_environment())
    assert nowhere.returncode == 69 and "cannot be asked" in nowhere.stderr


@pytest.mark.parametrize("kind", ["llama_cpp", "ollama"])
def test_a_name_that_a_worker_does_not_list_is_not_sent_to_it(stage, kind):
    """Either would answer: one with whatever it has, one after a download. The other name of the same worker is served."""
    worker = stage.simulator("mac", kind=kind, models=("llama-7b",))
    models = [{"name": "llama", "upstream_name": "llama-7b"}, {"name": "m", "upstream_name": "qwen-7b"}]
    replica = stage.replica([worker.node(models=models)])

    def states() -> dict:
        return {speed["model"]: speed["state"] for speed in json.loads(starling(replica, "show", "mac").stdout)["speeds"]}

    until("it has listed its models", lambda: states()["m"] == "absent", every=0.1)
    status, _, text = replica.post(CHAT, body())
    assert status == 503 and b"gateway.no_worker" in text
    assert states()["llama"] != "absent"
    assert replica.post(CHAT, body(model="llama"))[0] == 200
    assert not any("qwen-7b" in json.dumps(entry) for entry in worker.journal())
    line, = [line for line in replica.child.lines_since(0) if "does not list a model" in line.text]
    assert all(word in line.text for word in ("mac", "qwen-7b", "llama-7b"))
