"""How long to wait before an effect is tried again."""

from datetime import timedelta

#: No wait between attempts is longer, so that a system that comes back is noticed.
LONGEST = timedelta(minutes=5)


def backoff(attempt: int, base: timedelta, jitter: float, retry_after: float | None = None) -> timedelta:
    """
    Return the wait after failed attempt number *attempt* (from 1).

    Doubles from *base*, at most `LONGEST`, spread by *jitter* in [0, 1) over the upper half so that effects that
    failed together do not return together. What the other side asked for (*retry_after*, seconds) is the least.
    """
    full: timedelta = min(base * float(2 ** min(attempt - 1, 30)), LONGEST)
    wait = full / 2 + full / 2 * jitter
    return max(wait, timedelta(seconds=retry_after)) if retry_after else wait
