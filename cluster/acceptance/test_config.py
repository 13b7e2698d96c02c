"""The operator's side: mistakes are answered with place and remedy, and what is in effect can be asked."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from flock.child import quiet_environment
from flock.replica import bootstrap_key
from flock.repository import ROOT, starling_binary

GOOD = """\
server:
  host: "127.0.0.1"
  port: 0
auth: {enabled: true}
cluster: {secret_file: "data/cluster.secret"}
load_balancing: {strategy: "round_robin"}
cluster_nodes:
  - {node_id: "w1", host: "127.0.0.1", port: 9, kind: "openai", models: ["m"], api_key: "sk-very-secret"}
"""


def starling(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess:
    return subprocess.run([starling_binary(), *arguments], capture_output=True, text=True, timeout=20,
                          env=quiet_environment() | variables)


@pytest.fixture
def config(tmp_path) -> Path:
    path = tmp_path / "gateway.yaml"
    path.write_text(GOOD)
    return path


def test_a_good_file(config):
    done = starling("config", "check", "--config", config)
    assert done.returncode == 0, done.stderr


def test_the_example_is_good():
    done = starling("config", "check", "--config", ROOT / "config" / "gateway.yaml")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("old, new, line, words", [
    ('strategy: "round_robin"', 'stratgy: "round_robin"', 6, ["stratgy", 'did you mean "strategy"', "load_balancing"]),
    ('strategy: "round_robin"', 'strategy: "round_robbin"', 6, ["round_robbin", "round_robin"]),
    ("port: 0", 'port: "many"', 3, ["port", "many"]),
    ("port: 0", "port: 70000", 3, ["70000", "65535"]),
    ("port: 0", "port: 1:30", 3, ["port"]),
    ("enabled: true", "enabled: perhaps", 4, ["enabled"]),
    ('kind: "openai"', 'kind: "opnai"', 8, ["opnai", "openai"]),
    ("server:", "sever:", 1, ["sever", "server"]),
    ('host: "127.0.0.1"\n', 'host: "127.0.0.1"\n  host: "127.0.0.1"\n', 3, ["host"]),
    ("cluster_nodes:\n", 'cluster_nodes:\n  - {node_id: "w1", host: "h", port: 1, kind: "openai", models: ["m"]}\n', 9, ["w1", "node_id"])])
def test_a_mistake_is_answered_with_place_and_remedy(config, old, new, line, words):
    config.write_text(GOOD.replace(old, new, 1))
    for command in (("config", "check"), ("serve",)):
        done = starling(*command, "--config", config)
        assert done.returncode == 78, f"{command} ended with {done.returncode}: {done.stderr}"
        assert f"gateway.yaml:{line}" in done.stderr, done.stderr
        for word in words:
            assert word in done.stderr, done.stderr
        assert "sk-very-secret" not in done.stderr + done.stdout


def test_all_mistakes_at_once(config):
    config.write_text(GOOD.replace("port: 0", "port: 70000").replace("strategy", "stratgy"))
    done = starling("config", "check", "--config", config)
    assert "gateway.yaml:3" in done.stderr and "gateway.yaml:6" in done.stderr


@pytest.mark.parametrize("text", ["", "server: [1, 2\n", "just words\n", "- a\n- b\n", "\x00"])
def test_what_is_no_settings_file(config, text):
    config.write_text(text)
    done = starling("config", "check", "--config", config)
    if text:
        assert done.returncode == 78, done.stderr
        assert "gateway.yaml" in done.stderr
    else:
        assert done.returncode == 0, "an empty file means the defaults"


def test_a_missing_file(tmp_path):
    done = starling("serve", "--config", tmp_path / "nothing.yaml")
    assert done.returncode == 78
    assert "nothing.yaml" in done.stderr


def test_environment_and_set_override(config):
    shown = starling("config", "show", "--config", config, "--set", "server.workers=2", STARLING_SERVER__PORT="8123").stdout
    port = next(line for line in shown.splitlines() if "port" in line and "8123" in line)
    assert "STARLING_SERVER__PORT" in port
    workers = next(line for line in shown.splitlines() if "workers" in line)
    assert "2" in workers and "--set" in workers
    host = next(line for line in shown.splitlines() if "host" in line)
    assert "gateway.yaml:2" in host


def test_set_wins_over_environment(config):
    shown = starling("config", "show", "--config", config, "--set", "server.port=8002", STARLING_SERVER__PORT="8001").stdout
    assert "8002" in shown and "8001" not in shown


def test_wrong_environment_and_set(config):
    done = starling("config", "check", "--config", config, STARLING_SERVER__PROT="8001")
    assert done.returncode == 78 and "STARLING_SERVER__PROT" in done.stderr and "STARLING_SERVER__PORT" in done.stderr
    done = starling("config", "check", "--config", config, "--set", "server.port=many")
    assert done.returncode == 78 and "server.port" in done.stderr


def test_secrets_are_hidden(config):
    shown = starling("config", "show", "--config", config)
    assert shown.returncode == 0
    assert "api_key" in shown.stdout
    assert "sk-very-secret" not in shown.stdout + shown.stderr


def test_bootstrap_key(config):
    """The key is printed alone, is the same each time, and its secret is for the owner only."""
    done = starling("keys", "bootstrap", "--config", config)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 1 and done.stdout.endswith("\n")
    secret = config.parent / "data" / "cluster.secret"
    assert stat.S_IMODE(os.stat(secret).st_mode) == 0o600
    assert starling("keys", "bootstrap", "--config", config).stdout == done.stdout
    assert done.stdout.strip() not in secret.read_text()


def test_another_secret_makes_another_key(config, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "gateway.yaml").write_text(GOOD)
    assert bootstrap_key(config) != bootstrap_key(other / "gateway.yaml")


def test_a_secret_that_others_may_read_is_refused(config):
    bootstrap_key(config)
    secret = config.parent / "data" / "cluster.secret"
    secret.chmod(0o644)
    done = starling("serve", "--config", config)
    assert done.returncode not in (0, None)
    assert "cluster.secret" in done.stderr and "600" in done.stderr


def test_a_taken_port_is_told(config):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = starling("serve", "--config", config, "--set", f"server.port={port}")
    assert done.returncode not in (0, None)
    assert str(port) in done.stderr
    assert "in use" in done.stderr.lower()


def test_auth_may_be_off(stage):
    worker = stage.worker()
    replica = stage.replica([worker], {"auth": {"enabled": False}})
    status, _, _ = replica.request("POST", "/v1/chat/completions",
                                   '{"model":"m","messages":[{"role":"user","content":"hi"}]}', key=None)
    assert status == 200


@pytest.mark.parametrize("arguments", [("--help",), ("serve", "--help"), ("config", "--help"), ("keys", "--help"), ("worker-sim", "--help")])
def test_help(arguments):
    done = starling(*arguments)
    assert done.returncode == 0
    assert "USAGE" in done.stdout.upper()


def test_unknown_command():
    done = starling("sevre")
    assert done.returncode == 64
    assert "sevre" in done.stderr
