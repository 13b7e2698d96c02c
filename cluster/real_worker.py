#!/usr/bin/env python3
"""Apple's own MLX behind Starling: `mlx_lm.server` with a tiny random model, a key and a curl. Ctrl-C ends both.

    make real-worker
    DEMO_ONCE=1 make real-worker     pastes its own curl, checks the answer and ends
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from demo import expect, port_and_end                       # noqa: E402
from flock.real_workers import CannotRunHere, MLXWorker       # noqa: E402
from flock.replica import Replica                           # noqa: E402


def main() -> None:
    port, ended = port_and_end()
    once = bool(os.environ.get("DEMO_ONCE"))
    try:
        worker = MLXWorker()
        replica = Replica([worker.node()], {"server": {"port": port}, "replica": {"name": "gw-real"}}, echo=not once)
    except (CannotRunHere, AssertionError) as failure:
        sys.exit(str(failure))
    curl = (f"curl -N -s http://127.0.0.1:{replica.port}/v1/chat/completions \\\n"
            f"     -H 'Authorization: Bearer {replica.key}' -H 'Content-Type: application/json' \\\n"
            """     -d '{"model": "tiny-llama", "stream": true, "max_tokens": 24,"""
            """ "messages": [{"role": "user", "content": "hello"}]}'""")
    print(f"\nmlx_lm.server (pid {worker.child.pid}) serves tiny-llama behind Starling. It talks nonsense, on purpose.\n\n{curl}\n",
          flush=True)
    try:
        if once:
            answer = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, timeout=120).stdout
            expect('"finish_reason"' in answer and answer.rstrip().endswith("data: [DONE]"), "the stream is whole", answer)
        else:
            while not ended.wait(0.2) and worker.child.is_running and replica.child.is_running:
                pass
    finally:
        replica.child.stop()
        worker.stop()
    print("all ended")


if __name__ == "__main__":
    main()
