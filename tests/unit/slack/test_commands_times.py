"""Times as people write them after `/loops away until`: by their own clocks, in the future, or not at all."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.slack.commands.times import time_of

#: A Sunday, 10:00 in Vienna.
NOW, VIENNA = datetime(2026, 11, 22, 9, 0, tzinfo=UTC), ZoneInfo("Europe/Vienna")


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("3d", "2026-11-25T09:00"),
        ("1h30m", "2026-11-22T10:30"),
        ("2026-12-24", "2026-12-23T23:00"),
        ("2026-12-24 18:00", "2026-12-24T17:00"),
        ("2026-12-24 at 6pm", "2026-12-24T17:00"),
        ("2026-12-24 6:30 pm", "2026-12-24T17:30"),
        ("2026-12-24T18:00", "2026-12-24T17:00"),
        ("2026-12-24T18:00Z", "2026-12-24T18:00"),
        ("2026-12-24T18:00+09:00", "2026-12-24T09:00"),
        ("18:00", "2026-11-22T17:00"),
        ("9:00", "2026-11-23T08:00"),
        ("12am", "2026-11-22T23:00"),
        ("tomorrow", "2026-11-22T23:00"),
        ("Tomorrow, 9:00", "2026-11-23T08:00"),
        ("today 17:30", "2026-11-22T16:30"),
        ("monday", "2026-11-22T23:00"),
        ("fri 9am", "2026-11-27T08:00"),
        ("sunday", "2026-11-28T23:00"),
        # The clocks jump from 2:00 to 3:00 that night: the jump is what is meant.
        ("2027-03-28 2:30", "2027-03-28T01:00"),
    ],
)
def test_a_time_is_read_by_the_clocks_where_they_live(text: str, at: str) -> None:
    """Spans, dates, times of day and weekdays, each the next one to come; what has an offset means what it says."""
    assert time_of(text.split(), NOW, VIENNA) == datetime.fromisoformat(at).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "9",
        "25:00",
        "13pm",
        "0am",
        "2026-13-01",
        "2026-02-30",
        "monster",
        "mo",
        "tomorrow whenever",
        "a b c d",
        "0d",
    ],
)
def test_what_is_no_time_is_none(text: str) -> None:
    """Nothing is guessed."""
    assert time_of(text.split(), NOW, VIENNA) is None


@given(st.text(max_size=40))
def test_nothing_typed_breaks_it(text: str) -> None:
    """Whatever is typed, it is an aware instant or nothing."""
    found = time_of(text.split(), NOW, VIENNA)

    assert found is None or found.tzinfo is not None
