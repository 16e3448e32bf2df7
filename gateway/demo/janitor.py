"""
The janitor: `python -m gateway.demo.janitor FD HOME` cleans up after a supervisor that could not.

It waits on the same pipe as the leash. A supervisor that stopped in order has removed *HOME* by then, and nothing is
left to do; after a kill -9 the store is still running in it, because the store outlives its starter by design.
"""

import shutil
import sys
import time
from pathlib import Path

from gateway.leash import GRACE_S, await_end

#: Where the store keeps its data, under the demo's directory.
STORE = "store"


def main() -> None:
    """Wait for the end of the supervisor; stop the store it left and remove its directory."""
    descriptor, home = int(sys.argv[1]), Path(sys.argv[2])
    await_end(descriptor)
    if not home.exists():
        return
    # Imported now: until here this process is a few megabytes that wait.
    from gateway.storage.embedded import EmbeddedServer  # noqa: PLC0415

    time.sleep(GRACE_S)
    if (home / STORE).exists():
        server = EmbeddedServer(home / STORE)
        server.start()
        server.stop()
    shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
