"""How long is waited before the next attempt."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.jobs.backoff import LONGEST, LONGEST_ASKED_S, backoff

ATTEMPTS = st.integers(min_value=1, max_value=10_000)
BASES = st.timedeltas(min_value=timedelta(milliseconds=10), max_value=timedelta(minutes=1))
JITTERS = st.floats(min_value=0, max_value=1, exclude_max=True)


@given(ATTEMPTS, BASES, JITTERS)
def test_a_wait_is_never_shorter_than_half_the_base_nor_longer_than_the_longest(
    attempt: int, base: timedelta, jitter: float
) -> None:
    """However often it failed, an effect waits some time, and not for ever."""
    assert min(base, LONGEST) / 2 <= backoff(attempt, base, jitter) <= LONGEST


@given(ATTEMPTS, BASES, JITTERS)
def test_waits_do_not_shrink_with_attempts(attempt: int, base: timedelta, jitter: float) -> None:
    """The same throw of the dice gives no shorter wait after one failure more."""
    assert backoff(attempt, base, jitter) <= backoff(attempt + 1, base, jitter)


@given(ATTEMPTS, BASES, JITTERS, st.floats(min_value=0.001, max_value=1e300))
def test_what_the_other_side_asked_for_is_waited_up_to_an_hour(
    attempt: int, base: timedelta, jitter: float, asked: float
) -> None:
    """Retry-After is the least wait, but a mistaken one puts nothing off for years."""
    wait = backoff(attempt, base, jitter, asked)
    own = backoff(attempt, base, jitter)

    assert wait == max(own, timedelta(seconds=min(asked, LONGEST_ASKED_S)))


@given(ATTEMPTS, BASES, JITTERS, st.sampled_from([0.0, -1.0, float("nan"), float("-inf")]))
def test_what_is_no_time_to_wait_is_not_heard(attempt: int, base: timedelta, jitter: float, asked: float) -> None:
    """A Retry-After that is negative or not a number changes nothing."""
    assert backoff(attempt, base, jitter, asked) == backoff(attempt, base, jitter)


def test_effects_that_failed_together_do_not_return_together() -> None:
    """The dice spread waits over the upper half of the span."""
    base = timedelta(seconds=8)

    assert backoff(1, base, 0.0) == timedelta(seconds=4)
    assert backoff(1, base, 0.5) == timedelta(seconds=6)
    assert backoff(2, base, 0.0) == timedelta(seconds=8)
