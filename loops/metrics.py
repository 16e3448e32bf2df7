"""
Metrics of loops, made from their ledgers alone: anybody with the events gets the same figures, at any time.

`measured` reads one history into what it contributes; `metrics` adds contributions up. Percentiles are by nearest
rank: the smallest value such that so many per cent are not above it. A rate of nothing is None, not 0.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from pydantic import Field

from loops.events import Event
from loops.instance import Status
from loops.values import Value

#: Events that carry every verdict of the guards that were asked, passed and failed.
JUDGED = frozenset({"loop.transition.executed", "loop.transition.blocked", "approval.requested"})

#: How a request is closed by people; otherwise it was overtaken, taken back or left to its deadline.
BY_PEOPLE = frozenset({"approved", "rejected", "decided"})

_ENDS: Mapping[str, Status] = {
    "loop.completed": "completed",
    "loop.failed": "failed",
    "loop.cancelled": "cancelled",
    "loop.suspended": "suspended",
    "loop.resumed": "active",
}

_MS = timedelta(milliseconds=1)


class RunMeasured(Value):
    """
    What one history contributes. Spans are milliseconds.

    `duration_ms` is from start to end, None while open. `requests` counts how approval requests were closed (``open``
    for those that are not), `decision_ms` how long each decided one waited for people, `edited` how many were changed.
    `moves` counts executed transitions by actor type, `guards` verdicts by guard as (asked, failed).
    """

    loop_id: str
    status: Status = "active"
    duration_ms: int | None = None
    requests: Mapping[str, int] = Field(default_factory=dict)
    decision_ms: tuple[int, ...] = ()
    edited: int = 0
    moves: Mapping[str, int] = Field(default_factory=dict)
    guards: Mapping[str, tuple[int, int]] = Field(default_factory=dict)
    blocked: int = 0
    refused: int = 0
    effects_failed: int = 0


class Percentiles(Value):
    """Of so many values, in milliseconds; None of none."""

    count: int
    p50: int | None = None
    p95: int | None = None


class Requests(Value):
    """
    How approval requests ended. Rates are of `closed`, but `edit_rate`, which is of all.

    `approve_rate` counts requests people approved, `expire_rate` those nobody answered in time.
    """

    count: int
    closed: int
    approve_rate: float | None
    reject_rate: float | None
    expire_rate: float | None
    edit_rate: float | None


class Guards(Value):
    """Verdicts of guards: how many, how many failed, the rate, and the rate of each guard."""

    asked: int
    failed: int
    failure_rate: float | None
    by_guard: Mapping[str, float]


class LoopMetrics(Value):
    """
    One loop in figures. `completion_rate` is completed ones of all that are over; `duration` is of completed ones.

    `time_to_decision` is from asking people to their closing the request. `blocked` and `refused` count attempts that
    guards or rules stopped, refused answers among them.
    """

    loop_id: str
    count: int
    by_status: Mapping[str, int]
    completion_rate: float | None
    duration: Percentiles
    time_to_decision: Percentiles
    requests: Requests
    guards: Guards
    transitions_by_actor: Mapping[str, int]
    blocked: int
    refused: int
    effects_failed: int


def measured(events: Sequence[Event]) -> RunMeasured:
    """Return what the history *events* contributes. Raises ValueError for none, or one cut off at the front."""
    if not events or events[0].type != "loop.started":
        raise ValueError("a history begins with loop.started")
    start, ended_at = events[0], None
    status: Status = "active"
    opened: dict[str, Event] = {}
    closed: dict[str, str] = {}
    waits: list[int] = []
    moves: Counter[str] = Counter()
    guards: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for event in events:
        data = event.data
        if event.type in _ENDS:
            status = _ENDS[event.type]
            ended_at = event.occurred_at if status in {"completed", "failed", "cancelled"} else None
        elif event.type == "loop.transition.executed":
            moves[_actor_type(data)] += 1
        elif event.type == "approval.requested":
            opened[data["requestId"]] = event
        elif event.type == "approval.closed":
            closed[data["requestId"]] = data["status"]
            asked = opened.get(data["requestId"])
            if asked and data["status"] in BY_PEOPLE:
                waits.append((event.occurred_at - asked.occurred_at) // _MS)
        if event.type in JUDGED:
            for verdict in data.get("guards", ()):
                guards[verdict["guardId"]][0] += 1
                guards[verdict["guardId"]][1] += not verdict["passed"]
    types = Counter(event.type for event in events)
    edited = {event.data["requestId"] for event in events if event.type == "approval.edited"}
    return RunMeasured(
        loop_id=start.loop_id,
        status=status,
        duration_ms=(ended_at - start.occurred_at) // _MS if ended_at else None,
        requests=Counter(closed.get(request_id, "open") for request_id in opened),
        decision_ms=tuple(waits),
        edited=len(edited),
        moves=moves,
        guards={name: (asked, failed) for name, (asked, failed) in guards.items()},
        blocked=types["loop.transition.blocked"],
        refused=types["loop.transition.refused"] + types["approval.decision.refused"],
        effects_failed=types["effect.failed"],
    )


def metrics(runs: Iterable[RunMeasured]) -> tuple[LoopMetrics, ...]:
    """Return the figures of every loop in *runs*, by loop id."""
    by_loop: defaultdict[str, list[RunMeasured]] = defaultdict(list)
    for run in runs:
        by_loop[run.loop_id].append(run)
    return tuple(_of_loop(loop_id, by_loop[loop_id]) for loop_id in sorted(by_loop))


def percentile(values: Sequence[int], per_cent: int) -> int | None:
    """Return the value at *per_cent* of *values* by nearest rank; None of none."""
    if not values:
        return None
    return sorted(values)[max(1, math.ceil(len(values) * per_cent / 100)) - 1]


def _of_loop(loop_id: str, runs: Sequence[RunMeasured]) -> LoopMetrics:
    statuses = Counter(run.status for run in runs)
    over = statuses["completed"] + statuses["failed"] + statuses["cancelled"]
    moves: Counter[str] = Counter()
    for run in runs:
        moves.update(run.moves)
    return LoopMetrics(
        loop_id=loop_id,
        count=len(runs),
        by_status=dict(sorted(statuses.items())),
        completion_rate=_rate(statuses["completed"], over),
        duration=_percentiles([run.duration_ms for run in runs if run.status == "completed"]),
        time_to_decision=_percentiles([wait for run in runs for wait in run.decision_ms]),
        requests=_requests(runs),
        guards=_guards(runs),
        transitions_by_actor=dict(sorted(moves.items())),
        blocked=sum(run.blocked for run in runs),
        refused=sum(run.refused for run in runs),
        effects_failed=sum(run.effects_failed for run in runs),
    )


def _requests(runs: Sequence[RunMeasured]) -> Requests:
    ended: Counter[str] = Counter()
    for run in runs:
        ended.update(run.requests)
    count = ended.total()
    closed = count - ended["open"]
    return Requests(
        count=count,
        closed=closed,
        approve_rate=_rate(ended["approved"], closed),
        reject_rate=_rate(ended["rejected"], closed),
        expire_rate=_rate(ended["expired"], closed),
        edit_rate=_rate(sum(run.edited for run in runs), count),
    )


def _guards(runs: Sequence[RunMeasured]) -> Guards:
    asked: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for run in runs:
        for name, (of, bad) in run.guards.items():
            asked[name] += of
            failed[name] += bad
    return Guards(
        asked=asked.total(),
        failed=failed.total(),
        failure_rate=_rate(failed.total(), asked.total()),
        by_guard={name: failed[name] / asked[name] for name in sorted(asked)},
    )


def _percentiles(values: Iterable[int | None]) -> Percentiles:
    known = [value for value in values if value is not None]
    return Percentiles(count=len(known), p50=percentile(known, 50), p95=percentile(known, 95))


def _rate(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _actor_type(data: Mapping[str, Any]) -> str:
    return str(data["actor"]["type"])
