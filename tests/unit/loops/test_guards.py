"""The runtime guards, each asked on its own."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from loops.actors import Actor, AiAgent, human, service, system
from loops.definition import GuardRule
from loops.guards import GuardContext, GuardVerdict
from loops.instance import LoopInstance
from loops.judging import Judge
from loops.runtime_guards import RUNTIME_GUARDS

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
AGENT = AiAgent(id="a:m", model_id="m", provider="a")


def an_instance(**changes: Any) -> LoopInstance:
    """An active instance in its second state."""
    fields: dict[str, Any] = {
        "tenant": "default",
        "instance_id": "li_1",
        "aggregate_id": "CHG-1",
        "loop_id": "test.loop",
        "definition_version": "1.0.0",
        "definition_digest": "sha256:0",
        "state": "WORKING",
        "version": 2,
        "requester": service("ci"),
        "correlation_id": "c",
        "started_at": NOW,
        "updated_at": NOW,
    }
    return LoopInstance(**fields | changes)


def asked(
    guard_id: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    evidence: Mapping[str, Any] | None = None,
    actor: Actor = AGENT,
    last_moved: datetime | None = None,
    **rule: Any,
) -> GuardVerdict:
    """The verdict of one guard."""
    context = GuardContext(
        actor=actor, evidence=evidence or {}, instance=an_instance(last_transition_at=last_moved), now=NOW
    )
    (verdict,) = asyncio.run(Judge().judge([GuardRule(id=guard_id, parameters=parameters or {}, **rule)], context))
    return verdict


@pytest.mark.parametrize("confidence", [0.7, 0.71, 1, 1.0])
def test_confidence_at_the_threshold_passes(confidence: float) -> None:
    """The threshold itself is enough, and 0.7 is the threshold where none is named."""
    verdict = asked("confidence-threshold", evidence={"confidence": confidence})

    assert verdict.passed
    assert verdict.code is None


@pytest.mark.parametrize(
    "evidence",
    [{}]
    + [{"confidence": value} for value in (0, 0.69999, True, "0.9", [1], 5, -1, None, float("nan"), float("inf"))]
    + [{"confidence": 10**400}],
)
def test_only_a_number_from_0_to_1_is_a_confidence(evidence: dict[str, Any]) -> None:
    """Missing counts as 0; a truth value, a text, a list and anything out of range never pass."""
    verdict = asked("confidence-threshold", evidence=evidence)

    assert (verdict.passed, verdict.code) == (False, "confidence_below_threshold")


def test_a_message_never_repeats_a_huge_confidence() -> None:
    """What is kept and shown about a bad confidence is short, however long it was."""
    assert len(asked("confidence-threshold", evidence={"confidence": "9" * 100_000}).message or "") < 200


def test_only_a_verified_human_is_human() -> None:
    """Being called human is not enough: a channel must have verified who it is."""
    assert asked("human-only", actor=human("dana", via="channel.slack")).passed

    for actor in (human("dana"), AGENT, service("ci"), system("sweep")):
        assert asked("human-only", actor=actor).code == "human_actor_required"


def test_missing_evidence_is_listed_in_order() -> None:
    """Every missing field is named, in the order of the rule; null and blank count as missing."""
    verdict = asked(
        "evidence-required",
        {"requiredFields": ["z", "a", "deep.er", "blank", "there"]},
        evidence={"a": None, "deep": {"other": 1}, "blank": " \n", "there": 0},
    )

    assert (verdict.passed, verdict.code) == (False, "missing_evidence_fields")
    assert verdict.message == "evidence lacks z, a, deep.er, blank"


@pytest.mark.parametrize("value", [0, False, [], {}, "x"])
def test_evidence_that_is_there_passes(value: object) -> None:
    """Zero, false and empty collections are answers; dotted paths reach into objects."""
    assert asked("evidence-required", {"requiredFields": ["a.b"]}, evidence={"a": {"b": value}}).passed


@pytest.mark.parametrize(("ago_ms", "passes"), [(999, False), (1_000, False), (1_001, True)])
def test_a_cooldown_is_strictly_longer_than_named(ago_ms: int, passes: bool) -> None:
    """Exactly the named time is still too soon."""
    verdict = asked("cooldown", {"cooldownMs": 1_000}, last_moved=NOW - timedelta(milliseconds=ago_ms))

    assert verdict.passed is passes
    assert verdict.code == (None if passes else "cooldown_not_elapsed")


def test_a_first_move_needs_no_cooldown() -> None:
    """An instance that never moved is not cooling down."""
    assert asked("cooldown", {"cooldownMs": 10**12}).passed


def test_the_registry_cannot_be_changed_at_run_time() -> None:
    """No code can swap a guard for a milder one."""
    with pytest.raises(TypeError):
        RUNTIME_GUARDS["human-only"] = RUNTIME_GUARDS["cooldown"]  # type: ignore[index]
