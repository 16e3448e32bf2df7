"""
Business hours: the time that counts while nobody works nights.

Pure: a span of business time is laid over a calendar in its own time zone, daylight saving included. Zones come from
the standard library's `zoneinfo`; Source of how folds and gaps read: PEP 495.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema, model_validator

from loops.values import Value

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

#: Which calendar day a time of day of 24:00 belongs to.
_MIDNIGHT = "24:00"


def known_zone(name: str) -> str:
    """
    Return *name* where it is a time zone.

    Raises:
        ValueError: If the time zone database does not have it.
    """
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone; write it like Europe/Vienna or UTC") from error
    return name


def is_zone(name: str) -> bool:
    """Return whether the time zone database has *name*."""
    try:
        known_zone(name)
    except ValueError:
        return False
    return True


def _days(written: Any) -> Any:
    """Return single days for what may hold ranges: ``[mon-wed, fri]``."""
    if not isinstance(written, (list, tuple)):
        return written
    found: list[Any] = []
    for item in written:
        first, dash, last = item.partition("-") if isinstance(item, str) else (item, "", "")
        if not dash or first not in DAYS or last not in DAYS:
            found.append(item)
            continue
        start, span = DAYS.index(first), (DAYS.index(last) - DAYS.index(first)) % 7
        found += [DAYS[(start + step) % 7] for step in range(span + 1)]
    return tuple(dict.fromkeys(found))


def _day(name: str) -> str:
    if name not in DAYS:
        raise ValueError(f"{name!r} is no day; write {', '.join(DAYS)}, or a range such as mon-fri")
    return name


def _holiday(written: Any) -> Any:
    return written.isoformat() if isinstance(written, date) else written


def _is_a_date(written: str) -> str:
    date.fromisoformat(written if len(written) == 10 else f"2000-{written}")
    return written


Zone = Annotated[str, AfterValidator(known_zone)]
TimeOfDay = Annotated[str, StringConstraints(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
Day = Annotated[
    str,
    AfterValidator(_day),
    WithJsonSchema({"type": "string", "pattern": f"^({'|'.join(DAYS)})(-({'|'.join(DAYS)}))?$"}),
]
Holiday = Annotated[
    str,
    StringConstraints(pattern=r"^([0-9]{4}-)?[0-9]{2}-[0-9]{2}$"),
    AfterValidator(_is_a_date),
    BeforeValidator(_holiday),
]


class Hours(Value):
    """
    When time counts: on `days`, from `from` to `to` in `zone`, but for `holidays`.

    A day opens the first time its clocks show `from` or later, and closes the last time they show `to`: where clocks
    jump over either, at the jump.
    """

    zone: Zone
    """The time zone, such as Europe/Vienna."""
    days: Annotated[tuple[Day, ...], Field(min_length=1, max_length=7), BeforeValidator(_days)] = DAYS[:5]
    """The days of the week, such as [mon-fri]."""
    from_: TimeOfDay = Field(default="09:00", alias="from")
    """When a day opens, such as "09:00"."""
    to: TimeOfDay = "17:00"
    """When a day closes; "24:00" is its end."""
    holidays: Annotated[tuple[Holiday, ...], Field(max_length=1_000)] = ()
    """Days off: dates such as 2026-12-24, or 12-25 for that day of every year."""

    @model_validator(mode="after")
    def _opens_before_it_closes(self) -> Self:
        if self.from_ >= self.to:
            raise ValueError(f"from ({self.from_}) must be before to ({self.to})")
        return self

    def after(self, start: datetime, span: timedelta) -> datetime:
        """
        Return the instant at which *span* of business time has gone by since *start*, aware, in UTC.

        The first such instant; for no time at all that is *start* itself.
        """
        left = span
        if left <= timedelta(0):
            return start.astimezone(UTC)
        for opens, closes in self._open_since(start):
            if left <= closes - opens:
                return opens + left
            left -= closes - opens
        raise OverflowError("this span ends after the last date there is")

    def between(self, start: datetime, end: datetime) -> timedelta:
        """Return how much business time lies between two instants; none where *end* is not after *start*."""
        total = timedelta(0)
        for opens, closes in self._open_since(start):
            if opens >= end:
                break
            total += min(closes, end.astimezone(UTC)) - opens
        return total

    def _open_since(self, start: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield when time counts from *start* on, as pairs of UTC instants."""
        zone, since = ZoneInfo(self.zone), start.astimezone(UTC)
        # Where clocks jump over midnight, a day may end later than the next one's date says.
        day = since.astimezone(zone).date() - timedelta(days=1)
        while day < date.max - timedelta(days=2):
            if window := _window(self, day):
                opens, closes = max(window[0], since), window[1]
                if opens < closes:
                    yield opens, closes
            day += timedelta(days=1)


@lru_cache(maxsize=4_096)
def _window(hours: Hours, day: date) -> tuple[datetime, datetime] | None:
    off = hours.holidays
    if DAYS[day.weekday()] not in hours.days or day.isoformat() in off or day.isoformat()[5:] in off:
        return None
    zone = ZoneInfo(hours.zone)
    opens, closes = _instant(day, hours.from_, zone, fold=0), _instant(day, hours.to, zone, fold=1)
    return (opens, closes) if opens < closes else None


def _instant(day: date, clock: str, zone: ZoneInfo, *, fold: int) -> datetime:
    wall = (
        datetime.combine(day + timedelta(days=1), time())
        if clock == _MIDNIGHT
        else datetime.combine(day, time.fromisoformat(clock))
    )
    return at_wall(wall, zone, fold=fold)


def at_wall(wall: datetime, zone: ZoneInfo, *, fold: int = 0) -> datetime:
    """
    Return the UTC instant at which clocks in *zone* show the naive *wall*.

    Where they show it twice, the first time, or the second with *fold* 1; where they jump over it, the jump.
    """
    found = wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == wall:
        return found
    early, late = sorted(wall.replace(tzinfo=zone, fold=each).astimezone(UTC) for each in (0, 1))
    before = early.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):  # clocks change at whole seconds
        middle = early + timedelta(seconds=int((late - early).total_seconds()) // 2)
        if middle.astimezone(zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late
