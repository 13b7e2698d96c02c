"""Tell the faulty network of `cluster/up --relay` what to do, one JSON order; prints its answer."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from flock.detached import Ledger   # noqa: E402
from up import state_folder         # noqa: E402


def tell(port: int, order: str) -> dict:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(order.replace("\n", " ").encode() + b"\n")
        return json.loads(connection.makefile().readline())


def main() -> None:
    relay = next((entry for entry in Ledger(state_folder()).living() if entry["role"] == "relay"), None)
    if relay is None:
        sys.exit("no flock with a relay runs here: cluster/up N --relay starts one")
    if len(sys.argv) != 2:
        sys.exit("""cluster/tell ORDER, for example: cluster/tell '{"link": ["gw-1", "gw-2"], "udp": {"loss": 0.2}}'
starling relay --help lists the orders""")
    answer = tell(relay["control_port"], sys.argv[1])
    print(json.dumps(answer, indent=1))
    sys.exit(0 if answer.get("ok") else 1)


if __name__ == "__main__":
    main()
