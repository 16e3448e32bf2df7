"""The runtime guards, each asked on its own."""

import asyncio
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from builders import an_instance
from hypothesis import example, given
from hypothesis import strategies as st

from loops.actors import Actor, AiAgent, human, service, system
from loops.canonical import NotCanonical, canonical_json
from loops.definition import GuardRule
from loops.guards import GuardContext, GuardVerdict
from loops.judging import Judge
from loops.problems import misfits
from loops.runtime_guards import RUNTIME_GUARDS

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
AGENT = AiAgent(id="a:m", model_id="m", provider="a")


def asked(
    guard_id: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    evidence: Mapping[str, Any] | None = None,
    actor: Actor = AGENT,
    instance: Mapping[str, Any] | None = None,
    is_approved: bool = False,
    **rule: Any,
) -> GuardVerdict:
    """The verdict of one guard."""
    context = GuardContext(
        actor=actor, evidence=evidence or {}, instance=an_instance(**instance or {}), now=NOW, is_approved=is_approved
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
    verdict = asked(
        "cooldown", {"cooldownMs": 1_000}, instance={"last_transition_at": NOW - timedelta(milliseconds=ago_ms)}
    )

    assert verdict.passed is passes
    assert verdict.code == (None if passes else "cooldown_not_elapsed")


def test_a_first_move_needs_no_cooldown() -> None:
    """An instance that never moved is not cooling down."""
    assert asked("cooldown", {"cooldownMs": 10**12}).passed


#: Whatever JSON may hold, and what only Python may.
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.decimals() | st.fractions(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def is_number(value: Any) -> bool:
    """Whether a value is what JSON calls a finite number."""
    return type(value) in {int, float} and math.isfinite(value)


@given(confidence=ANYTHING | st.floats(0, 1), threshold=st.floats(0, 1))
@example(confidence=True, threshold=0.5)
@example(confidence="0.9", threshold=0.5)
@example(confidence=[1], threshold=0.5)
@example(confidence=float("nan"), threshold=0.0)
@example(confidence=5, threshold=0.5)
@example(confidence=Decimal("0.9"), threshold=0.5)
def test_no_other_type_is_ever_taken_for_a_confidence(confidence: Any, threshold: float) -> None:
    """Only a finite number from 0 to 1 that reaches the threshold passes; all else fails with the guard's code."""
    verdict = asked("confidence-threshold", {"threshold": threshold}, evidence={"confidence": confidence})

    assert verdict.passed is (is_number(confidence) and threshold <= confidence <= 1)
    assert verdict.code == (None if verdict.passed else "confidence_below_threshold")


@given(value=ANYTHING, wanted=ANYTHING)
@example(value=True, wanted=1)
@example(value=1, wanted="1")
@example(value=0, wanted=False)
@example(value=1.0, wanted=1)
@example(value="DE", wanted="FR")
@example(value=None, wanted="")
@example(value=[1], wanted=[1, 2])
@example(value={"a": 1}, wanted={"b": 1})
@example(value=[True], wanted=[1])
@example(value={"a": 1}, wanted={"a": True})
def test_values_are_equal_only_as_json(value: Any, wanted: Any) -> None:
    """Two values are equal where their canonical JSON is: true is not 1, a text is no number, 1.0 is 1."""
    try:
        same = canonical_json([value]) == canonical_json([wanted])
    except NotCanonical:
        return
    constraint = {"constraint": {"field": "it", "operator": "eq", "value": wanted}}

    assert asked("field_value_constraint", constraint, evidence={"it": value}).passed is same


@given(value=ANYTHING, bound=st.integers(-5, 5) | st.floats(-5, 5))
@example(value=math.inf, bound=1)
@example(value=1, bound=1)
def test_only_numbers_are_greater_or_less(value: Any, bound: float) -> None:
    """Nothing but a finite number is greater or less than anything."""
    found = {
        operator: asked(
            "field_value_constraint",
            {"constraint": {"field": "it", "operator": operator, "value": bound}},
            evidence={"it": value},
        ).passed
        for operator in ("gt", "lt")
    }

    assert found == {"gt": is_number(value) and value > bound, "lt": is_number(value) and value < bound}


def test_a_rule_s_constraint_wins_over_the_caller_s() -> None:
    """Who brings the evidence does not choose what it is measured by, where the rule says it."""
    rule = {"constraint": {"field": "data.amount", "operator": "lt", "value": 1_000}}
    evidence = {"constraint": {"field": "amount", "operator": "lt", "value": 10**9}, "data": {"amount": 1}, "amount": 1}

    verdict = asked("field_value_constraint", rule, evidence=evidence, instance={"data": {"amount": 5_000}})

    assert (verdict.passed, verdict.code) == (False, "field_value_not_allowed")
    assert verdict.message == "data.amount is 5000; it must be less than 1000"


@pytest.mark.parametrize(
    ("constraint", "passes"),
    [
        ({"field": "vendor.country", "operator": "in", "value": ["DE", "FR"]}, True),
        ({"field": "evidence.vendor.country", "operator": "eq", "value": "DE"}, True),
        ({"field": "data", "operator": "eq", "value": "own"}, True),
        ({"field": "vendor.city", "operator": "eq", "value": None}, False),
        ({"field": "vendor.country.D", "operator": "eq", "value": "DE"}, False),
        ({"field": "vendor.country", "operator": "in", "value": "DE"}, False),
        ({"field": "amount", "operator": "gt", "value": "1"}, False),
        ({"field": "amount", "operator": "gt", "value": True}, False),
        ({"field": "amount", "operator": "ne", "value": 1}, False),
        ({"field": "amount", "operator": "gt", "value": 1, "also": 1}, False),
        ({"operator": "gt", "value": 1}, False),
        ("amount > 1", False),
        (None, False),
    ],
)
def test_a_constraint_in_evidence_is_read_strictly(constraint: Any, passes: bool) -> None:
    """Without one in the rule, evidence.constraint counts, dotted paths included; one that cannot be read fails."""
    evidence = {"constraint": constraint, "vendor": {"country": "DE"}, "amount": 5, "data": "own"}
    verdict = asked("field_value_constraint", evidence=evidence)

    assert (verdict.passed, verdict.code) == (passes, None if passes else "field_value_not_allowed")


def test_an_approval_is_one_on_record() -> None:
    """Approved by a human whom a channel verified, or by the record; never because an agent or a service says so."""
    dana = human("dana", via="slack")
    approved = {"approved": True}

    assert asked("approval_obtained", evidence=approved, actor=dana).passed
    assert asked("approval_obtained", actor=service("deployer"), is_approved=True).passed
    for actor in (AGENT, service("ci"), system("sweep"), human("dana")):
        assert asked("approval_obtained", evidence=approved, actor=actor).code == "approval_not_obtained"
    for word in (False, "true", 1, [True], None):
        assert not asked("approval_obtained", evidence={"approved": word}, actor=dana).passed


def test_earlier_evidence_is_no_approval() -> None:
    """What a model once put into evidence under `approved` does not count later, whoever asks."""
    verdict = asked("approval_obtained", actor=service("ci"), instance={"evidence": {"approved": True}})

    assert not verdict.passed


def test_roles_are_those_the_directory_gave() -> None:
    """Only a verified human has roles; what the evidence or an actor's metadata says of them does not count."""
    needs = {"requiredRole": "release-manager"}
    able = human("dana", roles=("release-manager",), via="slack")

    assert asked("actor_has_permission", needs, actor=able).passed
    assert asked("actor_has_permission", evidence={"required_role": "release-manager"}, actor=able).passed
    boasts = service("ci").changed(metadata={"roles": ["release-manager"]})
    for actor in (human("sam", via="slack"), human("dana", roles=("release-manager",)), AGENT, boasts):
        verdict = asked("actor_has_permission", needs, evidence={"roles": ["release-manager"]}, actor=actor)
        assert verdict.code == "actor_lacks_permission"


@pytest.mark.parametrize("role", [None, "", " ", ["everyone"], True, 7])
def test_a_role_that_is_not_named_is_not_had(role: Any) -> None:
    """Where nobody says which role is needed, nobody has it."""
    able = human("dana", roles=("everyone", "", " "), via="slack")

    assert not asked("actor_has_permission", evidence={"required_role": role}, actor=able).passed


def test_a_rule_s_role_wins_over_the_caller_s() -> None:
    """A caller cannot ask for a lesser role."""
    dana = human("dana", roles=("everyone",), via="slack")

    assert not asked(
        "actor_has_permission", {"requiredRole": "admin"}, evidence={"required_role": "everyone"}, actor=dana
    ).passed


@pytest.mark.parametrize(
    ("deadline", "passes"),
    [
        ("2026-11-22T12:00:01Z", True),
        ("2026-11-22T14:00:01+02:00", True),
        ("2026-11-22T12:00:00Z", False),
        ("2026-11-22T13:59:59+02:00", False),
        ("2026-11-23T12:00:00", False),
        ("2026-11-23", False),
        ("tomorrow", False),
        (1_900_000_000, False),
        (True, False),
        (None, False),
    ],
)
def test_a_deadline_is_an_aware_instant_still_to_come(deadline: Any, passes: bool) -> None:
    """A local time, a date, a number or nothing is no deadline that could be kept; the instant itself is too late."""
    verdict = asked("deadline_not_exceeded", evidence={"deadline_iso": deadline})

    assert (verdict.passed, verdict.code) == (passes, None if passes else "deadline_exceeded")


def test_a_rule_s_deadline_wins_over_the_caller_s() -> None:
    """A caller cannot put off a deadline that the rule or the start of the loop has set."""
    later = {"deadline_iso": "2027-01-01T00:00:00Z", "data": {"due": "2027-01-01T00:00:00Z"}}
    set_by_start = {"data": {"due": "2026-11-22T11:00:00Z"}}

    assert (
        asked("deadline_not_exceeded", {"deadlineIso": "2026-11-22T11:00:00Z"}, evidence=later).code
        == "deadline_exceeded"
    )
    assert asked(
        "deadline_not_exceeded", {"deadlineIso": "2026-11-22T13:00:00Z"}, evidence={"deadline_iso": "x"}
    ).passed
    assert asked("deadline_not_exceeded", {"deadlineIso": None}, evidence=later).passed
    assert not asked("deadline_not_exceeded", {"field": "data.due"}, evidence=later, instance=set_by_start).passed
    assert not asked("deadline_not_exceeded", {"field": "data.due"}, evidence=later).passed


def test_a_duplicate_once_found_is_not_talked_away() -> None:
    """True from any source counts, and what is neither true nor false is no passed check."""
    assert asked("duplicate_check_passed").passed
    for not_found in (False, None):
        assert asked("duplicate_check_passed", evidence={"duplicate_found": not_found}).passed
    for found in (True, "false", 0, 1, [], {}):
        assert asked("duplicate_check_passed", evidence={"duplicate_found": found}).code == "duplicate_found"
    earlier = {"evidence": {"duplicate_found": True}}
    assert not asked("duplicate_check_passed", evidence={"duplicate_found": False}, instance=earlier).passed


@pytest.mark.parametrize(
    ("guard_id", "parameters"),
    [
        ("confidence-threshold", {"threshold": True}),
        ("confidence-threshold", {"threshold": "0.7"}),
        ("confidence-threshold", {"threshold": 7}),
        ("evidence-required", {"requiredFields": []}),
        ("evidence-required", {"requiredFields": "a"}),
        ("cooldown", {"cooldownMs": -1}),
        ("cooldown", {"cooldownMs": 10**13}),
        ("actor_has_permission", {"requiredRole": ""}),
        ("deadline_not_exceeded", {"deadlineIso": "2026-11-22"}),
        ("field_value_constraint", {"constraint": {"field": "a", "operator": "gt", "value": "1"}}),
        ("field_value_constraint", {"constraint": {"field": "a", "operator": "lt", "value": "1"}}),
        ("field_value_constraint", {"constraint": {"field": "a", "operator": "in", "value": "abc"}}),
        ("field_value_constraint", {"constraint": {"field": "a", "operator": "like", "value": "abc"}}),
        ("human-only", {"really": True}),
        ("expression", {}),
        ("expression", {"expression": "data."}),
    ],
)
def test_parameters_that_do_not_fit_are_found_at_load(guard_id: str, parameters: dict[str, Any]) -> None:
    """What a guard could not judge by is a problem of the file, before anything runs."""
    assert list(misfits(RUNTIME_GUARDS[guard_id].parameters, parameters))


def test_an_expression_that_costs_too_much_does_not_pass() -> None:
    """Whoever brings a lot of data does not get by the rule: nothing was judged, and the rule's message is not said."""
    rule = {"expression": "size(data.xs) > 0", "message": "Needs one."}
    verdict = asked("expression", rule, instance={"data": {"xs": [0] * 30_000}}, failureMessage="Needs one.")

    assert (verdict.passed, verdict.code) == (False, "expression_too_costly")
    assert verdict.message is not None
    assert verdict.message.startswith("the expression was not judged")


def test_the_registry_cannot_be_changed_at_run_time() -> None:
    """No code can swap a guard for a milder one."""
    with pytest.raises(TypeError):
        RUNTIME_GUARDS["human-only"] = RUNTIME_GUARDS["cooldown"]  # type: ignore[index]
