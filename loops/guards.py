"""
Guards: deterministic policy checks before a commit. The values they judge by and answer with.

Runtime guards stand in `loops.runtime_guards`. Module guards are Python callables, external guards are questions to a
policy point; both come in from the gateway. `loops.judging` asks them all.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple, Protocol

from pydantic import Field

from loops.actors import Actor
from loops.instance import LoopInstance
from loops.values import Value

EvaluatedBy = Literal["runtime", "module", "external"]


class GuardVerdict(Value):
    """
    What one guard said. Passed verdicts are recorded too; `code` and `message` say why one failed.

    `parameters` are those it judged by, defaults included. `duration_us` is in microseconds. An external guard's
    verdict has `latency_us`, how long its policy point took, and the `decision_id` that point logged it under.
    """

    guard_id: str
    severity: Literal["hard", "soft"]
    evaluated_by: EvaluatedBy = "runtime"
    passed: bool
    code: str | None = None
    message: str | None = None
    parameters: Mapping[str, Any] = Field(default_factory=dict)
    duration_us: Annotated[int, Field(ge=0)] = 0
    latency_us: Annotated[int, Field(ge=0)] | None = None
    decision_id: str | None = None


class GuardContext(NamedTuple):
    """
    Everything a guard may look at. All of it is to be read, none of it to be changed.

    `evidence` is what came with this request; what earlier transitions brought is `instance.evidence`. `approvals` are
    the decisions on the instance's latest approval request so far. `is_approved` says that a human's approval stands
    behind the transition: the answer being judged approves it, or the latest approval request was approved.
    """

    actor: Actor
    evidence: Mapping[str, Any]
    instance: LoopInstance
    now: datetime
    transition_id: str = ""
    approvals: Sequence[Value] = ()
    is_approved: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """
    A guard's objection: a stable code and a sentence for people.

    `judged` is False where the guard could not come to a judgement. A definition's own `failureMessage` speaks for an
    objection, never for that: people must see that nothing was judged.
    """

    code: str
    message: str
    judged: bool = True


class NoParameters(Value):
    """A guard that takes no parameters."""


@dataclass(frozen=True, slots=True)
class Guard:
    """
    A guard: the model its parameters must fit, and the judgement on a context and one of that model. None means passed.

    A runtime guard is synchronous and does no I/O. A module guard may be a coroutine function; one that is not runs in
    a thread of its own, so that a slow one can be given up.
    """

    parameters: type[Value]
    judge: Callable[[GuardContext, Any], Failed | Awaitable[Failed | None] | None]
    evaluated_by: Literal["runtime", "module"] = "runtime"


@dataclass(frozen=True, slots=True)
class PolicyAnswer:
    """What a policy point decided. `code` and `message` say why it denied; `latency_us` is in microseconds."""

    allow: bool
    code: str | None = None
    message: str | None = None
    decision_id: str | None = None
    latency_us: int | None = None


class PolicyPoint(Protocol):
    """A policy decision point: something outside that is asked and says allow or deny."""

    async def ask(self, question: Mapping[str, Any]) -> PolicyAnswer:
        """
        Return the decision on *question*, which is JSON.

        Raises:
            Unavailable: If the point did not answer in time, or not at all.
            Rejected: If its answer is not a decision.
        """


def is_confidence(value: Any) -> bool:
    """Return whether *value* is a finite number in [0, 1]; True, "0.9" and [1] are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1
