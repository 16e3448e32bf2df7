"""Ports for processes that tests start: of loopback, free, and never given to anybody who only asks for *some* port."""

import itertools
import os
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager

#: Below where systems take the ports of outgoing connections from (32768 and up on Linux, 49152 elsewhere) and above
#: what services listen on: between the choice and the start of whoever is to listen there, nobody gets one by chance.
FIRST, LAST = 20_000, 32_000

_random = random.Random(f"{os.getpid()} {os.urandom(8).hex()}")

#: All of them in an order of this process's own, again and again: whoever was given one has long begun to listen there
#: when its turn comes once more.
_turns = itertools.cycle(_random.sample(range(FIRST, LAST), LAST - FIRST))


def free_ports(count: int) -> list[int]:
    """Return *count* different ports of loopback that nobody listens on, nor was given lately."""
    found = list(itertools.islice(filter(_is_free, itertools.islice(_turns, LAST - FIRST)), count))
    assert len(found) == count, f"of the ports {FIRST} to {LAST} only {len(found)} are free"
    return found


@contextmanager
def refusing() -> Iterator[int]:
    """Yield a port of loopback where connections are refused: it is taken, so that nobody comes to listen there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
