"""
Comparing two histories: the first place where they differ, and how.

Two copies of one history are compared whole. Two runs are compared in what was said and what happened; what only names
one occasion (ids, hashes, instants, where a card was put) is left out, since no two runs share it. Two runs about
different things differ in their first event already, so where their *courses* part is said besides.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from loops.events import Event
from loops.values import Value

#: Fields of events that name one occasion, wherever they stand outside of what callers brought.
OCCASIONAL = frozenset(
    {
        "actual",
        "aggregateId",
        "at",
        "channel",
        "completedAt",
        "decisionId",
        "delta",
        "detail",
        "digest",
        "durationMs",
        "effectId",
        "expiresAt",
        "latencyMs",
        "requestId",
        "result",
        "voided",
    }
)
#: Fields whose inside is the callers' own: compared whole, whatever they call what is in there.
BROUGHT = frozenset({"data", "dataPoints", "parameters", "payload"})
#: Events that only say where something was put.
PLACES = frozenset({"approval.card.posted"})
#: What a course is made of: the type of each event and these of its fields.
COURSE = ("transitionId", "fromState", "toState", "initialState", "finalState", "status", "code", "guardId", "signal")
#: How much of a value is shown.
_SHOWN = 120


class Difference(Value):
    """One thing that is otherwise. `path` is dotted; a side that has nothing there is None."""

    path: str
    left: Any = None
    right: Any = None

    def __str__(self) -> str:
        """``data.actor.id: "dana" | "sam"``."""
        return f"{self.path}: {_short(self.left)} | {_short(self.right)}"


class Divergence(Value):
    """The first event that differs, counted from 1, and everything that differs in it."""

    sequence: int
    differences: tuple[Difference, ...]


class Comparison(Value):
    """
    What came of comparing. `same_history` says that both are copies of one instance's ledger.

    `divergence` is where they first differ in anything, `course` where different things happened; None where nowhere.
    """

    same_history: bool
    events: tuple[int, int]
    divergence: Divergence | None = None
    course: Divergence | None = None


def compare(left: Sequence[Event], right: Sequence[Event]) -> Comparison:
    """Return where two histories first diverge; one that ends earlier diverges where the other goes on."""
    same = bool(left and right) and _owner(left[0]) == _owner(right[0])
    return Comparison(
        same_history=same,
        events=(len(left), len(right)),
        divergence=_first(left, right, Event.as_json if same else _lasting_of),
        course=_first(left, right, _course_of),
    )


def differences(left: Any, right: Any, path: str = "") -> Iterator[Difference]:
    """Yield all that differs between two JSON values. ``1`` and ``1.0`` are one number, ``1`` and true are not."""
    match left, right:
        case Mapping(), Mapping():
            for key in sorted(left.keys() | right.keys()):
                yield from differences(left.get(key), right.get(key), f"{path}.{key}" if path else str(key))
        case ((list() | tuple()), (list() | tuple())) if len(left) == len(right):
            for index, (one, other) in enumerate(zip(left, right, strict=True)):
                yield from differences(one, other, f"{path}[{index}]")
        case _:
            if left != right or isinstance(left, bool) != isinstance(right, bool):
                yield Difference(path=path, left=left, right=right)


def _first(
    left: Sequence[Event], right: Sequence[Event], view: Callable[[Event], Mapping[str, Any]]
) -> Divergence | None:
    for place, (one, other) in enumerate(zip(left, right, strict=False), start=1):
        if found := tuple(differences(view(one), view(other))):
            return Divergence(sequence=place, differences=found)
    if len(left) == len(right):
        return None
    shorter = min(len(left), len(right))
    goes_on = [events[shorter].type if len(events) > shorter else None for events in (left, right)]
    ends = Difference(path="type", left=goes_on[0], right=goes_on[1])
    return Divergence(sequence=shorter + 1, differences=(ends,))


def _lasting_of(event: Event) -> dict[str, Any]:
    return {
        "type": event.type,
        "loopId": event.loop_id,
        "definitionDigest": event.definition_digest,
        "data": {} if event.type in PLACES else _lasting(event.data),
    }


def _course_of(event: Event) -> dict[str, Any]:
    named = {key: event.data[key] for key in COURSE if key in event.data}
    actor = event.data.get("actor")
    return {"type": event.type, "actor": actor.get("type") if isinstance(actor, Mapping) else None, **named}


def _lasting(value: Any) -> Any:
    match value:
        case Mapping():
            return {
                key: item if key in BROUGHT else _lasting(item) for key, item in value.items() if key not in OCCASIONAL
            }
        case list() | tuple():
            return [_lasting(item) for item in value]
        case _:
            return value


def _owner(event: Event) -> tuple[str, str]:
    return event.tenant, event.instance_id


def _short(value: Any) -> str:
    text = "nothing" if value is None else f'"{value}"' if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
