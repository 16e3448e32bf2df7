"""Judging: every guard is asked, side by side where it takes time, and nothing that goes wrong lets anything pass."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from builders import an_instance
from patience import PATIENCE_S

from loops.actors import AiAgent, human
from loops.canonical import canonical_json
from loops.definition import GuardRule, LoopDefinition
from loops.errors import Rejected, Unavailable
from loops.guards import Failed, Guard, GuardContext, GuardVerdict, NoParameters, PolicyAnswer
from loops.judging import Judge, external_guards
from loops.runtime_guards import RUNTIME_GUARDS
from loops.values import Value

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CONTEXT = GuardContext(
    actor=human("dana", "Dana", roles=("sre",), via="slack"),
    evidence={"confidence": 0.9, "a": 1},
    instance=an_instance(data={"amount": 12}, evidence={"risk": 0.1}),
    now=NOW,
    transition_id="approve",
)


class Window(Value):
    """Parameters of a guard of these tests."""

    hours: int = 8


def stopwatch(step_us: int = 5) -> Callable[[], int]:
    """A stopwatch on which every look takes *step_us*."""
    ticks = count(0, step_us * 1_000)
    return lambda: next(ticks)


def module(judge: Callable[[GuardContext, Any], Any], parameters: type[Value] = NoParameters) -> Guard:
    """A module guard."""
    return Guard(parameters, judge, evaluated_by="module")


def patient(*registered: Any, **how: Any) -> Judge:
    """A judge with as long a budget as tests have patience: late is what a test makes late."""
    return Judge(*registered, **{"budget_s": PATIENCE_S, **how})


def external(guard_id: str, **rule: Any) -> GuardRule:
    """A rule that asks a policy point."""
    return GuardRule(id=guard_id, evaluated_by="external", **rule)


@dataclass
class Point:
    """A policy point that gives one answer, after `until` if there is one."""

    answer: PolicyAnswer | Exception
    until: asyncio.Event | None = None
    asked: list[Mapping[str, Any]] = field(default_factory=list)

    async def ask(self, question: Mapping[str, Any]) -> PolicyAnswer:
        self.asked.append(question)
        if self.until:
            await self.until.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_every_guard_is_asked_in_order_even_after_a_hard_failure() -> None:
    """The ledger shows all the reasons, in the order of the rules, whoever evaluates them."""
    rules = [
        GuardRule(id="human-only"),
        external("budget"),
        GuardRule(id="confidence-threshold", parameters={"threshold": 0.95}, severity="soft"),
        GuardRule(id="office-hours", evaluated_by="module"),
        GuardRule(id="evidence-required", parameters={"requiredFields": ["b"]}),
    ]
    judge = patient(
        {**RUNTIME_GUARDS, "office-hours": module(lambda *_: Failed("closed", "Nobody is in."))},
        {"budget": Point(PolicyAnswer(allow=False))},
    )

    verdicts = await judge.judge(rules, CONTEXT)

    assert [(v.guard_id, v.severity, v.evaluated_by, v.code) for v in verdicts] == [
        ("human-only", "hard", "runtime", None),
        ("budget", "hard", "external", "policy_denied"),
        ("confidence-threshold", "soft", "runtime", "confidence_below_threshold"),
        ("office-hours", "hard", "module", "closed"),
        ("evidence-required", "hard", "runtime", "missing_evidence_fields"),
    ]


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (GuardRule(id="four-eyes"), "guard_unavailable"),
        (GuardRule(id="human-only", evaluated_by="module"), "guard_unavailable"),
        (GuardRule(id="human-only", evaluated_by="external"), "guard_unavailable"),
        (GuardRule(id="plugin"), "guard_unavailable"),
        (GuardRule(id="confidence-threshold", parameters={"threshold": 7}), "guard_error"),
        (GuardRule(id="evidence-required"), "guard_error"),
        (GuardRule(id="expression", parameters={"expression": "true &&"}), "guard_error"),
        (GuardRule(id="expression", parameters={"expression": "data.nothing"}), "expression_error"),
        (GuardRule(id="plugin", evaluated_by="module", parameters={"hours": "x"}), "guard_error"),
        (external("there", parameters={"point": "elsewhere"}), "guard_unavailable"),
    ],
)
@pytest.mark.parametrize("severity", ["hard", "soft"])
async def test_what_cannot_be_judged_fails_closed(rule: GuardRule, code: str, severity: str) -> None:
    """An unknown guard, one evaluated elsewhere and bad parameters never pass, and no message of the file hides it."""
    rule = rule.changed(severity=severity, failure_message="Two people must approve.")
    judge = patient(
        {**RUNTIME_GUARDS, "plugin": module(lambda *_: None, Window)}, {"there": Point(PolicyAnswer(allow=True))}
    )

    (verdict,) = await judge.judge([rule], CONTEXT)

    assert (verdict.passed, verdict.code, verdict.severity) == (False, code, severity)
    assert verdict.message
    assert verdict.message != "Two people must approve."


@pytest.mark.parametrize("evaluated_by", ["runtime", "module"])
@pytest.mark.parametrize("answer", [True, False, "ok", (), PolicyAnswer(allow=True), ZeroDivisionError()])
async def test_only_none_is_a_pass(evaluated_by: Any, answer: Any) -> None:
    """A guard that breaks, or answers with what is neither None nor an objection, has not judged."""

    def odd(_: GuardContext, __: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def odd_async(context: GuardContext, parameters: Any) -> Any:
        return odd(context, parameters)

    judges = [odd, odd_async] if evaluated_by == "module" else [odd]
    for judge in judges:
        rule = GuardRule(id="odd", evaluated_by=evaluated_by)
        (verdict,) = await patient({"odd": Guard(NoParameters, judge, evaluated_by)}).judge([rule], CONTEXT)

        assert (verdict.passed, verdict.code) == (False, "guard_error")


async def test_the_file_s_message_speaks_for_an_objection() -> None:
    """Where a guard objects, people read the definition's own words."""
    rules = [GuardRule(id="cooldown", parameters={"cooldownMs": 1_000}, failure_message="Wait a second.")]
    context = CONTEXT._replace(instance=CONTEXT.instance.changed(last_transition_at=NOW))

    (verdict,) = await patient().judge(rules, context)

    assert (verdict.code, verdict.message) == ("cooldown_not_elapsed", "Wait a second.")


async def test_a_verdict_says_all_of_a_judgement() -> None:
    """Passed or failed: parameters with defaults, the time it took; of a policy point also its latency and decision."""
    rules = [
        GuardRule(id="confidence-threshold"),
        GuardRule(id="office-hours", evaluated_by="module"),
        external("budget", parameters={"point": "opa", "limit": 100}),
    ]
    judge = patient(
        {**RUNTIME_GUARDS, "office-hours": module(lambda *_: None, Window)},
        {"opa": Point(PolicyAnswer(allow=True, decision_id="d-1", latency_us=1_200))},
        timer_ns=stopwatch(),
    )

    verdicts = await judge.judge(rules, CONTEXT)

    assert [verdict.parameters for verdict in verdicts] == [
        {"threshold": 0.7},
        {"hours": 8},
        {"point": "opa", "limit": 100},
    ]
    assert all(verdict.passed and verdict.duration_us > 0 for verdict in verdicts)
    assert verdicts[0].duration_us == 5
    assert (verdicts[2].decision_id, verdicts[2].latency_us) == ("d-1", 1_200)
    for verdict in verdicts:
        assert GuardVerdict.model_validate(verdict.as_json()) == verdict
        canonical_json(verdict.as_json())


async def test_equal_rules_are_told_apart() -> None:
    """What is kept ready for one rule never answers for another."""
    judge = patient()
    low = GuardRule(id="confidence-threshold", parameters={"threshold": 0.1})
    high = GuardRule(id="confidence-threshold", parameters={"threshold": 0.95})

    for _ in range(3):
        verdicts = await judge.judge([low, high], CONTEXT)
        assert [verdict.passed for verdict in verdicts] == [True, False]


async def test_a_policy_point_is_asked_with_all_there_is() -> None:
    """The question is JSON: who, what, on what grounds, and the rule's own parameters."""
    point = Point(PolicyAnswer(allow=False, code="over_budget", message="The budget is spent."))

    (verdict,) = await patient(points={"budget": point}).judge([external("budget", parameters={"limit": 9})], CONTEXT)

    assert (verdict.code, verdict.message) == ("over_budget", "The budget is spent.")
    (question,) = point.asked
    assert canonical_json(question)
    assert question["guard"] == "budget"
    assert question["parameters"] == {"limit": 9}
    assert question["transition"] == "approve"
    assert question["actor"] == CONTEXT.actor.as_json()
    assert question["data"] == {"amount": 12}
    assert question["evidence"] == {"confidence": 0.9, "a": 1}
    assert question["instance"]["aggregateId"] == "CHG-1"
    assert question["approvals"] == []
    assert question["now"] == "2026-11-22T12:00:00+00:00"


@pytest.mark.parametrize("error", [Unavailable("away"), Rejected("that is no decision"), RuntimeError("?")])
async def test_a_policy_point_that_fails_denies(error: Exception) -> None:
    """No answer is no permission."""
    (verdict,) = await patient(points={"p": Point(error)}).judge([external("p")], CONTEXT)

    assert (verdict.passed, verdict.code) == (
        False,
        "guard_error" if isinstance(error, RuntimeError) else "guard_unavailable",
    )


async def test_guards_that_take_time_run_side_by_side() -> None:
    """Each of two waits for the other to have begun: one after the other they would be late."""
    first, second = asyncio.Event(), asyncio.Event()

    def meets(mine: asyncio.Event, other: asyncio.Event) -> Guard:
        async def judge(_: GuardContext, __: Any) -> None:
            mine.set()
            await other.wait()

        return module(judge)

    judge = patient({"one": meets(first, second), "two": meets(second, first)})
    rules = [GuardRule(id=name, evaluated_by="module") for name in ("one", "two")]

    assert [verdict.passed for verdict in await judge.judge(rules, CONTEXT)] == [True, True]


async def test_late_guards_fail_closed_and_the_others_count() -> None:
    """Over the budget they have together, what has not answered has objected; what has, stands."""
    never = asyncio.Event()

    async def quick(_: GuardContext, __: Any) -> None:
        """Has answered before any budget can be over: no thread has to be started for it."""

    judge = Judge(
        {**RUNTIME_GUARDS, "quick": module(quick)},
        {"slow": Point(PolicyAnswer(allow=True), until=never), "slower": Point(PolicyAnswer(allow=True), until=never)},
        budget_s=0.05,
    )
    rules = [external("slow"), GuardRule(id="quick", evaluated_by="module"), external("slower", severity="soft")]

    verdicts = await judge.judge(rules, CONTEXT)

    assert [(v.passed, v.code) for v in verdicts] == [(False, "guard_timeout"), (True, None), (False, "guard_timeout")]


async def test_a_guard_that_will_not_stop_holds_nobody_up() -> None:
    """A guard that swallows its cancellation, or blocks its thread, is late like any other."""
    release, freed = asyncio.Event(), threading.Event()

    async def stubborn(_: GuardContext, __: Any) -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    judge = Judge(
        {"stubborn": module(stubborn), "blocking": module(lambda *_: freed.wait(PATIENCE_S) and None)}, budget_s=0.05
    )
    rules = [GuardRule(id=name, evaluated_by="module") for name in ("stubborn", "blocking")]

    verdicts = await asyncio.wait_for(judge.judge(rules, CONTEXT), PATIENCE_S / 2)
    release.set()
    freed.set()

    assert [verdict.code for verdict in verdicts] == ["guard_timeout", "guard_timeout"]


async def test_a_caller_who_leaves_takes_the_guards_along() -> None:
    """A judgement that is cancelled leaves nothing running."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def waits(_: GuardContext, __: Any) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    judging = asyncio.create_task(
        patient({"waits": module(waits)}).judge([GuardRule(id="waits", evaluated_by="module")], CONTEXT)
    )
    await begun.wait()
    judging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await judging

    await asyncio.wait_for(ended.wait(), PATIENCE_S)


async def test_a_synchronous_module_guard_leaves_the_loop_alone() -> None:
    """A callable that may block runs in a thread of its own; a coroutine, and an object that is one, on the loop."""
    main = threading.get_ident()
    seen: dict[str, int] = {}

    class Careful:
        async def __call__(self, _: GuardContext, __: Any) -> None:
            seen["careful"] = threading.get_ident()

    async def coroutine(_: GuardContext, __: Any) -> None:
        seen["coroutine"] = threading.get_ident()

    def plain(_: GuardContext, __: Any) -> None:
        seen["plain"] = threading.get_ident()

    kinds: dict[str, Callable[..., Awaitable[None] | None]] = {
        "careful": Careful(),
        "coroutine": coroutine,
        "plain": plain,
    }
    judge = patient({name: module(each) for name, each in kinds.items()})

    verdicts = await judge.judge([GuardRule(id=name, evaluated_by="module") for name in kinds], CONTEXT)

    assert all(verdict.passed for verdict in verdicts)
    assert (seen["careful"] == main, seen["coroutine"] == main, seen["plain"] == main) == (True, True, False)


async def test_expressions_see_decisions_and_gathered_evidence() -> None:
    """An expression may count approvals, and look at what earlier transitions brought."""
    decision = CONTEXT.actor
    rules = [
        GuardRule(
            id="expression",
            parameters={
                "expression": "approvals.size() == 1 && instance.evidence.risk < 0.5 && actor.type == 'human'",
                "message": "Too risky for one.",
            },
        )
    ]

    (verdict,) = await patient().judge(rules, CONTEXT._replace(approvals=(decision,)))
    (denied,) = await patient().judge(rules, CONTEXT)

    assert verdict.passed
    assert (denied.code, denied.message) == ("expression_false", "Too risky for one.")


def test_external_guards_and_their_points_can_be_listed() -> None:
    """The gateway learns which policy points a definition asks, and where."""
    guards = [
        {"id": "budget", "evaluatedBy": "external"},
        {"id": "human-only"},
        {"id": "risk", "evaluatedBy": "external", "parameters": {"point": "opa"}},
    ]
    definition = LoopDefinition.model_validate(
        {
            "id": "one",
            "version": "1.0.0",
            "initialState": "OPEN",
            "states": [{"id": "OPEN"}, {"id": "DONE", "isTerminal": True}],
            "transitions": [{"id": "end", "from": "OPEN", "to": "DONE", "actors": ["human"], "guards": guards}],
        }
    )

    found = [(transition.id, rule.id, point) for transition, rule, point in external_guards(definition)]

    assert found == [("end", "budget", "budget"), ("end", "risk", "opa")]


def test_a_model_s_word_is_no_actor() -> None:
    """An ai-agent's own confidence is not what the guard judges by: evidence is, and it is on the ledger."""
    agent = AiAgent(id="a:m", model_id="m", provider="a", confidence=1.0)
    context = CONTEXT._replace(actor=agent, evidence={})

    (verdict,) = asyncio.run(patient().judge([GuardRule(id="confidence-threshold")], context))

    assert not verdict.passed
