"""Rotations: who is on call at an instant, by days or weeks, with a hand-over at a time of day in a time zone. Pure."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from loops.hours import Zone, at_wall
from loops.values import Identifier, Instant, Value

Handover = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


def _day(written: Any) -> Any:
    return date.fromisoformat(written) if isinstance(written, str) else written


def _instant(written: Any) -> Any:
    return datetime.fromisoformat(written) if isinstance(written, str) else written


#: As files write them: text or, where YAML reads one out of it, a date or an instant.
WrittenDay = Annotated[date, BeforeValidator(_day)]
WrittenInstant = Annotated[Instant, BeforeValidator(_instant)]


class Swap(Value):
    """Somebody else's turn, whoever the rotation says it is."""

    from_: WrittenInstant = Field(alias="from")
    """When it begins, with a UTC offset."""
    until: WrittenInstant
    """When it ends, with a UTC offset."""
    person: Identifier
    """Who is on call then, by person id."""

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.from_ >= self.until:
            raise ValueError("until must be after from")
        return self


class Rotation(Value):
    """
    People on call one after the other, each for a day or a week.

    The turn of the first begins on `start`, a date, at the time `handover` in `zone`; a week's turn begins on that
    day of the week. Before `start` nobody is on call. Of `swaps` that overlap, the last one written counts.
    """

    zone: Zone
    """The time zone of the hand-over, such as Europe/Vienna."""
    every: Literal["day", "week"] = "week"
    """How long a turn is."""
    start: WrittenDay
    """The date of the first turn's beginning."""
    handover: Handover = "09:00"
    """When a turn ends and the next begins, such as "09:00"."""
    people: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=200)]
    """Whose turns these are, in order, by person id."""
    swaps: Annotated[tuple[Swap, ...], Field(max_length=1_000)] = ()
    """Turns somebody else takes."""

    @property
    def everybody(self) -> frozenset[str]:
        """Everybody who may ever be on call."""
        return frozenset((*self.people, *(swap.person for swap in self.swaps)))

    def on_call(self, at: datetime) -> str | None:
        """Return who is on call at *at* (aware), or None before the first turn."""
        for swap in reversed(self.swaps):
            if swap.from_ <= at < swap.until:
                return swap.person
        day = at.astimezone(ZoneInfo(self.zone)).date()
        if at.astimezone(UTC) < self._handed_over(day):
            day -= timedelta(days=1)
        gone = (day - self.start).days
        if gone < 0:
            return None
        return self.people[gone // (7 if self.every == "week" else 1) % len(self.people)]

    def _handed_over(self, day: date) -> datetime:
        return at_wall(datetime.combine(day, time.fromisoformat(self.handover)), ZoneInfo(self.zone))
