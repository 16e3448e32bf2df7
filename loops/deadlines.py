"""Deadlines: when something falls due without anybody acting. The sweep turns due ones into signals."""

from typing import Literal

from loops.values import Instant, Value

DeadlineKind = Literal["expire", "escalate", "remind", "snooze"]


class Deadline(Value):
    """
    One instant at which the engine must be asked what follows.

    A request has one at a time, under an id made of its own: that of the next moment on its time line. `kind` says
    what that is; what takes effect is judged when it falls due.
    """

    deadline_id: str
    kind: DeadlineKind
    tenant: str
    instance_id: str
    request_id: str
    due_at: Instant
