"""
Replay: a recorded history judged again.

The state of an instance is made from its events alone; every request, answer and result on the ledger is put to the
decision functions anew, with the verdicts, groups, ids and instants that were recorded, under the pinned definition.
What they say must be what was recorded, event by event, type and data. Where it is not, either somebody wrote a
history that this engine would not have made, or the engine has changed.

A *step* is what one commit left: its first event says which decision function made it (`loops.steps`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loops.approvals import ApprovalRequest
from loops.comparing import Difference, differences
from loops.definition import LoopDefinition
from loops.draft import Decided
from loops.events import Event
from loops.instance import LoopInstance
from loops.recorded import Before, Step
from loops.steps import FOLLOWING, STEPS
from loops.values import Value


class Deviation(Value):
    """
    Where the engine says something else than the ledger: at event `sequence`, in a step that began at `step`.

    `reason` says what was tried; `differences` are recorded | judged again, for the first event that differs.
    """

    sequence: int
    step: int
    reason: str
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Replayed:
    """
    What became of a replay: the steps judged again, and the first deviation, if any.

    `instance` and `requests` are as they stand after the last step that agreed.
    """

    steps: int
    events: int
    instance: LoopInstance | None
    requests: Mapping[str, ApprovalRequest]
    deviation: Deviation | None


#: Fields of an instance that events do not say: they count commits, those without an event too.
NOT_IN_EVENTS = frozenset({"version", "updated_at", "head"})


def replay(events: Sequence[Event], definition: LoopDefinition) -> Replayed:
    """
    Judge a whole history again, up to the first deviation.

    *events* must verify (`loops.ledger`), or nothing is proven; nothing is raised for what they say.
    """
    run = _Run(events, definition)
    steps = 0
    while run.place < len(events):
        try:
            deviation = run.step()
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
            reason = f"a {events[run.place].type} like this cannot be judged again: {type(error).__name__}: {error}"
            deviation = Deviation(sequence=run.place + 1, step=run.place + 1, reason=reason[:500])
        if deviation:
            return Replayed(steps, run.place, run.instance, run.requests, deviation)
        steps += 1
    return Replayed(steps, run.place, run.instance, run.requests, None)


def standing(replayed: Replayed, instance: LoopInstance) -> tuple[Difference, ...]:
    """Return what a stored *instance* says otherwise than its ledger, replayed to the end."""
    if replayed.instance is None:
        return (Difference(path="instance", left=instance.instance_id, right=None),)
    told, stored = ({name: getattr(each, name) for name in _TOLD} for each in (replayed.instance, instance))
    views = [LoopInstance.model_construct(**each).as_json() for each in (stored, told)]
    return tuple(differences(views[0], views[1]))


_TOLD = tuple(name for name in LoopInstance.model_fields if name not in NOT_IN_EVENTS)


@dataclass
class _Run:
    """One replay under way. `place` counts the events that agreed."""

    events: Sequence[Event]
    definition: LoopDefinition
    place: int = 0
    instance: LoopInstance | None = None
    requests: dict[str, ApprovalRequest] = field(default_factory=dict)

    def step(self) -> Deviation | None:
        """Judge the next step again; None where it agrees."""
        first = self.events[self.place]
        make = STEPS.get(first.type)
        if make is None:
            reason = f"nothing begins with {first.type}" if first.type in FOLLOWING else f"{first.type} is not known"
            return Deviation(sequence=self.place + 1, step=self.place + 1, reason=reason)
        if (self.instance is None) != (first.type == "loop.started"):
            return Deviation(
                sequence=self.place + 1, step=self.place + 1, reason="a history begins with loop.started, once"
            )
        closest: Deviation | None = None
        before = Before(self.definition, self.instance, self.requests)
        for judged in make(Step(before, first, self.events[self.place :])):
            deviation = self._compare(judged)
            if deviation is None:
                self._take(judged)
                return None
            if closest is None or deviation.sequence > closest.sequence:
                closest = deviation
        return closest or Deviation(
            sequence=self.place + 1, step=self.place + 1, reason=f"nothing on the ledger led to this {first.type}"
        )

    def _compare(self, judged: Decided) -> Deviation | None:
        made = judged.commit.events if judged.commit else ()
        for index, event in enumerate(made):
            at = self.place + index
            recorded = self.events[at] if at < len(self.events) else None
            if recorded is None:
                found: tuple[Difference, ...] = (Difference(path="type", left=None, right=event.type),)
            else:
                found = tuple(differences(_view(recorded), _view(event)))
            if found:
                return Deviation(
                    sequence=at + 1, step=self.place + 1, reason=f"judged again: {_words(judged)}", differences=found
                )
        if not made:
            return Deviation(sequence=self.place + 1, step=self.place + 1, reason="judged again, nothing is recorded")
        return None

    def _take(self, judged: Decided) -> None:
        if judged.commit is None:
            return
        self.place += len(judged.commit.events)
        self.instance = judged.commit.instance
        for request in judged.commit.requests:
            self.requests[request.request_id] = request


def _view(event: Event) -> dict[str, Any]:
    return {"type": event.type, "data": event.data}


def _words(judged: Decided) -> str:
    outcome = judged.outcome
    return f"{outcome.outcome}, {outcome.code}" if hasattr(outcome, "code") else outcome.outcome
