"""Counts: what goes over the Socket Mode connections of this process, for operators."""

from collections import Counter
from dataclasses import dataclass, field


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
    """

    up: int = 0
    opened: int = 0
    not_opened: int = 0
    received: Counter[str] = field(default_factory=Counter)
    acknowledged: Counter[str] = field(default_factory=Counter)
    unacknowledged: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
