"""Stuck: a process whose event loop stands still ends itself, so that whoever keeps it up replaces it."""

import asyncio
import contextlib
import faulthandler
from collections.abc import Iterator


@contextlib.contextmanager
def ended_when_stuck(loop: asyncio.AbstractEventLoop, stuck_s: float) -> Iterator[None]:
    """
    End this process, with every thread's traceback on the error output, once *loop* stands still for *stuck_s*.

    What blocks a loop cannot be cancelled, and holds up everything else on it; what it had in hand is taken up or sent
    again elsewhere. faulthandler's thread needs no GIL, so code that holds it is seen too. The loop may be another
    thread's.
    """

    async def alive() -> None:
        while True:
            faulthandler.dump_traceback_later(stuck_s, exit=True)
            await asyncio.sleep(stuck_s / 10)

    watching = asyncio.run_coroutine_threadsafe(alive(), loop)
    try:
        yield
    finally:
        watching.cancel()
        faulthandler.cancel_dump_traceback_later()
