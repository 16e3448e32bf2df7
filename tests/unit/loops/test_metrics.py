"""Metrics: every figure follows from the ledgers, by whoever counts."""

from datetime import timedelta

import pytest
from builders import ANALYSIS, DATA, TENANT, House, a_change, a_house, an_agent, an_answer, ci, person
from hypothesis import given
from hypothesis import strategies as st

from loops.metrics import LoopMetrics, RunMeasured, measured, metrics, percentile


async def propose(house: House, aggregate: str, *, confidence: float = 0.9):
    """Start a run and let an agent submit; return the outcome."""
    await house.engine.start(tenant=TENANT, loop_id="test.change", aggregate_id=aggregate, data=DATA, actor=ci())
    return await house.engine.transition(
        tenant=TENANT,
        aggregate_id=aggregate,
        transition="submit_analysis",
        actor=an_agent(),
        evidence=ANALYSIS | {"confidence": confidence},
    )


async def finish(house: House, instance_id: str, *, succeeded: bool = True) -> None:
    """Let the integration of a run come to an end."""
    [run] = await house.effects(instance_id, "integration.run")
    claim = await house.store.claim(run.effect_id, lease=timedelta(seconds=5))
    await house.engine.settle(run, claim.fence, succeeded=succeeded, detail={})


async def read(house: House, *instance_ids: str) -> list[RunMeasured]:
    """Return what the ledgers of some instances contribute."""
    return [measured(await house.store.events(TENANT, each)) for each in instance_ids]


async def test_the_figures_of_a_loop() -> None:
    """Six runs that ended in six ways give the figures anybody would count by hand."""
    house = a_house(a_change(editable={"replicas": {"type": "integer", "maximum": 20}}))
    requests = [(await propose(house, f"CHG-{number}")).request for number in range(6)]
    approve, edit, reject, fail, wait, cancel = requests
    house.clock.move(timedelta(minutes=10))
    await house.engine.answer(an_answer(approve, "approve", "dana"), tenant=TENANT)
    await house.engine.answer(an_answer(edit, "approve", "dana", edits={"replicas": 3}), tenant=TENANT)
    house.clock.move(timedelta(minutes=20))
    await house.engine.answer(an_answer(reject, "reject", "sam", reason="no"), tenant=TENANT)
    await house.engine.answer(an_answer(fail, "approve", "kim"), tenant=TENANT)
    await house.engine.answer(an_answer(fail, "approve", "sam"), tenant=TENANT)
    await finish(house, approve.instance_id)
    await finish(house, edit.instance_id)
    await finish(house, fail.instance_id, succeeded=False)
    await house.engine.cancel(tenant=TENANT, aggregate_id="CHG-5", actor=person("dana"))
    blocked = await propose(house, "CHG-6", confidence=0.2)
    house.clock.move(timedelta(hours=4))
    for deadline in await house.store.due(house.clock.now()):
        await house.engine.fall_due(deadline)

    ids = [request.instance_id for request in requests] + [blocked.instance.instance_id]
    [loop] = metrics(await read(house, *ids))

    minutes = 60_000
    assert (loop.loop_id, loop.count) == ("test.change", 7)
    assert loop.by_status == {"active": 1, "cancelled": 1, "completed": 5}
    assert loop.completion_rate == 5 / 6
    assert (loop.duration.count, loop.duration.p50, loop.duration.p95) == (5, 30 * minutes, 270 * minutes)
    decision = loop.time_to_decision
    assert (decision.count, decision.p50, decision.p95) == (4, 10 * minutes, 30 * minutes)
    assert (loop.requests.count, loop.requests.closed) == (6, 6)
    assert (loop.requests.approve_rate, loop.requests.reject_rate) == (3 / 6, 1 / 6)
    assert (loop.requests.expire_rate, loop.requests.edit_rate) == (1 / 6, 1 / 6)
    assert wait.instance_id in ids
    assert cancel.instance_id in ids
    # Two guards on each of seven submissions, one on each of three approvals; one of them objected.
    assert (loop.guards.asked, loop.guards.failed) == (17, 1)
    assert loop.guards.by_guard == {"confidence-threshold": 1 / 7, "evidence-required": 0.0, "human-only": 0.0}
    assert loop.transitions_by_actor == {"ai-agent": 6, "automation": 3, "human": 4, "system": 1}
    assert (loop.blocked, loop.refused, loop.effects_failed) == (1, 1, 1)


async def test_figures_can_be_added_up_in_any_order() -> None:
    """What each ledger contributes stands alone, so figures do not depend on who read which first."""
    house = a_house()
    requests = [(await propose(house, f"CHG-{number}")).request for number in range(3)]
    await house.engine.answer(an_answer(requests[0], "reject", "dana", reason="no"), tenant=TENANT)
    runs = await read(house, *(request.instance_id for request in requests))

    assert metrics(runs) == metrics(reversed(runs))
    assert metrics([RunMeasured.model_validate_json(run.model_dump_json()) for run in runs]) == metrics(runs)


async def test_a_suspended_run_is_not_over() -> None:
    """A loop that rests has no duration yet, and none of its rates is one."""
    house = a_house()
    request = (await propose(house, "CHG-1")).request
    await house.engine.suspend(tenant=TENANT, aggregate_id="CHG-1", actor=person("dana"))
    [loop] = metrics(await read(house, request.instance_id))

    assert loop.by_status == {"suspended": 1}
    assert loop.duration.count == 0
    assert (loop.completion_rate, loop.requests.approve_rate) == (None, None)
    assert loop.requests.edit_rate == 0


def test_loops_are_told_apart() -> None:
    """Each loop has its own figures, in order of their ids."""
    found = metrics([RunMeasured(loop_id="b"), RunMeasured(loop_id="a"), RunMeasured(loop_id="b")])

    assert [(loop.loop_id, loop.count) for loop in found] == [("a", 1), ("b", 2)]
    assert all(isinstance(loop, LoopMetrics) for loop in found)


async def test_a_history_without_its_beginning_is_not_measured() -> None:
    """Half a ledger would give wrong figures, so it gives none."""
    house = a_house()
    request = (await propose(house, "CHG-1")).request
    events = await house.store.events(TENANT, request.instance_id)

    for part in ([], events[1:]):
        with pytest.raises(ValueError, match=r"begins with loop\.started"):
            measured(part)


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=60), st.integers(1, 100))
def test_a_percentile_is_one_of_the_values(values: list[int], per_cent: int) -> None:
    """At least so many per cent are at or below the percentile, and fewer are below any smaller value."""
    found = percentile(values, per_cent)

    assert found in values
    assert sum(value <= found for value in values) * 100 >= per_cent * len(values)
    assert sum(value < found for value in values) * 100 < per_cent * len(values)


def test_there_is_no_percentile_of_nothing() -> None:
    """No values, no figure."""
    assert percentile([], 50) is None
