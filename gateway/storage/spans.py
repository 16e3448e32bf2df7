"""Spans of time the stores go by, and the whole numbers they keep times as."""

from datetime import UTC, datetime, timedelta

#: How long after a commit asked for it a card may show less before it is looked after; the pause between two looks
#: doubles up to the second, and after so many looks the card is left as it is.
BEHIND_AFTER, BEHIND_LONGEST, BEHIND_LOOKS = timedelta(seconds=30), timedelta(hours=1), 16

#: How long an idempotency key, and with it a webhook's delivery id, is remembered: longer than senders go on repeating.
#: Sources: Stripe and PagerDuty give up after three days, GitHub lets a delivery be sent again for three.
IDEMPOTENCY_TTL = timedelta(hours=72)

#: How long after its commit the sweep first looks at an effect that nobody claimed.
EFFECT_GRACE = timedelta(seconds=30)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def milliseconds(span: timedelta, *, least: int = 0) -> int:
    """Return *span* in whole milliseconds, never fewer than *least*."""
    return max(least, span // timedelta(milliseconds=1))


def microseconds(instant: datetime) -> int:
    """Return *instant* as microseconds since 1970, which a sorted set keeps exactly until the year 2255."""
    return (instant - _EPOCH) // timedelta(microseconds=1)
