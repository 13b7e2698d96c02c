"""One exchange with a worker, asked directly: the exact bytes that came, and what they mean."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property

from raw_client import Cut, Head, RawConnection

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
HELLO = [{"role": "user", "content": "hello"}]
LEFT_OUT = object()
"""As the value of a member: the request does not have it."""


class HungUp(AssertionError):
    """The worker closed the connection without a byte."""


@dataclass(frozen=True)
class Told:
    """A whole answer."""

    head: Head
    body: bytes
    is_whole: bool = True
    """False where the framing promised more than came: the body is then left out."""

    @property
    def status(self) -> int:
        return self.head.status

    @cached_property
    def json(self):
        return json.loads(self.body)

    @cached_property
    def comments(self) -> list[str]:
        return [line for line in self.body.decode().splitlines() if line.startswith(":")]

    @cached_property
    def data(self) -> list[str]:
        return [line[len("data: "):] for line in self.body.decode().splitlines() if line.startswith("data: ")]

    @cached_property
    def events(self) -> list:
        """The stream's events in JSON, a null among them, without the end mark."""
        return [json.loads(text) for text in self.data if text != "[DONE]"]

    @property
    def is_done(self) -> bool:
        return self.data[-1:] == ["[DONE]"]

    def choices(self, index: int = 0) -> list[dict]:
        """What the events of a stream say of one choice, one after another."""
        return [choice for event in self.events if event for choice in event.get("choices") or [] if choice["index"] == index]

    def text(self, index: int = 0) -> str:
        """What a choice says in all, of a plain answer or of a stream, of a chat or of a text."""
        if self.data:
            said = [choice.get("text") or (choice.get("delta") or {}).get("content") or "" for choice in self.choices(index)]
            return "".join(said)
        choice = self.json["choices"][index]
        return choice["text"] if "text" in choice else choice["message"]["content"] or ""

    @property
    def finish(self) -> str | None:
        """The last reason given for the end of choice 0."""
        reasons = [choice["finish_reason"] for choice in (self.choices() if self.data else self.json["choices"])]
        return next((reason for reason in reversed(reasons) if reason), None)

    @property
    def usages(self) -> list[dict]:
        return [event["usage"] for event in self.events if event and event.get("usage")]


def chat(worker, **members) -> dict:
    """A small chat for this worker: five tokens, greedy."""
    return _request({"model": worker.upstream_name, "messages": HELLO, "max_tokens": 5, "temperature": 0}, members)


def text(worker, **members) -> dict:
    return _request({"model": worker.upstream_name, "prompt": "hello", "max_tokens": 5, "temperature": 0}, members)


def _request(base: dict, members: dict) -> dict:
    return {name: value for name, value in (base | members).items() if value is not LEFT_OUT}


def begin(worker, path: str, body: dict | str | bytes, fields: tuple[str, ...] = (), seconds: float = 60) -> RawConnection:
    """Send a request and leave its answer on the connection."""
    connection = RawConnection(worker.port, seconds=seconds)
    connection.post(path, body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode(),
                    None, fields)
    return connection


def listen(connection: RawConnection) -> Told:
    """The answer that is on its way."""
    try:
        head = connection.read_head()
    except (Cut, ConnectionError) as failure:
        raise HungUp("the worker hung up without an answer") from failure
    try:
        return Told(head, connection.read_body(head))
    except (Cut, ConnectionError):
        return Told(head, b"", is_whole=False)


def ask(worker, path: str, body: dict | str | bytes, seconds: float = 60) -> Told:
    with begin(worker, path, body, seconds=seconds) as connection:
        return listen(connection)


def get(worker, path: str) -> Told:
    with RawConnection(worker.port) as connection:
        connection.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return listen(connection)


def is_refused(worker) -> bool:
    """Whether nobody listens on the worker's port."""
    try:
        RawConnection(worker.port, seconds=2).socket.close()
        return False
    except ConnectionRefusedError:
        return True
