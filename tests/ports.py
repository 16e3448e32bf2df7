"""Ports for processes that tests start: of loopback, free, and never given to anybody who only asks for *some* port."""

import os
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager

#: Below where systems take the ports of outgoing connections from (32768 and up on Linux, 49152 elsewhere) and above
#: what services listen on: between the choice and the start of whoever is to listen there, nobody gets one by chance.
FIRST, LAST = 20_000, 32_000

_random = random.Random(f"{os.getpid()} {os.urandom(8).hex()}")


def free_ports(count: int) -> list[int]:
    """Return *count* different ports of loopback that nobody listens on."""
    found: list[int] = []
    for port in _random.sample(range(FIRST, LAST), LAST - FIRST):
        if _is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise AssertionError(f"of the ports {FIRST} to {LAST} only {len(found)} are free")


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
