"""Rotations: who is on call, by the clocks of the team's own time zone."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from loops.rotation import Rotation


def weekly(**changes: Any) -> Rotation:
    """Return a rotation of three people, from Monday to Monday at nine in Vienna."""
    return Rotation.model_validate(
        {"zone": "Europe/Vienna", "start": "2026-01-05", "people": ["dana", "sam", "robin"], **changes}
    )


def at(text: str) -> datetime:
    """Return an instant."""
    return datetime.fromisoformat(text)


def test_the_turn_changes_at_the_handover() -> None:
    """A second before nine it is one person's, at nine the next one's."""
    assert weekly().on_call(at("2026-01-12T08:59:59+01:00")) == "dana"
    assert weekly().on_call(at("2026-01-12T09:00:00+01:00")) == "sam"


def test_after_the_last_it_is_the_first_ones_turn_again() -> None:
    """Three weeks on, it begins anew."""
    assert weekly().on_call(at("2026-01-26T10:00+01:00")) == "dana"


def test_nobody_is_on_call_before_the_first_turn() -> None:
    """A rotation that has not begun names nobody."""
    assert weekly().on_call(at("2026-01-05T08:59+01:00")) is None


def test_a_swap_takes_the_turn_of_whoever_has_it() -> None:
    """From its beginning, included, to its end, excluded; of two the one written last."""
    first = {"from": "2026-01-07T00:00+01:00", "until": "2026-01-08T00:00+01:00", "person": "kim"}
    second = {**first, "from": "2026-01-07T12:00+01:00", "person": "alex"}
    swapped = weekly(swaps=[first, second])

    assert swapped.on_call(at("2026-01-07T00:00+01:00")) == "kim"
    assert swapped.on_call(at("2026-01-07T12:00+01:00")) == "alex"
    assert swapped.on_call(at("2026-01-08T00:00+01:00")) == "dana"
    assert swapped.everybody == {"dana", "sam", "robin", "kim", "alex"}


@pytest.mark.parametrize("zone", ["Europe/Vienna", "Australia/Lord_Howe", "America/New_York", "UTC"])
@pytest.mark.parametrize("every", ["day", "week"])
def test_for_a_year_every_turn_begins_at_the_same_time_of_the_local_day(zone: str, every: str) -> None:
    """Whatever the clocks do, turns change at nine by the wall, each once, in order."""
    rotation = weekly(zone=zone, every=every)
    here = datetime(2026, 1, 5, 9, tzinfo=ZoneInfo(zone)).astimezone(ZoneInfo("UTC"))
    handovers, before = [], rotation.on_call(here)
    for _ in range(365 * 48):
        here += timedelta(minutes=30)
        if (now := rotation.on_call(here)) != before:
            handovers.append((here.astimezone(ZoneInfo(zone)), before, now))
            before = now
    order = ("dana", "sam", "robin")

    assert {f"{moment:%H:%M}" for moment, _, _ in handovers} == {"09:00"}
    assert len(handovers) == (365 if every == "day" else 52)
    assert all(now == order[(order.index(before) + 1) % 3] for _, before, now in handovers)


@pytest.mark.parametrize(
    "wrong",
    [
        {"zone": "Vienna"},
        {"people": []},
        {"every": "month"},
        {"handover": "9"},
        {"swaps": [{"from": "2026-01-08T00:00+01:00", "until": "2026-01-07T00:00+01:00", "person": "kim"}]},
        {"swaps": [{"from": "2026-01-07T00:00", "until": "2026-01-08T00:00", "person": "kim"}]},
    ],
)
def test_a_rotation_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    """A zone that is none, nobody, another span, a swap that ends first, an instant without its offset."""
    with pytest.raises(ValidationError):
        weekly(**wrong)
