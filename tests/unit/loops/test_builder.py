"""The builder: a definition in Python that is judged like a file, all at once."""

from datetime import timedelta

import pytest

from gateway.loopfiles import read_loop
from gateway.loopwriting import dump_yaml
from loops.builder import (
    InvalidLoop,
    LoopBuilder,
    approval,
    effect,
    escalation,
    guard,
    metric,
    need,
    provider,
    stage,
)
from loops.definition import LoopDefinition
from loops.errors import Rejected
from loops.problems import Problem


def an_expense() -> LoopBuilder:
    """A loop with a bit of everything, not yet built."""
    return (
        LoopBuilder("expense.approval", "1.0.0", name="Expense", description="Money back.", tags=("finance",))
        .state(
            "ASSESSING",
            label="Assessing",
            asks=provider("analyst", "Is it plausible?", signals=["submit"], on_failure="give_up"),
        )
        .state(
            "PENDING_HUMAN_REVIEW",
            approval=approval(
                stages=[
                    stage(need(2, groups=["finance"]), need(users=["kim"])),
                    stage(need(users=["cfo"], name="CFO"), name="Last"),
                ],
                channel="finance",
                separation=[],
                title="{{ data.amount }}",
                facts={"Amount": "{{ data.amount }}"},
                reason={"approve": "none"},
                editable={"amount": {"type": "number", "maximum": 100}},
                remind_after="30m",
                escalate=[escalation(timedelta(hours=2), channel="leads")],
                expire_after=timedelta(days=2),
                on_expiry="expire",
                reassign="no",
            ),
        )
        .end("PAID", label="Paid")
        .end("REFUSED")
        .end("FAILED", is_error=True)
        .transition(
            "submit",
            "ASSESSING",
            "PENDING_HUMAN_REVIEW",
            by="ai-agent",
            guards=[
                guard("confidence-threshold", {"threshold": 0.6}, failure_message="Not sure enough."),
                guard("evidence-required", {"requiredFields": ["risk"]}, severity="soft"),
            ],
        )
        .transition("give_up", "ASSESSING", "PENDING_HUMAN_REVIEW", by="system")
        .transition(
            "pay",
            "PENDING_HUMAN_REVIEW",
            "PAID",
            by="human",
            signal="approve",
            label="Pay it",
            guards=[guard("human-only")],
            effects=[effect("erp", "pay", {"amount": "{{ data.amount }}"})],
        )
        .transition("reject", "PENDING_HUMAN_REVIEW", "REFUSED", by=["human"])
        .transition("expire", "PENDING_HUMAN_REVIEW", "REFUSED", by="system")
        .transition("lose", "ASSESSING", "FAILED", by="automation", approval=approval(groups=["finance"]))
        .outcome("expense", metric("cycle_time_days", unit="days", improvable_by_ai=True), description="Paid.")
        .metadata(owner="finance")
    )


def test_what_is_built_is_what_a_file_would_say() -> None:
    """Every part arrives in the definition, which reads back from a file of itself."""
    built = an_expense().build()

    policy = built.state("PENDING_HUMAN_REVIEW").approval
    assert policy is not None
    assert policy.named() == "2 of finance and 1 of kim, then 1 of CFO"
    assert policy.separation == ()
    assert policy.expire_after == timedelta(days=2)
    assert policy.escalate[0].after == timedelta(hours=2)
    assert (policy.reason.approve, policy.reason.reject) == ("none", "required")
    pay = built.exit_named("PENDING_HUMAN_REVIEW", "approve")
    assert pay is not None
    assert (pay.id, pay.label, pay.effects[0].parameters) == ("pay", "Pay it", {"amount": "{{ data.amount }}"})
    assert [(rule.id, rule.severity) for rule in built.transitions[0].guards] == [
        ("confidence-threshold", "hard"),
        ("evidence-required", "soft"),
    ]
    assert built.state("FAILED").is_error
    assert built.initial_state == "ASSESSING"
    assert read_loop(dump_yaml(built).encode(), "x.yaml").definition == built


def test_a_builder_is_never_changed() -> None:
    """One beginning serves several loops, whatever is added to one of them."""
    begun = LoopBuilder("x", "1.0.0").state("OPEN").end("DONE")
    one = begun.transition("finish", "OPEN", "DONE", by="human").build()
    other = begun.transition("close", "OPEN", "DONE", by="system").starts_in("OPEN").build()

    assert [t.id for t in one.transitions] == ["finish"]
    assert [t.id for t in other.transitions] == ["close"]
    assert isinstance(one, LoopDefinition)


def test_everything_wrong_is_said_at_once() -> None:
    """One error names the loop and lists every problem with its code and path, as the check of a file does."""
    builder = (
        LoopBuilder("x", "1")
        .state("PENDING_HUMAN_X", approval=approval(expire_after="soon"))
        .transition("go", "PENDING_HUMAN_X", "DONE", by="human", guards=[guard("humans-only")])
    )

    with pytest.raises(InvalidLoop) as caught:
        builder.build()

    assert isinstance(caught.value, Rejected)
    assert str(caught.value) == (
        "loop 'x' cannot be built:\n"
        "  error INVALID_VALUE states.0.approval.expireAfter: 'soon' is not a duration; write it like 30m, 4h or 1h30m"
    )
    mended = (
        LoopBuilder("x", "1")
        .state("PENDING_HUMAN_X")
        .transition("go", "PENDING_HUMAN_X", "DONE", by="human", guards=[guard("humans-only")])
    )
    assert [problem.code for problem in mended.check().problems] == [
        "INVALID_VERSION",
        "INVALID_TRANSITION_STATE",
        "NO_TERMINAL_STATE",
        "UNREGISTERED_GUARD",
        "NO_APPROVERS",
    ]


def test_a_span_with_parts_of_a_second_is_refused() -> None:
    """What the file's form cannot say is not rounded in silence."""
    builder = an_expense().state(
        "PENDING_HUMAN_Y", approval=approval(groups=["x"], expire_after=timedelta(seconds=0.5))
    )

    (problem,) = [each for each in builder.check().problems if each.code == "INVALID_VALUE"]

    assert problem == Problem(
        "INVALID_VALUE",
        "states.5.approval.expireAfter",
        "'0:00:00.500000' is not a duration; write it like 30m, 4h or 1h30m",
    )


def test_an_empty_loop_is_a_problem_not_an_error() -> None:
    """Nothing at all is judged like anything else."""
    assert {problem.code for problem in LoopBuilder("x", "1.0.0").check().problems} == {"MISSING_KEY"}
