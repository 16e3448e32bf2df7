"""What a ledger recorded of one step: its events, what stood before them, and the transitions that were asked for."""

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loops.absence import Absence
from loops.approvals import ApprovalRequest
from loops.asked import Asked
from loops.definition import LoopDefinition
from loops.events import Event
from loops.guards import GuardVerdict
from loops.instance import LoopInstance
from loops.ports import IdSource, Loaded
from loops.requests import TransitionRequest

Verdicts = tuple[GuardVerdict, ...]


@dataclass(frozen=True, slots=True)
class Before:
    """What stands before a step: the pinned definition, and what the steps so far have made."""

    definition: LoopDefinition
    instance: LoopInstance | None
    requests: Mapping[str, ApprovalRequest]


class _Ids:
    """Gives out the ids that were recorded, and made-up ones where none was: those stand in no event."""

    def __init__(self, recorded: Sequence[tuple[str, str]]) -> None:
        self._left: defaultdict[str, deque[str]] = defaultdict(deque)
        for prefix, name in recorded:
            self._left[prefix].append(name)
        self._made = 0

    def new(self, prefix: str) -> str:
        """Return the next recorded id that begins with *prefix*."""
        if self._left[prefix]:
            return self._left[prefix].popleft()
        self._made += 1
        return f"{prefix}replayed_{self._made}"


@dataclass(frozen=True)
class Step:
    """The first event of a step and the events from there on, with what stands before them."""

    before: Before
    first: Event
    ahead: Sequence[Event]

    @property
    def data(self) -> dict[str, Any]:
        """What the first event says."""
        return self.first.data

    @property
    def standing(self) -> LoopInstance:
        """The instance before the step. Raises ValueError where there is none yet."""
        if self.before.instance is None:
            raise ValueError("there is no instance yet")
        return self.before.instance

    @property
    def loaded(self) -> Loaded:
        """The instance with its latest request."""
        return self.about(self.standing.request_id)

    def of_request(self) -> tuple[Loaded, ApprovalRequest]:
        """The instance with the request the first event names."""
        request = self.before.requests[self.data["requestId"]]
        return self.about(request.request_id), request

    def asked(self) -> Asked:
        """What a person's act on the named request is judged on, with the groups that were recorded."""
        loaded, request = self.of_request()
        groups = {person: frozenset(names) for person, names in self.data.get("groups", {}).items()}
        absences = tuple(Absence.model_validate(each) for each in self.data.get("absences", ()))
        return Asked(loaded, request, groups, self.first.occurred_at, absences=absences)

    def ids(self, *recorded: tuple[str, str]) -> IdSource:
        """The recorded ids of this step: those given, and the next approval request's where one is opened."""
        opened = next((each for each in self.ahead if each.type == "approval.requested"), None)
        return _Ids([*recorded, *([("ar_", str(opened.data["requestId"]))] if opened else [])])

    @property
    def correlation_id(self) -> str | None:
        """The correlation id the step was given, where it is not the instance's own."""
        own = self.before.instance.correlation_id if self.before.instance else None
        return None if self.first.correlation_id == own else self.first.correlation_id

    def about(self, request_id: str | None) -> Loaded:
        """The instance with the request *request_id*."""
        return Loaded(self.standing, self.before.definition, self.before.requests.get(request_id or ""))


@dataclass(frozen=True, slots=True)
class Tried:
    """One transition that was asked for, the verdicts on it, and whether it moved the loop."""

    asked: TransitionRequest
    verdicts: Verdicts
    moved: bool


def transitions_tried(events: Sequence[Event], *, most: int) -> list[Tried]:
    """Return the first *most* transitions that were asked for in *events*."""
    found: list[Tried] = []
    for place, event in enumerate(events):
        if len(found) == most:
            break
        if event.type == "loop.transition.refused":
            asked = TransitionRequest(name=event.data["name"], actor=event.data["actor"], evidence={})
            found.append(Tried(asked, (), moved=False))
        elif event.type == "loop.transition.requested":
            found.append(_as_tried(event, next(each for each in events[place:] if each.type in _ENDS)))
    return found


#: How a transition that was asked for ends: moved, blocked by guards, or parked until a human approves.
_ENDS = frozenset({"loop.transition.executed", "loop.transition.blocked", "approval.requested"})


def _as_tried(requested: Event, end: Event) -> Tried:
    brought = end.data["parked"] if end.type == "approval.requested" else end.data
    asked = TransitionRequest(
        name=requested.data["transitionId"],
        actor=requested.data["actor"],
        evidence=brought.get("evidence", {}),
        redacted=requested.data.get("redacted", ()),
        correlation_id=brought.get("correlationId"),
    )
    return Tried(asked, verdicts(end.data), moved=end.type == "loop.transition.executed")


def verdicts(data: Mapping[str, Any]) -> Verdicts:
    """Return what the guards said, as an event's *data* has it."""
    return tuple(GuardVerdict.model_validate(verdict) for verdict in data.get("guards", ()))
