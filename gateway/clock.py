"""The clock of the running service."""

from datetime import UTC, datetime


class SystemClock:
    """The machine's clock, in UTC, to the millisecond that events are stamped with."""

    def now(self) -> datetime:
        """Return the present."""
        now = datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)
