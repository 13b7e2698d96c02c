"""C1 to C3 and C22: how a worker speaks HTTP, how it takes connections, and what it says while it is not there yet."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import tempfile
from pathlib import Path

import pytest

from column import NotSaid
from flock.patience import until
from flock.real_workers import WORKERS
from raw_client import RawConnection
from subjects import SERVERS, stopped
from talk import CHAT, ask, begin, chat, get, is_refused, listen


def framing(head) -> str:
    if (head.get("transfer-encoding") or "").lower() == "chunked":
        return "chunked"
    return "length" if head.get("content-length") is not None else "eof"


def test_the_version_of_http(worker, expected):
    assert ask(worker, CHAT, chat(worker)).head.raw.split()[0] == expected.version


@pytest.mark.parametrize("answer", ["plain", "stream", "refusal"])
def test_the_framing_of_an_answer(worker, expected, answer):
    members = {"plain": {}, "stream": {"stream": True}, "refusal": {"messages": "hello"}}[answer]
    told = ask(worker, CHAT, chat(worker, **members))
    assert (told.status >= 400) == (answer == "refusal")
    assert framing(told.head) == expected.framing[answer]


@pytest.mark.parametrize("answer", ["plain", "stream"])
def test_the_fields_of_a_head(worker, expected, answer):
    told = ask(worker, CHAT, chat(worker, stream=answer == "stream"))
    assert {name.lower() for name, _ in told.head.fields} - {"date"} == expected.head_fields[answer]


def test_a_connection_is_used_again(worker, expected):
    body = json.dumps(chat(worker)).encode()
    with RawConnection(worker.port) as connection:
        connection.post(CHAT, body, None)
        assert connection.read_answer().status == 200
        if not expected.keeps_connections:
            assert connection.is_closed_by_peer()
            return
        connection.post(CHAT, body, None)
        assert connection.read_answer().status == 200


def test_a_chunked_request_body(worker, expected):
    body = json.dumps(chat(worker)).encode()
    with RawConnection(worker.port) as connection:
        connection.send(f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                        f"Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n")
        assert connection.read_head().status == expected.chunked_request


def test_a_path_with_a_query(worker, expected):
    assert ask(worker, CHAT + "?a=b", chat(worker)).status == expected.query_string


def test_sixteen_connects_while_nobody_accepts(worker, expected):
    """A stopped process stands for one that is busy: what the kernel takes for it is its accept backlog."""
    with stopped(worker.child), contextlib.ExitStack() as connects:
        answered = []
        for _ in range(16):
            connect = connects.enter_context(socket.socket())
            connect.settimeout(0.05)
            answered.append(connect.connect_ex(("127.0.0.1", worker.port)) == 0)
    if expected.accept_backlog == "long":
        assert all(answered)
    else:
        assert any(answered) and not all(answered)


def test_a_stopped_worker_is_connected_to_and_says_nothing(worker):
    # What another test left in its accept queue comes before this.
    with begin(worker, CHAT, chat(worker)) as before:
        assert listen(before).status == 200
    with stopped(worker.child):
        connection = begin(worker, CHAT, chat(worker), seconds=1)
        with pytest.raises(TimeoutError):
            connection.read_head()
    connection.socket.settimeout(30)
    assert listen(connection).status == 200
    connection.socket.close()


def test_health_while_the_model_loads(subject, expected, start):
    if isinstance(expected.health_while_loading, NotSaid):
        pytest.skip(expected.health_while_loading.reason)
    if subject.is_simulated:
        pytest.skip("a simulated worker has its model from the start")
    if subject.kind == "mlx_lm":
        assert health_while_a_file_of_the_model_is_withheld() == expected.health_while_loading
        return
    *loading, ready = statuses_of_a_start(subject.kind)
    assert ready == 200
    assert set(loading) == (set() if expected.health_while_loading == "refused" else {expected.health_while_loading})


def statuses_of_a_start(kind: str) -> list[int]:
    """What health says from the first connect on. The tiny model is loaded in a moment: it is asked all the time."""
    worker = SERVERS[kind]("loading", wait_ready=False)
    statuses: list[int] = []

    def is_ready() -> bool:
        try:
            statuses.append(get(worker, "/health").status)
        except (OSError, AssertionError):
            return False
        return statuses[-1] == 200

    try:
        until("the server is ready", is_ready, 60, every=0.001)
    finally:
        worker.stop()
    return statuses


def health_while_a_file_of_the_model_is_withheld() -> int:
    """The model's configuration is a pipe into which nobody has written yet, so that the load stands still."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        model.mkdir()
        for file in (WORKERS / "models" / "tiny-llama").iterdir():
            if file.name != "config.json":
                (model / file.name).symlink_to(file)
        os.mkfifo(model / "config.json")
        worker = SERVERS["mlx_lm"]("loading", model=model, wait_ready=False)
        try:
            writer = until("the server opens its model's configuration", lambda: opened_for_writing(model / "config.json"), 60)
            until("the server listens", lambda: not is_refused(worker), 60)
            status = get(worker, "/health").status
            os.close(writer)
            return status
        finally:
            worker.child.kill()
            worker.stop()


def opened_for_writing(path: Path) -> int | None:
    """A descriptor, once somebody reads the pipe."""
    try:
        return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None
