"""Faults a test asks for: the next calls of a method, or the next deliveries of a kind, go wrong in a stated way."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

FaultKind = Literal[
    "ratelimited",
    "429",
    "5xx",
    "slow",
    "reset_after_accept",
    "hang_after_accept",
    "drop",
    "error",
    "duplicate",
    "lost_ack",
]


class Fault(BaseModel):
    """
    What goes wrong with the next *count* calls of *method*, once *skip* of them went well.

    Args:
        method: A Web API method, a delivery kind (`block_actions`, `view_submission`, `view_closed`, `command`,
            `event`) or ``*`` for every Web API method.
        kind: ``429`` (or ``ratelimited``) and ``5xx`` answer so; ``slow`` waits *delay_s* first; ``reset_after_accept``
            does the work, then breaks the connection; ``hang_after_accept`` does the work and answers after *delay_s*;
            ``drop`` breaks it (or sends nothing) without doing the work; ``error`` answers Slack's *error*;
            ``duplicate`` sends a delivery twice at once; ``lost_ack`` delivers, and the app's answer never arrives.
    """

    model_config = ConfigDict(extra="forbid")

    method: str
    kind: FaultKind
    count: int = Field(default=1, ge=1)
    skip: int = Field(default=0, ge=0)
    retry_after_s: int = Field(default=1, ge=0)
    delay_s: float = Field(default=1.0, ge=0)
    status: int = Field(default=503, ge=500, le=599)
    error: str = "internal_error"


class FaultDesk:
    """The faults still waiting to happen, oldest first."""

    def __init__(self) -> None:
        self.waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Ask for *fault*."""
        self.waiting.append(fault)

    def take_for_call(self, method: str) -> Fault | None:
        """The fault that hits this Web API call, used up by one."""
        return self._take({method, "*"})

    def take_for_delivery(self, kind: str) -> Fault | None:
        """The fault that hits this delivery, used up by one."""
        return self._take({kind})

    def _take(self, names: set[str]) -> Fault | None:
        meant = [fault for fault in self.waiting if fault.method in names]
        fault = next((each for each in meant if each.skip == 0), None)
        for each in meant:
            each.skip = max(0, each.skip - 1)
        if fault is not None:
            fault.count -= 1
            if fault.count == 0:
                self.waiting.remove(fault)
        return fault
