"""How long to wait before an effect is tried again."""

from datetime import timedelta

#: No wait of our own choosing is longer, so that a system that comes back is noticed.
LONGEST = timedelta(minutes=5)

#: The longest wait the other side may ask for: a mistaken Retry-After must not put an effect off for years.
LONGEST_ASKED_S = 3_600.0


def backoff(
    attempt: int, base: timedelta, jitter: float, retry_after: float | None = None, longest: timedelta = LONGEST
) -> timedelta:
    """
    Return the wait after failed attempt number *attempt* (from 1).

    Doubles from *base*, at most *longest*, spread by *jitter* in [0, 1) over the upper half so that effects that
    failed together do not return together. What the other side asked for (*retry_after*, seconds) is the least, up to
    `LONGEST_ASKED_S`; what is no time to wait (negative, not a number) is not heard.
    """
    full: timedelta = min(base * float(2 ** min(attempt - 1, 30)), longest)
    wait = full / 2 + full / 2 * jitter
    if retry_after is None or not retry_after > 0:
        return wait
    return max(wait, timedelta(seconds=min(retry_after, LONGEST_ASKED_S)))
