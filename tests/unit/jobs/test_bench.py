"""The bench: effects under way side by side, bounded, and all ended before the worker is."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from patience import PATIENCE_S

from gateway.jobs.bench import Bench
from gateway.jobs.rq_worker import loop_in_thread
from loops.errors import StoreUnavailable

#: Longer than a test may take: whoever waits as long is not woken, and the test fails.
FOR_EVER_S = 3600.0


class Attempts:
    """Attempts that wait until they are let go, or are cut off."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.cut_off: list[str] = []
        self.go = threading.Event()
        self.first = threading.Event()

    async def attempt(self, effect_id: str) -> None:
        """Wait."""
        self.begun.append(effect_id)
        self.first.set()
        try:
            while not self.go.is_set():  # noqa: ASYNC110 - the other side is a thread
                await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            self.cut_off.append(effect_id)
            raise


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in a thread, as the worker has one."""
    with loop_in_thread(asyncio.new_event_loop) as running:
        yield running


def test_a_slow_system_of_record_delays_no_card(loop: asyncio.AbstractEventLoop) -> None:
    """A queue whose places are taken has no room; the others have."""
    attempts = Attempts()
    bench = Bench(loop, attempts.attempt, per_queue=2)
    bench.take("integrations", "ef_1")
    one_taken = bench.has_room("integrations")
    bench.take("integrations", "ef_2")
    both_taken = bench.has_room("integrations")
    cards = bench.has_room("cards")
    attempts.go.set()
    bench.close(PATIENCE_S)

    assert (one_taken, both_taken, cards) == (True, False, True)
    assert bench.has_room("integrations")
    assert attempts.begun == ["ef_1", "ef_2"]


def test_room_is_noticed_as_soon_as_there_is_some(loop: asyncio.AbstractEventLoop) -> None:
    """Whoever waits for room is woken by the end of an attempt, not by the clock."""
    attempts = Attempts()
    bench = Bench(loop, attempts.attempt, per_queue=1)
    bench.take("cards", "ef_1")
    threading.Timer(0.02, attempts.go.set).start()
    while not bench.has_room("cards"):
        bench.wait_for_an_end(FOR_EVER_S)

    assert attempts.go.is_set()


def test_what_is_under_way_at_the_end_is_finished(loop: asyncio.AbstractEventLoop) -> None:
    """Closing waits for attempts that end in time."""
    attempts = Attempts()
    bench = Bench(loop, attempts.attempt, per_queue=2)
    bench.take("cards", "ef_1")
    threading.Timer(0.05, attempts.go.set).start()
    bench.close(PATIENCE_S)

    assert attempts.cut_off == []
    assert bench.has_room("cards")


def test_what_does_not_end_in_time_is_cut_off(loop: asyncio.AbstractEventLoop) -> None:
    """A worker that was told to stop does stop."""
    attempts = Attempts()
    bench = Bench(loop, attempts.attempt, per_queue=2)
    bench.take("cards", "ef_1")
    assert attempts.first.wait(PATIENCE_S)
    bench.close(0.01)

    assert attempts.cut_off == ["ef_1"]


def test_an_attempt_that_swallows_a_cancellation_is_cut_off_again(loop: asyncio.AbstractEventLoop) -> None:
    """One cancellation may be lost on its way; closing does not take that for an answer."""
    swallowed, begun = threading.Event(), threading.Event()

    async def deaf_once(_: str) -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            swallowed.set()
        await asyncio.sleep(60)

    bench = Bench(loop, deaf_once, per_queue=1)
    bench.take("cards", "ef_1")
    assert begun.wait(PATIENCE_S)
    bench.close(0)

    assert swallowed.is_set()
    assert bench.has_room("cards")


def test_a_second_signal_does_not_wait(loop: asyncio.AbstractEventLoop) -> None:
    """Told to stop again, the worker cuts off at once what is under way."""
    attempts = Attempts()
    bench = Bench(loop, attempts.attempt, per_queue=2)
    bench.take("cards", "ef_1")
    assert attempts.first.wait(PATIENCE_S)
    bench.close(FOR_EVER_S, hurried=lambda: True)

    assert attempts.cut_off == ["ef_1"]


@pytest.mark.parametrize("error", [StoreUnavailable("away"), KeyError("bug")])
def test_an_attempt_that_fails_gives_its_place_back(loop: asyncio.AbstractEventLoop, error: Exception) -> None:
    """Whatever an attempt raises, the next one has room."""

    async def fail(_: str) -> None:
        raise error

    bench = Bench(loop, fail, per_queue=1)
    bench.take("cards", "ef_1")
    bench.close(PATIENCE_S)

    assert bench.has_room("cards")
