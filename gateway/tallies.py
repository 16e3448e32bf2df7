"""
Tallies: the figures of processes behind one address, in memory they share.

Each writes in the part of its own place and reads all of them, so that whoever is asked knows what all have counted.
The memory is the pool's: when a process dies, however it does, its part stays as it was, and who takes its place goes
on counting there. So what is counted never goes back. What is true of a process only while it lives, its *levels*, is
wiped out by the pool. A process alone has memory of its own.
"""

import json
import mmap
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Literal

import structlog

log = structlog.stdlib.get_logger()

#: Bytes of a place: some ten thousand figures. Only what is written to takes room.
PART = 1024 * 1024

#: The level that names the process of a place; 0 where there is none.
PID = "pid"

#: The level that says how many connections a process has.
CONNECTIONS = "connections"

_Kind = Literal["count", "level"]
_Key = tuple[str, ...]


class Tallies:
    """
    The figures of *places* processes, as the one at *place* sees and writes them; with None they are only watched.

    Args:
        descriptor: Of the memory that `shared_memory` made; None for memory of this process alone.
    """

    def __init__(self, descriptor: int | None = None, *, places: int = 1, place: int | None = 0) -> None:
        self.places, self.place = places, place
        self._memory = mmap.mmap(-1 if descriptor is None else descriptor, places * PART)
        self._numbers = memoryview(self._memory).cast("q")
        self._known: list[dict[_Key, int]] = [{} for _ in range(places)]
        # Nothing begins at 0, which stands for nowhere.
        self._ends = [place * PART + 16 for place in range(places)]
        self._lock = threading.Lock()
        self._is_full = False
        if place is not None:
            self.wipe(place)
            self.set_level(PID, os.getpid())

    def add(self, name: str, *labels: str, by: int = 1) -> None:
        """Count *by* more of *name* with these labels."""
        with self._lock:
            if at := self._writable("count", name, *labels):
                self._numbers[at] += by

    def counts(self, name: str) -> dict[tuple[str, ...], int]:
        """Return what all places have counted of *name*, by labels."""
        totals: Counter[tuple[str, ...]] = Counter()
        for place in range(self.places):
            for (kind, of, *labels), at in self._read(place):
                if (kind, of) == ("count", name):
                    totals[tuple(labels)] += self._numbers[at]
        return totals

    def set_level(self, name: str, value: int) -> None:
        """Say how things stand with *name* in this process."""
        with self._lock:
            if at := self._writable("level", name):
                self._numbers[at] = value

    def levels(self, name: str) -> dict[int, int]:
        """Return how things stand with *name*, by place, where a process is and said so."""
        found = ((place, self._level(place, name)) for place in range(self.places) if self._level(place, PID))
        return {place: level for place, level in found if level is not None}

    def wipe(self, place: int) -> None:
        """Forget how things stood with the process that was at *place*; what it counted stays."""
        for (kind, *_), at in self._read(place):
            if kind == "level":
                self._numbers[at] = 0

    def _level(self, place: int, name: str) -> int | None:
        key = ("level", name)
        at = self._known[place].get(key)
        if at is None:
            at = dict(self._read(place)).get(key)
        return None if at is None else self._numbers[at]

    def _writable(self, kind: _Kind, *names: str) -> int:
        """Return where this process keeps a figure, which begins at 0; 0 where there is no more room."""
        if self.place is None:
            raise ValueError("who has no place only watches")
        key = (kind, *names)
        known = self._known[self.place]
        if key not in known:
            known = dict(self._read(self.place))
        return known[key] if key in known else self._append(self.place, key)

    # A figure is a number, the length of its key, and the key: JSON, padded to whole numbers. Numbers are aligned, so
    # that a reader sees the one before or the one after; the length is written last, so that nobody sees half a key.

    def _append(self, place: int, key: _Key) -> int:
        text = json.dumps(key).encode()
        start = self._ends[place]
        end = start + 16 + (len(text) + 7) // 8 * 8
        if end + 16 > (place + 1) * PART:
            if not self._is_full:
                self._is_full = True
                log.error("tallies.full", name=key[1])
            return 0
        self._memory[start + 16 : start + 16 + len(text)] = text
        self._numbers[start // 8 + 1] = len(text)
        return dict(self._read(place))[key]

    def _read(self, place: int) -> Iterator[tuple[_Key, int]]:
        """Yield every figure of a place with where its number is, those that came since the last time too."""
        known = self._known[place]
        while length := self._numbers[self._ends[place] // 8 + 1]:
            start = self._ends[place]
            known[tuple(json.loads(self._memory[start + 16 : start + 16 + length]))] = start // 8
            self._ends[place] = start + 16 + (length + 7) // 8 * 8
        yield from list(known.items())


def shared_memory(places: int) -> int:
    """Return a descriptor of memory for the tallies of *places* processes; it is gone when nobody has it any more."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("loopgate-tallies")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.truncate(descriptor, places * PART)
    return descriptor
