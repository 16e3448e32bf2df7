"""Counts: what goes over the Socket Mode connections of this process, for operators."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

#: What is counted by a stable code or a type.
Sorted = Literal["received", "acknowledged", "unacknowledged", "ended"]


@dataclass(slots=True)
class SocketCounts:
    """
    Everything since the process started; `up` is how many connections are up now.

    Args:
        received: Frames, by type.
        acknowledged: Envelopes, by type.
        unacknowledged: Envelopes that got no acknowledgement, by why: a stable code such as ``replayed``.
        ended: Connections that were replaced or given up, by why.
        not_opened: Attempts that did not come up.
        changed: Told the name of what changed, and of what is counted by code or type, which.
    """

    up: int = 0
    opened: int = 0
    not_opened: int = 0
    received: Counter[str] = field(default_factory=Counter)
    acknowledged: Counter[str] = field(default_factory=Counter)
    unacknowledged: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    changed: Callable[..., None] = lambda *_: None

    def add(self, what: Sorted, which: str) -> None:
        """Count one more."""
        by: Counter[str] = getattr(self, what)
        by[which] += 1
        self.changed(what, which)

    def came_up(self) -> None:
        """Count a connection that is up now."""
        self.up += 1
        self.opened += 1
        self.changed("up")
        self.changed("opened")

    def went_down(self) -> None:
        """Count one less that is up."""
        self.up -= 1
        self.changed("up")

    def did_not_open(self) -> None:
        """Count an attempt that did not come up."""
        self.not_opened += 1
        self.changed("not_opened")
