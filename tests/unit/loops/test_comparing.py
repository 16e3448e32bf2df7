"""Comparing: two histories, the first place where they differ, and how."""

from datetime import timedelta
from typing import Any

import pytest
from builders import ANALYSIS, DATA, TENANT, House, a_house, an_agent, an_answer, ci

from loops.comparing import Difference, compare, differences
from loops.events import Event


async def a_run(
    house: House, aggregate: str, *, answer: str = "approve", by: str = "dana", **evidence: Any
) -> list[Event]:
    """Let one run on *aggregate* be proposed and answered, and return its events."""
    await house.engine.start(tenant=TENANT, loop_id="test.change", aggregate_id=aggregate, data=DATA, actor=ci())
    moved = await house.engine.transition(
        tenant=TENANT,
        aggregate_id=aggregate,
        transition="submit_analysis",
        actor=an_agent(),
        evidence=ANALYSIS | evidence,
    )
    house.clock.move(timedelta(minutes=7))
    await house.engine.answer(an_answer(moved.request, answer, by, reason="so"), tenant=TENANT)
    return list(await house.store.events(TENANT, moved.instance.instance_id))


async def test_two_runs_of_the_same_agree() -> None:
    """Other ids, times, aggregates and hashes are no difference between two runs that went the same way."""
    house = a_house()
    one, other = await a_run(house, "A"), await a_run(house, "B")
    found = compare(one, other)

    assert (found.same_history, found.divergence, found.course) == (False, None, None)
    assert found.events == (8, 8)


async def test_another_answer_is_where_two_runs_part() -> None:
    """An approved and a rejected run differ first in the decision, by which their courses part."""
    house = a_house()
    found = compare(await a_run(house, "A"), await a_run(house, "B", answer="reject"))

    assert found.divergence is not None
    assert found.divergence.sequence == 5
    assert Difference(path="data.decision.kind", left="approve", right="reject") in found.divergence.differences
    assert found.course is not None
    assert found.course.sequence == 6


async def test_another_person_is_a_difference_of_the_same_course() -> None:
    """Who decided differs; what happened does not."""
    house = a_house()
    found = compare(await a_run(house, "A"), await a_run(house, "B", by="sam"))

    assert found.divergence is not None
    assert found.divergence.sequence == 5
    assert {each.path for each in found.divergence.differences} >= {"data.decision.by.id", "data.groups.dana"}
    assert found.course is None


async def test_other_evidence_is_shown_with_both_values() -> None:
    """The path and both sides of what differs are named."""
    house = a_house()
    found = compare(await a_run(house, "A"), await a_run(house, "B", confidence=0.75))

    assert found.divergence is not None
    assert found.divergence.sequence == 3
    assert "data.evidence.confidence: 0.87 | 0.75" in [str(each) for each in found.divergence.differences]


async def test_a_run_that_ends_earlier_diverges_where_the_other_goes_on() -> None:
    """The first event one side does not have is the divergence."""
    run = await a_run(a_house(), "A")
    found = compare(run[:3], run)

    assert found.divergence is not None
    assert found.divergence.sequence == 4
    assert found.divergence.differences == (Difference(path="type", left=None, right="approval.requested"),)


async def test_copies_of_one_history_are_compared_whole() -> None:
    """Of one instance's ledger two copies must agree in every field, ids, times and hashes too."""
    run = await a_run(a_house(), "A")
    changed = [*run[:4], run[4].changed(occurred_at=run[4].occurred_at + timedelta(seconds=1)), *run[5:]]

    same = compare(run, run)
    assert (same.same_history, same.divergence) == (True, None)
    found = compare(run, changed)
    assert found.divergence is not None
    assert found.divergence.sequence == 5
    assert [each.path for each in found.divergence.differences] == ["occurredAt"]


def test_nothing_and_nothing_agree() -> None:
    """Two empty histories have no first difference."""
    assert compare([], []).divergence is None


@pytest.mark.parametrize(
    ("left", "right", "paths"),
    [
        (1, 1.0, []),
        (1, True, [""]),
        (0, False, [""]),
        ([1, 2], [1, 2], []),
        ([1, 2], [1, 3], ["[1]"]),
        ([1], [1, 2], [""]),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ["a.b"]),
        ({"a": 1}, {"b": 1}, ["a", "b"]),
        ({"a": [True]}, {"a": [1]}, ["a[0]"]),
    ],
)
def test_json_values_differ_as_json_values(left: Any, right: Any, paths: list[str]) -> None:
    """One number has one value however it is written, true is no number, and each difference has its path."""
    assert [each.path for each in differences(left, right)] == paths


def test_a_long_value_is_shown_short() -> None:
    """What a model wrote does not fill the screen."""
    assert len(str(Difference(path="x", left="y" * 5_000, right=None))) < 200
