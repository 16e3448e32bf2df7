"""Deadlines: when something falls due without anybody acting. The sweep turns due ones into signals."""

from typing import Literal

from loops.values import Instant, Value

DeadlineKind = Literal["expire"]


class Deadline(Value):
    """One instant at which the engine must be asked what follows. The id is made of the request and the kind."""

    deadline_id: str
    kind: DeadlineKind
    tenant: str
    instance_id: str
    request_id: str
    due_at: Instant
