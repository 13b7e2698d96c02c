"""A replica before a worker: the same requests by the name that clients know."""

from __future__ import annotations

import json

from flock.replica import Replica
from talk import Told
from raw_client import RawConnection

MODEL = "tiny-llama"
ALIASES = {"gpt-4o-mini": MODEL, "llama-7b": MODEL}
"""Names that tests borrowed from elsewhere ask for."""


def replica_before(worker) -> Replica:
    return Replica([worker.node()], {"models": {"aliases": ALIASES}})


def ask_starling(replica: Replica, path: str, body: dict | str, seconds: float = 60) -> Told:
    """As `talk.ask`, with the replica's key and the model's public name."""
    if isinstance(body, dict):
        body = json.dumps(body | {"model": MODEL})
    with RawConnection(replica.port, seconds=seconds) as connection:
        connection.post(path, body.encode(), replica.key)
        return connection_answer(connection)


def connection_answer(connection: RawConnection) -> Told:
    answer = connection.read_answer()
    return Told(answer.head, answer.body)
