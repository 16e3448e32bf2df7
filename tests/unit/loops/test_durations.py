"""Durations as people write them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loops.durations import MAX_DURATION, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("30m", timedelta(minutes=30)),
        ("4h", timedelta(hours=4)),
        ("1h30m", timedelta(minutes=90)),
        ("7d", timedelta(days=7)),
        ("1d2h3m4s", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("90m", timedelta(minutes=90)),
    ],
)
def test_durations_are_read_as_written(text: str, span: timedelta) -> None:
    """Days, hours, minutes and seconds add up, in that order."""
    assert parse_duration(text) == span


@pytest.mark.parametrize(
    "text",
    ["", "30", "m", "30 m", "-5m", "1.5h", "5m1h", "PT30M", "٣m", "30m ", "1h\n", "9" * 5_000 + "d"],
)
def test_other_spellings_are_refused(text: str) -> None:
    """What is not a duration is refused with an example of one."""
    with pytest.raises(ValueError, match="is not a duration; write it like 30m, 4h or 1h30m"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["0s", "0d0h"])
def test_an_empty_span_is_refused(text: str) -> None:
    """A deadline that is over when it is set is a mistake."""
    with pytest.raises(ValueError, match="longer than nothing"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["367d", "999999999d", "366d1s"])
def test_spans_beyond_a_year_are_refused(text: str) -> None:
    """No span is so long that a date could run out under it."""
    with pytest.raises(ValueError, match="longer than 366d"):
        parse_duration(text)


@given(st.integers(1, int(MAX_DURATION.total_seconds())))
def test_formatting_and_reading_agree(seconds: int) -> None:
    """Any whole number of seconds survives being written and read again."""
    span = timedelta(seconds=seconds)

    assert parse_duration(format_duration(span)) == span


def test_formatting_rounds_down_to_seconds() -> None:
    """Fractions of a second are left out, and nothing is still something to read."""
    assert format_duration(timedelta(minutes=1, milliseconds=900)) == "1m"
    assert format_duration(timedelta(milliseconds=900)) == "0s"
