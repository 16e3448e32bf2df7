"""Attacks through evidence: what a model, a system or a caller brings in is never taken for what we found ourselves."""

from datetime import timedelta
from typing import Any

import pytest
from builders import DATA, TENANT, House, a_house, an_answer, ci

from loops.ledger import Verified, verify
from loops.outcomes import Executed, Outcome
from loops.submission import Submission


async def submitted(house: House, points: dict[str, Any], *, signal: str = "submit_analysis") -> Outcome:
    """Start the test loop and let a provider bring a submission with the data *points*, as its worker does."""
    await house.engine.start(tenant=TENANT, loop_id="test.change", aggregate_id="CHG-7", data=DATA, actor=ci())
    loaded = await house.store.load_aggregate(TENANT, "CHG-7")
    assert loaded is not None
    [ask] = await house.effects(loaded.instance.instance_id, "provider.ask")
    claim = await house.store.claim(ask.effect_id, lease=timedelta(seconds=5))  # type: ignore[attr-defined]
    submission = Submission(
        signal=signal,
        reasoning="Rolls back in a minute.",
        confidence=0.9,
        data_points={"blast_radius_score": 0.2, **points},
        model_id="claude",
        provider="anthropic",
        prompt_hash="0" * 64,
    )
    return await house.engine.submit(ask, claim.fence, submission)


@pytest.mark.parametrize(
    ("predicted", "actual"),
    [(1e308, -1e308), (-(2**53) + 1, 2**53 - 1), (True, 1), ("1", 2), ([], {})],
)
async def test_no_figures_keep_a_loop_from_ending(predicted: Any, actual: Any) -> None:
    """Predictions whose difference has no JSON form are no delta; the human's rejection still ends the loop."""
    house = a_house()
    outcome = await submitted(house, {"predicted": {"risk": predicted}, "actual": {"risk": actual}})
    assert outcome.request is not None
    ended = await house.engine.answer(an_answer(outcome.request, "reject", "dana", reason="no"), tenant=TENANT)
    events = await house.store.events(TENANT, outcome.request.instance_id)

    assert isinstance(ended, Executed)
    assert ended.instance.state == "REJECTED"
    assert isinstance(verify(events, ended.instance.head), Verified)


async def test_no_figures_keep_a_request_from_expiring() -> None:
    """The sweep is not broken by what a model predicted."""
    house = a_house()
    await submitted(house, {"predicted": {"risk": 1e308}, "actual": {"risk": -1e308}})
    house.clock.move(timedelta(hours=5))
    [deadline] = await house.store.due(house.clock.now())  # type: ignore[attr-defined]
    outcome = await house.engine.fall_due(deadline)

    assert isinstance(outcome, Executed)
    assert outcome.instance.state == "REJECTED"
