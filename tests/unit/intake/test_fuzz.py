"""Intake under deliveries of every kind of wrongness, in front of the real engine."""

from unit.intake.fuzzing import SOURCES, fuzz


async def test_no_delivery_breaks_intake_or_writes_by_halves() -> None:
    """Whatever is sent: no 5xx, a reason with every refusal, nothing written before the engine has judged."""
    tally = await fuzz(1_500, seed=7)

    assert tally.faults == []
    assert tally.cases == 1_500
    assert {200, 202, 400, 401, 409, 415, 422} <= tally.statuses.keys()
    assert len(SOURCES) > 10
