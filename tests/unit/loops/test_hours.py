"""Business hours: spans of time laid over a calendar, in its own zone, daylight saving included."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from loops.hours import DAYS, Hours, at_wall

#: Zones whose clocks jump by an hour, by half an hour, at midnight, southwards, and never.
ZONES = ("Europe/Vienna", "Australia/Lord_Howe", "America/Havana", "America/New_York", "Asia/Kolkata", "UTC")
YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def vienna(**changes: Any) -> Hours:
    """Return office hours in Vienna."""
    return Hours.model_validate(
        {"zone": "Europe/Vienna", "days": ["mon-fri"], "from": "09:00", "to": "17:00", **changes}
    )


def at(text: str) -> datetime:
    """Return an instant."""
    return datetime.fromisoformat(text)


def test_a_span_goes_on_where_the_office_opens_again() -> None:
    """Four hours from Friday 16:00 end on Monday at 12:00."""
    assert vienna().after(at("2026-11-20T16:00+01:00"), timedelta(hours=4)) == at("2026-11-23T12:00+01:00")


def test_holidays_do_not_count() -> None:
    """A date once, and a day of every year, are left out."""
    hours = vienna(holidays=["2026-12-24", "12-25"])

    assert hours.after(at("2026-12-23T16:00+01:00"), timedelta(hours=2)) == at("2026-12-28T10:00+01:00")
    assert hours.after(at("2027-12-24T16:00+01:00"), timedelta(hours=2)) == at("2027-12-27T10:00+01:00")


def test_a_span_that_fits_ends_at_the_end_of_the_day() -> None:
    """A span that uses a day up ends when the day does, not when the next begins."""
    assert vienna().after(at("2026-11-20T09:00+01:00"), timedelta(hours=8)) == at("2026-11-20T17:00+01:00")


def test_clocks_that_change_overnight_move_no_office_hours() -> None:
    """The Monday after a change, nine o'clock is nine o'clock by the new time."""
    in_spring = vienna().after(at("2026-03-27T17:00+01:00"), timedelta(hours=1))
    in_autumn = vienna().after(at("2026-10-23T17:00+02:00"), timedelta(hours=1))

    assert in_spring == at("2026-03-30T10:00+02:00")
    assert in_autumn == at("2026-10-26T10:00+01:00")


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Vienna", "2026-03-29", 23),
        ("Europe/Vienna", "2026-10-25", 25),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("Australia/Lord_Howe", "2026-10-04", 23.5),
        ("Europe/Vienna", "2026-06-01", 24),
    ],
)
def test_a_whole_day_is_as_long_as_its_clocks_make_it(zone: str, day: str, hours: float) -> None:
    """From 00:00 to 24:00 is 23, 24.5 or 25 hours on the day the clocks change."""
    around_the_clock = Hours.model_validate({"zone": zone, "days": ["mon-sun"], "from": "00:00", "to": "24:00"})
    start = at_wall(datetime.combine(date.fromisoformat(day), datetime.min.time()), ZoneInfo(zone))

    end = at_wall(datetime.combine(date.fromisoformat(day) + timedelta(days=1), datetime.min.time()), ZoneInfo(zone))

    assert around_the_clock.between(start, end) == timedelta(hours=hours)


def test_a_time_the_clocks_jump_over_is_the_jump() -> None:
    """02:30 does not exist on the last Sunday of March in Vienna: a day that opens then opens at 03:00 summer time."""
    sundays = vienna(days=["sun"], **{"from": "02:30", "to": "04:00"})

    assert sundays.between(at("2026-03-29T00:00+01:00"), at("2026-03-30T00:00+02:00")) == timedelta(hours=1)
    assert at_wall(datetime(2026, 3, 29, 2, 30), ZoneInfo("Europe/Vienna")) == at("2026-03-29T03:00+02:00")
    assert at_wall(datetime(2026, 10, 4, 2, 10), ZoneInfo("Australia/Lord_Howe")) == at("2026-10-04T02:30+11:00")


def test_a_time_the_clocks_show_twice_opens_at_the_first_and_closes_at_the_second() -> None:
    """02:30 comes twice on the last Sunday of October in Vienna: people have all the time between."""
    opens_then = vienna(days=["sun"], **{"from": "02:30", "to": "04:00"})
    closes_then = vienna(days=["sun"], **{"from": "01:00", "to": "02:30"})
    day = at("2026-10-25T00:00+02:00"), at("2026-10-26T00:00+01:00")

    assert opens_then.between(*day) == timedelta(hours=2, minutes=30)
    assert closes_then.between(*day) == timedelta(hours=2, minutes=30)


@pytest.mark.parametrize(
    "wrong",
    [
        {"zone": "Europe/Wien"},
        {"zone": "Europe"},
        {"zone": "../../etc/passwd"},
        {"zone": "/etc/localtime"},
        {"zone": ""},
        {"days": []},
        {"days": ["monday"]},
        {"days": ["mon-funday"]},
        {"from": "9:00"},
        {"from": "24:00"},
        {"from": "17:00", "to": "09:00"},
        {"to": "25:00"},
        {"holidays": ["2026-02-30"]},
        {"holidays": ["24.12.2026"]},
    ],
)
def test_hours_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    """A zone, day, time or date that does not exist is refused, and so is a day that closes before it opens."""
    with pytest.raises(ValidationError):
        vienna(**wrong)


def test_days_are_written_one_by_one_or_as_ranges() -> None:
    """A range may run over the weekend; a day named twice counts once."""
    assert vienna(days=["fri-mon", "sat", "wed"]).days == ("fri", "sat", "sun", "mon", "wed")


def test_hours_come_back_from_json_as_they_were() -> None:
    """The snapshot in a request says the same hours."""
    hours = vienna(holidays=[date(2026, 12, 24), "12-25"])

    assert Hours.model_validate(hours.as_json()) == hours


CALENDARS = st.builds(
    lambda zone, days, opens, length, off: Hours.model_validate(
        {
            "zone": zone,
            "days": days,
            "from": f"{opens // 60:02d}:{opens % 60:02d}",
            "to": f"{min(1440, opens + length) // 60:02d}:{min(1440, opens + length) % 60:02d}",
            "holidays": off,
        }
    ),
    st.sampled_from(ZONES),
    st.lists(st.sampled_from(DAYS), min_size=1, unique=True),
    st.integers(0, 1_430),
    st.integers(5, 1_440),
    st.lists(st.dates(date(2026, 1, 1), date(2026, 12, 31)).map(date.isoformat), max_size=5),
)
INSTANTS = st.integers(0, 366 * 24 * 3_600).map(lambda seconds: YEAR + timedelta(seconds=seconds))
SPANS = st.integers(1, 40 * 3_600).map(lambda seconds: timedelta(seconds=seconds))


@given(CALENDARS, INSTANTS, SPANS)
def test_as_much_time_lies_between_as_was_laid_out(hours: Hours, start: datetime, span: timedelta) -> None:
    """Laying a span out and measuring what lies between are each other's inverse, any day of the year."""
    end = hours.after(start, span)

    assert hours.between(start, end) == span
    assert hours.between(start, end - timedelta(seconds=1)) < span


@given(CALENDARS, INSTANTS, SPANS, SPANS)
def test_a_span_laid_out_in_two_parts_ends_where_the_whole_does(
    hours: Hours, start: datetime, first: timedelta, second: timedelta
) -> None:
    """Time that was interrupted and goes on ends when it would have ended."""
    assert hours.after(hours.after(start, first), second) == hours.after(start, first + second)


@settings(max_examples=60)
@given(CALENDARS, st.dates(date(2026, 1, 1), date(2026, 12, 30)), st.sampled_from(["before", "change"]))
def test_time_counts_exactly_while_the_clocks_on_the_wall_say_so(hours: Hours, day: date, near: str) -> None:
    """Minute by minute through a day, time counts where the local clock says so; an hour shown twice counts whole."""
    zone = ZoneInfo(hours.zone)
    if near == "change":
        day = next((each for each in _changes(hours.zone) if each >= day), day)
    midnight = datetime.combine(day, datetime.min.time(), tzinfo=zone).astimezone(UTC)
    counted = 0
    by_the_wall = set[datetime]()
    for minute in range(24 * 60):
        here = midnight + timedelta(minutes=minute)
        local = here.astimezone(zone)
        is_on = DAYS[local.weekday()] in hours.days and local.date().isoformat() not in hours.holidays
        if is_on and hours.from_ <= f"{local:%H:%M}" < hours.to:
            by_the_wall.add(here)
        counted += hours.between(here, here + timedelta(minutes=1)) == timedelta(minutes=1)

    # An hour that the clocks show twice counts from its first showing to its last, more than the clock alone would say.
    assert counted == len(by_the_wall) or (counted > len(by_the_wall) and _is_near_a_change(zone, midnight))


def _changes(name: str) -> list[date]:
    zone = ZoneInfo(name)
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(365)]
    return [day for day in days if _is_near_a_change(zone, datetime.combine(day, datetime.min.time(), tzinfo=UTC))]


def _is_near_a_change(zone: ZoneInfo, start: datetime) -> bool:
    return start.astimezone(zone).utcoffset() != (start + timedelta(days=1, hours=1)).astimezone(zone).utcoffset()
