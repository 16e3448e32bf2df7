"""Judging: every guard of a transition is asked, none short-circuits, and what each said is a verdict, in order."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from loops.definition import GuardRule, LoopDefinition, Transition
from loops.errors import Rejected, Unavailable
from loops.guards import Failed, Guard, GuardContext, GuardVerdict, PolicyAnswer, PolicyPoint
from loops.runtime_guards import RUNTIME_GUARDS

#: Seconds the guards of one request have together: Slack waits three for its answer.
BUDGET_S = 1.5

#: Rules kept ready; all of them are forgotten when there are more. Of each, passed verdicts up to so many µs.
_KEPT = 4_096
_KEPT_US = 64

_Answer = Failed | PolicyAnswer | None


@dataclass(frozen=True, slots=True)
class _Ready:
    """
    A rule that needs no more looking up. `now` judges at once; `later` does I/O.

    `passed` keeps verdicts by their duration: where a guard passed within a few microseconds, nothing else differs.
    """

    rule: GuardRule
    parameters: Mapping[str, Any]
    now: Callable[[GuardContext], Any] | None = None
    later: Callable[[GuardContext], Awaitable[Any]] | None = None
    passed: dict[int, GuardVerdict] = field(default_factory=dict)


class Judge:
    """
    Asks guards.

    *guards* are the runtime and module guards by id, *points* the policy points external guards name. *timer_ns* is a
    monotonic stopwatch in nanoseconds; what it measures is recorded and decides nothing.
    """

    def __init__(
        self,
        guards: Mapping[str, Guard] = RUNTIME_GUARDS,
        points: Mapping[str, PolicyPoint] = MappingProxyType({}),
        *,
        budget_s: float = BUDGET_S,
        timer_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self._guards = guards
        self._points = points
        self._budget_s = budget_s
        self._timer_ns = timer_ns
        self._ready: dict[int, _Ready] = {}

    async def judge(self, rules: Sequence[GuardRule], context: GuardContext) -> tuple[GuardVerdict, ...]:
        """
        Return the verdict of each of *rules*, in their order.

        Those that do I/O run side by side and have the budget together. An unknown guard, bad parameters, an error
        inside a guard and one that is late all fail closed.
        """
        verdicts: list[GuardVerdict | None] = []
        waiting: dict[int, _Ready] = {}
        for rule in rules:
            ready = self._readied(rule)
            if ready.later:
                waiting[len(verdicts)] = ready
            verdicts.append(None if ready.later else self._at_once(ready, context))
        if waiting:
            await self._ask_later(waiting, context, verdicts)
        return tuple(filter(None, verdicts))

    def _readied(self, rule: GuardRule) -> _Ready:
        # By identity: definitions are read once and kept, and a rule held here cannot lend its id to another.
        known = self._ready.get(id(rule))
        if known is None:
            if len(self._ready) >= _KEPT:
                self._ready.clear()
            known = self._ready[id(rule)] = self._prepared(rule)
        return known

    def _prepared(self, rule: GuardRule) -> _Ready:
        if rule.evaluated_by == "external":
            name = point_of(rule)
            point = self._points.get(name)
            if point is None:
                return _unjudged(rule, "guard_unavailable", f"there is no policy point '{name}' here")
            return _Ready(rule, rule.parameters, later=_asking(point, rule))
        guard = self._guards.get(rule.id)
        if guard is None or guard.evaluated_by != rule.evaluated_by:
            message = f"guard '{rule.id}' ({rule.evaluated_by}) is not registered here"
            return _unjudged(rule, "guard_unavailable", message)
        try:
            parameters = guard.parameters.model_validate(rule.parameters)
            written = parameters.as_json()
        except ValueError:
            return _unjudged(rule, "guard_error", f"guard '{rule.id}' cannot judge by the parameters it was given")
        if guard.evaluated_by == "runtime":
            return _Ready(rule, written, now=lambda context: guard.judge(context, parameters))
        return _Ready(rule, written, later=_calling(guard, parameters))

    def _at_once(self, ready: _Ready, context: GuardContext) -> GuardVerdict:
        began = self._timer_ns()
        try:
            answer = ready.now(context) if ready.now else _mute(ready.rule)
        except Exception as error:
            answer = _broken(ready.rule, error)
        took_ns = self._timer_ns() - began
        if answer is None and (kept := ready.passed.get(took_ns // 1_000)):
            return kept
        verdict = _verdict(ready, answer, took_ns)
        if verdict.passed and verdict.duration_us < _KEPT_US:
            ready.passed[verdict.duration_us] = verdict
        return verdict

    async def _ask_later(
        self, waiting: Mapping[int, _Ready], context: GuardContext, verdicts: list[GuardVerdict | None]
    ) -> None:
        # Not a TaskGroup: it waits for each of its tasks, and a guard that swallows its cancellation would hold us up.
        began = self._timer_ns()
        tasks = {
            index: asyncio.create_task(self._in_its_time(ready, context), name=f"guard {ready.rule.id}")
            for index, ready in waiting.items()
        }
        try:
            await asyncio.wait(tasks.values(), timeout=self._budget_s)
            for index, task in tasks.items():
                if task.done() and not task.cancelled():
                    verdicts[index] = task.result()
                else:
                    late = Failed("guard_timeout", f"no verdict within {self._budget_s:g} s", judged=False)
                    verdicts[index] = _verdict(waiting[index], late, self._timer_ns() - began)
        finally:
            for task in tasks.values():
                task.cancel()

    async def _in_its_time(self, ready: _Ready, context: GuardContext) -> GuardVerdict:
        began = self._timer_ns()
        try:
            answer = await ready.later(context) if ready.later else _mute(ready.rule)
        except (Unavailable, Rejected) as error:
            answer = Failed("guard_unavailable", f"guard '{ready.rule.id}' could not judge: {error}", judged=False)
        except Exception as error:
            answer = _broken(ready.rule, error)
        return _verdict(ready, answer, self._timer_ns() - began)


def point_of(rule: GuardRule) -> str:
    """Return the policy point an external guard asks: its parameter `point`, or the guard's own id."""
    return str(rule.parameters.get("point") or rule.id)


def external_guards(definition: LoopDefinition) -> Iterator[tuple[Transition, GuardRule, str]]:
    """Yield every external guard of *definition* with the transition it stands on and the policy point it asks."""
    for transition in definition.transitions:
        for rule in transition.guards:
            if rule.evaluated_by == "external":
                yield transition, rule, point_of(rule)


def question(rule: GuardRule, context: GuardContext) -> dict[str, Any]:
    """Return what a policy point is asked: JSON, in the words an expression uses, with the rule's parameters."""
    instance = context.instance
    return {
        "guard": rule.id,
        "parameters": dict(rule.parameters),
        "transition": context.transition_id,
        "actor": context.actor.as_json(),
        "evidence": dict(context.evidence),
        "data": dict(instance.data),
        "instance": {
            "tenant": instance.tenant,
            "instanceId": instance.instance_id,
            "aggregateId": instance.aggregate_id,
            "loopId": instance.loop_id,
            "definitionVersion": instance.definition_version,
            "state": instance.state,
            "evidence": dict(instance.evidence),
            "requester": instance.requester.as_json(),
        },
        "approvals": [decision.as_json() for decision in context.approvals],
        "now": context.now.isoformat(),
    }


def _asking(point: PolicyPoint, rule: GuardRule) -> Callable[[GuardContext], Awaitable[PolicyAnswer]]:
    async def ask(context: GuardContext) -> PolicyAnswer:
        return await point.ask(question(rule, context))

    return ask


def _calling(guard: Guard, parameters: Any) -> Callable[[GuardContext], Awaitable[Any]]:
    is_async = inspect.iscoroutinefunction(guard.judge) or inspect.iscoroutinefunction(type(guard.judge).__call__)

    async def call(context: GuardContext) -> Any:
        if is_async:
            answer = guard.judge(context, parameters)
            return await answer if inspect.isawaitable(answer) else answer
        return await asyncio.to_thread(guard.judge, context, parameters)

    return call


def _unjudged(rule: GuardRule, code: str, message: str) -> _Ready:
    failed = Failed(code, message, judged=False)
    return _Ready(rule, rule.parameters, now=lambda _: failed)


def _broken(rule: GuardRule, error: Exception) -> Failed:
    return Failed("guard_error", f"guard '{rule.id}' could not judge: {type(error).__name__}", judged=False)


def _mute(rule: GuardRule) -> Failed:
    return Failed("guard_error", f"guard '{rule.id}' cannot be asked", judged=False)


def _verdict(ready: _Ready, answer: Any, took_ns: int) -> GuardVerdict:
    rule = ready.rule
    failed, point = _objection(rule, answer)
    message = None
    if failed:
        message = (rule.failure_message or failed.message) if failed.judged else failed.message
    return GuardVerdict(
        guard_id=rule.id,
        severity=rule.severity,
        evaluated_by=rule.evaluated_by,
        passed=failed is None,
        code=failed.code if failed else None,
        message=message,
        parameters=ready.parameters,
        duration_us=max(took_ns // 1_000, 0),
        latency_us=point.latency_us if point else None,
        decision_id=point.decision_id if point else None,
    )


def _objection(rule: GuardRule, answer: _Answer) -> tuple[Failed | None, PolicyAnswer | None]:
    match answer:
        case None if rule.evaluated_by != "external":
            return None, None
        case Failed():
            return answer, None
        case PolicyAnswer(allow=True) if rule.evaluated_by == "external":
            return None, answer
        case PolicyAnswer(allow=False) if rule.evaluated_by == "external":
            said = answer.message or f"policy point '{point_of(rule)}' denied it"
            return Failed(answer.code or "policy_denied", said), answer
        case _:
            # A plugin that answers True or False may mean either by it: nothing was judged.
            kind = type(answer).__name__
            return Failed("guard_error", f"guard '{rule.id}' answered with {kind}, no verdict", judged=False), None
