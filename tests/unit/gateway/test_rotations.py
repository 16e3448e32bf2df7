"""Who is on call, by the configuration file."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from unit.gateway.files import a_file

from gateway.configuration import ConfigurationError, load_configuration
from gateway.rotations import ConfiguredOnCall

ROTATION = {"zone": "Europe/Vienna", "start": "2026-01-05", "people": ["dana", "kim"]}
SWAP = {"from": "2026-01-06T00:00:00+01:00", "until": "2026-01-07T00:00:00+01:00", "person": "kim"}


def a_schedule(**changes: Any) -> Any:
    """Return a change of the sound file: a schedule in it."""
    return lambda data: data.update(onCall={"primary": {**ROTATION, **changes}})


async def test_a_schedule_of_the_file_names_who_is_on_call(tmp_path: Path) -> None:
    """Turns, swaps, nobody before the first turn, nobody on a schedule there is not."""
    on_call = ConfiguredOnCall(load_configuration(a_file(tmp_path, a_schedule(swaps=[SWAP]))).on_call)

    assert await on_call.on_call("default", "primary", datetime(2026, 1, 5, 9, tzinfo=UTC)) == ["dana"]
    assert await on_call.on_call("default", "primary", datetime(2026, 1, 6, 9, tzinfo=UTC)) == ["kim"]
    assert await on_call.on_call("default", "primary", datetime(2026, 1, 1, 9, tzinfo=UTC)) == []
    assert await on_call.on_call("default", "secondary", datetime(2026, 1, 6, 9, tzinfo=UTC)) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (a_schedule(people=["dana", "kym"]), "'kym' is nobody under people; did you mean 'kim'?"),
        (a_schedule(zone="Europe/Wien"), "'Europe/Wien' is no time zone; write it like Europe/Vienna or UTC"),
        (a_schedule(start="soon"), "Invalid isoformat string"),
        (a_schedule(people=[]), "must not be an empty list"),
    ],
)
def test_a_schedule_that_cannot_be_is_told_with_its_line(tmp_path: Path, change: Any, says: str) -> None:
    """Somebody unknown, a zone that is none, no date, nobody at all."""
    with pytest.raises(ConfigurationError) as refused:
        load_configuration(a_file(tmp_path, change))

    assert re.search(r"loopgate.yaml:\d+: onCall", str(refused.value))
    assert says in str(refused.value)
