"""End the flock that `cluster/up` started: exactly its processes, and none that has got one of their numbers since."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from flock.detached import Ledger   # noqa: E402
from up import state_folder         # noqa: E402

# A replica says goodbye and lets its answers end; see drain_seconds in up.py.
SECONDS = 20


def main() -> None:
    folder = state_folder()
    ledger = Ledger(folder)
    if not ledger.entries():
        print("no flock is written down here; nothing was ended")
        return
    living = ledger.living()
    gone = [entry["name"] for entry in ledger.entries() if entry not in living]
    if gone:
        print(f"ended before: {', '.join(gone)}")
    ledger.end(SECONDS)
    print(f"{len(living)} processes ended")
    # Logs, keys and data of a flock that is no more.
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
