"""Recorded and handwritten exchanges, and how to replay one: see exchanges/README.md for the form of the files."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from scripted_worker import Visit

FOLDER = Path(__file__).resolve().parent / "exchanges"
GENERATING = ("/v1/chat/completions", "/v1/completions")
USAGE_FORMS = (b'"stream_options":{"include_usage":true},', b',"stream_options":{"include_usage":true}')


@dataclass
class Exchange:
    name: str
    kind: str
    path: str
    body: bytes
    forwarded: bytes | None
    usage_asked: bool
    status: str
    content_type: str
    framing: str
    fields: tuple[str, ...]
    pieces: list[bytes]
    cut: int | None
    hidden: frozenset[int]

    @property
    def status_code(self) -> int:
        return int(self.status.split()[0])

    @property
    def sent(self) -> bytes:
        """All that the worker says."""
        return b"".join(self.pieces)

    @property
    def relayed(self) -> bytes:
        """What the client must get: all of it, but for the pieces that are named as the gateway's own."""
        return b"".join(piece for place, piece in enumerate(self.pieces) if place not in self.hidden)

    def writes(self) -> list[bytes]:
        if self.cut is None:
            return self.pieces
        return [self.sent[start:start + self.cut] for start in range(0, len(self.sent), self.cut)]

    def play(self, visit: Visit) -> None:
        """Answer a request as the file says."""
        version = "HTTP/1.0" if self.framing in ("eof", "http10-length") else "HTTP/1.1"
        lines = [f"{version} {self.status}", f"Content-Type: {self.content_type}", *self.fields]
        if self.framing == "chunked":
            lines.append("Transfer-Encoding: chunked")
        elif self.framing != "eof":
            lines.append(f"Content-Length: {len(self.sent)}")
        visit.send("\r\n".join(lines).encode() + b"\r\n\r\n")
        for write in self.writes():
            if self.framing == "chunked":
                visit.send_chunk(write)
            else:
                visit.send(write)
        if self.framing == "chunked":
            visit.end_chunks()
        visit.keep = version == "HTTP/1.1"

    def is_faithfully_forwarded(self, arrived: bytes) -> bool:
        """Whether the worker got the client's bytes, but for the splices that the file names."""
        expected = self.body if self.forwarded is None else self.forwarded
        if self.kind != "openai" and b'max_tokens"' not in self.body and b'max_completion_tokens"' not in self.body:
            # A request that sets no limit is given one, as its first member.
            arrived, limits = re.subn(rb'^(\s*\{)"max_tokens":8192,', rb"\1", arrived, count=1)
            if limits != (self.path in GENERATING):
                return False
        if self.kind == "llama_cpp" and self.path in GENERATING and b'"stream":true' in self.body \
                and b'"return_progress":true' not in self.body:
            # A stream is asked for its prompt's progress.
            arrived, wishes = re.subn(rb'^(\s*\{)"return_progress":true,', rb"\1", arrived, count=1)
            if not wishes:
                return False
        if not self.usage_asked:
            return arrived == expected
        return any(form in arrived and arrived.replace(form, b"", 1) == expected for form in USAGE_FORMS)


def load(path: Path) -> Exchange:
    with path.open("rb") as file:
        table = tomllib.load(file)
    request, answer = table["request"], table["answer"]
    pieces = [piece if isinstance(piece, str) else piece["text"] * piece["times"] for piece in answer["pieces"]]
    forwarded = request.get("forwarded")
    return Exchange(
        name=path.stem, kind=table.get("kind", "openai"), path=table.get("path", "/v1/chat/completions"),
        body=request["body"].encode(), forwarded=None if forwarded is None else forwarded.encode(),
        usage_asked=request.get("usage_asked", False), status=answer.get("status", "200 OK"),
        content_type=answer.get("type", "application/json"), framing=answer.get("framing", "length"),
        fields=tuple(answer.get("fields", ())), pieces=[piece.encode() for piece in pieces],
        cut=answer.get("cut"), hidden=frozenset(answer.get("hidden", ())))


def load_all() -> list[Exchange]:
    return [load(path) for path in sorted(FOLDER.glob("*.toml"))]
