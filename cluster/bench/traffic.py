"""Streams to a replica, timed: when the first token came, when the last, what was cached."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass


@dataclass
class Timed:
    """Seconds of the client's clock since the request was sent."""

    first: float = 0.0
    last: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    text: str = ""
    worker: str = ""
    trouble: str = ""


async def lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The lines of a chunked body, wherever it is cut."""
    kept = b""
    while size := int(await reader.readline(), 16):
        kept += (await reader.readexactly(size + 2))[:-2]
        *whole, kept = kept.split(b"\n")
        for line in whole:
            yield line


async def stream(port: int, key: str, body: dict, seconds: float = 300) -> Timed:
    """One streamed chat on a connection of its own."""
    told = Timed()
    payload = json.dumps(body | {"stream": True, "stream_options": {"include_usage": True}}).encode()
    begun = time.monotonic()
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
            writer.write((f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
                          f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\nConnection: close\r\n\r\n"
                          ).encode() + payload)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            status = int(head.split()[1])
            if status != 200:
                told.trouble = f"{status}: {(await reader.read(2_000))!r}"
                return told
            told.worker = next((line.split(":", 1)[1].strip() for line in head.splitlines()
                                if line.startswith("x-starling-worker:")), "")
            async for line in lines(reader):
                if not line.startswith(b"data: {"):
                    continue
                event = json.loads(line[6:])
                if "error" in event:
                    told.trouble = json.dumps(event["error"])
                if usage := event.get("usage"):
                    told.prompt_tokens, told.completion_tokens = usage["prompt_tokens"], usage["completion_tokens"]
                    told.cached_tokens = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
                for choice in event.get("choices", []):
                    if words := choice["delta"].get("content"):
                        told.last = time.monotonic() - begun
                        told.first = told.first or told.last
                        told.text += words
            writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
        told.trouble = told.trouble or f"{type(error).__name__}: {error}"
    return told


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
