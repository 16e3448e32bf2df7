"""
A leash: `python -m gateway.leash FD MODULE ARGUMENT...` runs a module that ends when its starter is gone.

*FD* is the reading end of a pipe whose only writing end the starter holds. The kernel closes that end however the
starter goes, kill -9 included, on Linux and macOS alike.
"""

import contextlib
import os
import runpy
import signal
import sys
import threading
import time

#: Seconds a process has to end by itself once its starter is gone.
GRACE_S = 3.0

#: Names the file descriptor to which a process writes a byte when it has got up, where its starter wants to know.
READY_FD = "LEASH_READY_FD"

#: What a process writes there instead, when it cannot start as it is configured: another start would not mend that.
REFUSED = b"0"


def main() -> None:
    """Put this process on the leash and become the module."""
    descriptor, module, *arguments = sys.argv[1:]
    threading.Thread(target=_hold, args=(int(descriptor),), name="leash", daemon=True).start()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def say_ready() -> None:
    """Tell whoever started this process, if they want to know, that it has got up."""
    _say(b"1")


def say_refused() -> None:
    """Tell them, unless it has got up, that it is about to end because it cannot start as it is configured."""
    _say(REFUSED)


def _say(word: bytes) -> None:
    # Said once: after that the number may be another file's.
    if ready := os.environ.pop(READY_FD, None):
        with contextlib.suppress(OSError):
            os.write(int(ready), word)
            os.close(int(ready))


def await_end(descriptor: int) -> None:
    """Wait until whoever holds the other end of the pipe is gone; nobody ever writes to it."""
    while os.read(descriptor, 1):
        pass


def _hold(descriptor: int) -> None:
    await_end(descriptor)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)


if __name__ == "__main__":
    main()
