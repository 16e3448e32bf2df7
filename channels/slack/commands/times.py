"""Reading times as people write them: dates, times of day, weekdays and spans, by the clocks where they live. Pure."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from channels.slack.commands.parsing import span_of
from loops.hours import DAYS, at_wall

_TIME = re.compile(r"(\d{1,2})(?::(\d{2}))?\s?(am|pm)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_STAMP = re.compile(r"\d{4}-\d{2}-\d{2}t", re.ASCII)


def time_of(words: Sequence[str], now: datetime, zone: ZoneInfo) -> datetime | None:
    """
    Return the instant *words* mean to somebody in *zone* at *now*, in UTC; None where they mean none.

    A day alone is its beginning, there; a time alone, or a day of the week, the next one to come. ``2026-12-24T18:00``
    with an offset means what it says.
    """
    kept = [word.lower().rstrip(",") for word in words if word.lower() != "at"]
    if not 1 <= len(kept) <= 3:
        return None
    if len(kept) == 1 and (span := span_of(kept[0])):
        return now + span
    try:
        return _stamp(kept[0], zone) if len(kept) == 1 and _STAMP.match(kept[0]) else _wall(kept, now, zone)
    except (ValueError, OverflowError):
        return None


def _stamp(word: str, zone: ZoneInfo) -> datetime:
    read = datetime.fromisoformat(word.upper())
    return read.astimezone(UTC) if read.tzinfo else at_wall(read, zone)


def _wall(words: list[str], now: datetime, zone: ZoneInfo) -> datetime | None:
    here = now.astimezone(zone)
    day = _day(words[0], here.date())
    clock = _clock("".join(words[1:] if day else words))
    if day is None:
        if clock is None:
            return None
        today = at_wall(datetime.combine(here.date(), clock), zone)
        return today if today > now else at_wall(datetime.combine(here.date() + timedelta(days=1), clock), zone)
    if clock is None and len(words) > 1:
        return None
    return at_wall(datetime.combine(day, clock or time()), zone)


def _day(word: str, today: date) -> date | None:
    if _DATE.fullmatch(word):
        return date.fromisoformat(word)
    if word in {"today", "tomorrow"}:
        return today + timedelta(days=word == "tomorrow")
    if len(word) >= 3 and word[:3] in DAYS and any(name.startswith(word) for name in _NAMES):
        ahead = (DAYS.index(word[:3]) - today.weekday()) % 7
        return today + timedelta(days=ahead or 7)
    return None


_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def _clock(text: str) -> time | None:
    """Return the time of day *text* says; ``9`` alone is none, for it might as well be a day."""
    match = _TIME.fullmatch(text)
    if not match or (match[2] is None and match[3] is None):
        return None
    hour, minute, half = int(match[1]), int(match[2] or 0), match[3]
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "pm" else 0)
    return time(hour, minute)
