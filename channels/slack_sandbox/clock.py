"""The sandbox's time: the machine's clock plus whatever a test has advanced it by."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class Clock:
    """
    Wall-clock seconds since the epoch, movable forward by the control API.

    Args:
        machine: The machine's time; tests that count have one that stands still.
        offset_s: Added to the machine's time: lifetimes of triggers and response URLs follow it.
        signature_skew_s: Added only to the timestamp deliveries are signed with, to play a clock gone wrong.
    """

    machine: Callable[[], float] = time.time
    offset_s: float = 0.0
    signature_skew_s: float = 0.0

    def now(self) -> float:
        """Seconds since the epoch, as the workspace sees them."""
        return self.machine() + self.offset_s

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass at once."""
        self.offset_s += seconds
