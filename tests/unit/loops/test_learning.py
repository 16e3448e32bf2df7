"""Learning: what was predicted beside what came about, and nothing that the definition does not name."""

from datetime import timedelta
from typing import Any

import pytest
from builders import ANALYSIS, CHANGE, DATA, TENANT, a_house, an_agent, an_answer, ci, person

from loops.definition import LoopDefinition
from loops.learning import MEASURED, WARNINGS_MAX

METRICS = ("cycle_time_days", "time_to_approve_minutes", "time_to_decision_hours", "risk", "cost")


def a_loop(*metrics: str) -> LoopDefinition:
    """Return the test loop, judged by *metrics*; by none it has no outcome."""
    outcome = {"valueUnit": "change", "businessMetrics": [{"id": name} for name in metrics]} if metrics else None
    return LoopDefinition.model_validate({**CHANGE, "outcome": outcome})


async def learned(
    *metrics: str, answer: str = "approve", result: dict[str, Any] | None = None, **evidence: Any
) -> dict[str, Any]:
    """Let a change be proposed with *evidence*, answered after half an hour, and carried out; return its signal."""
    house = a_house(a_loop(*metrics))
    await house.engine.start(tenant=TENANT, loop_id="test.change", aggregate_id="CHG-7", data=DATA, actor=ci())
    house.clock.move(timedelta(hours=1))
    moved = await house.engine.transition(
        tenant=TENANT,
        aggregate_id="CHG-7",
        transition="submit_analysis",
        actor=an_agent(),
        evidence=ANALYSIS | evidence,
    )
    house.clock.move(timedelta(minutes=30))
    done = await house.engine.answer(an_answer(moved.request, answer, "dana", reason="so"), tenant=TENANT)
    house.clock.move(timedelta(hours=10, minutes=30))
    for run in await house.effects(done.instance.instance_id, "integration.run"):
        claim = await house.store.claim(run.effect_id, lease=timedelta(seconds=5))
        await house.engine.settle(run, claim.fence, succeeded=True, detail=result or {})
    events = await house.store.events(TENANT, done.instance.instance_id)
    assert events[-1].type == "loop.learning.recorded"
    return events[-1].data


async def test_the_signal_of_an_approved_change() -> None:
    """Every field of the contract: who it was, how long, how many moves of whom, predicted, actual, and the delta."""
    signal = await learned(*METRICS, predicted={"risk": 0.25, "cost": 10}, result={"actual": {"risk": 0.75}})

    assert signal == {
        "loopId": "test.change",
        "loopName": "Test change",
        "aggregateId": "CHG-7",
        "completedAt": "2026-11-22T21:00:00+00:00",
        "durationMs": 12 * 3_600_000,
        "transitionCount": 3,
        "businessMetricIds": list(METRICS),
        "actorSummary": [
            {"actorType": "ai-agent", "transitionCount": 1},
            {"actorType": "human", "transitionCount": 1},
            {"actorType": "automation", "transitionCount": 1},
        ],
        "predicted": {"risk": 0.25, "cost": 10},
        "actual": {"cycle_time_days": 0.5, "time_to_approve_minutes": 30, "time_to_decision_hours": 0.5, "risk": 0.75},
        "delta": {"risk": 0.5},
    }


async def test_a_rejected_change_was_decided_and_not_approved() -> None:
    """What did not happen has no figure."""
    signal = await learned(*METRICS, answer="reject")

    assert signal["actual"] == {"cycle_time_days": 1.5 / 24, "time_to_decision_hours": 0.5}


async def test_a_number_under_the_metrics_own_name_is_a_prediction() -> None:
    """What an analyst submits as plain evidence counts, unless `predicted` says otherwise."""
    plain = await learned("blast_radius_score")
    named = await learned("blast_radius_score", predicted={"blast_radius_score": 0.4})

    assert plain["predicted"] == {"blast_radius_score": ANALYSIS["blast_radius_score"]}
    assert named["predicted"] == {"blast_radius_score": 0.4}


async def test_what_the_definition_does_not_name_is_dropped_with_a_warning() -> None:
    """Figures nobody asked for, and figures that are none, are not kept, and the signal says so."""
    signal = await learned(
        "risk", predicted={"risk": "high", "fame": 3}, actual={"luck": 1}, result={"actual": {"risk": True}}
    )

    assert "predicted" not in signal
    assert "actual" not in signal
    assert "delta" not in signal
    assert signal["warnings"] == [
        "predicted.risk: not a number; dropped",
        "predicted.fame: not a business metric of this loop; dropped",
        "actual.luck: not a business metric of this loop; dropped",
        "integration.result.actual.risk: not a number; dropped",
    ]


async def test_what_is_no_mapping_is_dropped_with_a_warning() -> None:
    """A prediction that is one number, a list or a text names no metric."""
    for value in (0.3, [0.3], "low"):
        signal = await learned("risk", predicted=value)

        assert signal["warnings"] == ["predicted: not figures by the ids of business metrics; dropped"]


async def test_warnings_are_bounded() -> None:
    """A model that predicts hundreds of things does not write hundreds of lines into the ledger."""
    signal = await learned("risk", predicted={f"metric_{number}" * 40: 1 for number in range(300)})

    assert len(signal["warnings"]) == WARNINGS_MAX + 1
    assert signal["warnings"][-1] == "and 280 more"
    assert max(map(len, signal["warnings"])) < 200


async def test_nobody_reports_what_is_measured_here() -> None:
    """A time that Loopgate measures itself is not taken from evidence or from an integration."""
    signal = await learned("cycle_time_days", actual={"cycle_time_days": 0}, result={"actual": {"cycle_time_days": 99}})

    assert signal["actual"] == {"cycle_time_days": 0.5}


async def test_what_the_integration_reports_goes_before_what_somebody_said() -> None:
    """The system of record knows better than a caller's evidence."""
    signal = await learned("risk", actual={"risk": 1}, result={"actual": {"risk": 2}})

    assert signal["actual"] == {"risk": 2}


async def test_a_loop_without_an_outcome_still_leaves_a_signal() -> None:
    """Nothing named, nothing predicted, nothing measured; how long and who is there all the same."""
    signal = await learned()

    assert signal["businessMetricIds"] == []
    assert signal["durationMs"] == 12 * 3_600_000
    assert "actual" not in signal


@pytest.mark.parametrize("unit", ["minutes", "hours", "days"])
@pytest.mark.parametrize("span", ["cycle_time", "time_to_approve", "time_to_decision"])
async def test_spans_are_measured_in_every_unit(span: str, unit: str) -> None:
    """The three spans we measure have the three units people name them in."""
    assert f"{span}_{unit}" in MEASURED
    signal = await learned(f"{span}_{unit}")

    per_unit = {"minutes": 60, "hours": 1, "days": 1 / 24}[unit]
    assert signal["actual"][f"{span}_{unit}"] == pytest.approx((12 if span == "cycle_time" else 0.5) * per_unit)


async def test_the_wait_is_counted_from_the_first_asking() -> None:
    """Where several people must agree, what counts is when the last of them did."""
    house = a_house(a_loop("time_to_approve_minutes"))
    request = await house.propose()
    house.clock.move(timedelta(minutes=5))
    await house.engine.suspend(tenant=TENANT, aggregate_id="CHG-7", actor=person("dana"))
    house.clock.move(timedelta(minutes=5))
    await house.engine.resume(tenant=TENANT, aggregate_id="CHG-7", actor=person("dana"))
    house.clock.move(timedelta(minutes=5))
    done = await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)

    assert done.instance.asked_at is not None
    assert done.instance.approved_at - done.instance.asked_at == timedelta(minutes=15)
    assert done.instance.decided_at == done.instance.approved_at
