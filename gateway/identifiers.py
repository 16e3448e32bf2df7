"""Ids: short, sortable by the time they were made, never repeated."""

import os
import secrets
import socket
import threading
import time

#: Crockford's base 32: no I, L, O, U, so that an id read aloud is an id typed right.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM_BITS = 80

#: Two characters at a time: every commit makes a dozen ids.
_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_SHIFTS = tuple(range(120, -1, -10))


def process_name() -> str:
    """Return a name for this process as the holder of leases, another one at each call."""
    # Two containers may share a host name and a process id, but must not share a lease.
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


class TimeOrderedIds:
    """
    Makes ULID-shaped ids: 48 bits of milliseconds and 80 random bits, as 26 characters behind a prefix.

    Within one process they are strictly increasing, also within a millisecond and when the clock steps back.
    Source of the shape: the ULID specification.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def new(self, prefix: str) -> str:
        """Return a fresh id that begins with *prefix*."""
        fresh = (time.time_ns() // 1_000_000) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
        with self._lock:
            self._last = max(fresh, self._last + 1)
            number = self._last
        return prefix + "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])
