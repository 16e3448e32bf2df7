"""Back-pressure: past a bound senders are told when to come again, nothing is written, and cancelling still works."""

import pytest
from starlette.applications import Starlette
from unit.intake.engine import InMemoryEngine
from unit.intake.test_intake import DESK, ENVIRON, Desk, a_client, a_request

from gateway.intake.backpressure import BELIEVED_S, BackPressure, TooMuchWaits
from gateway.intake.config import SourceConfig
from gateway.intake.intake import intake_routes
from gateway.intake.sources import open_sources
from loops.errors import StoreUnavailable


class Backlog:
    """So many effects wait, or nobody can tell (-1); counts how often it was asked."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.asked = 0

    async def __call__(self) -> int:
        """Count."""
        self.asked += 1
        if self.count < 0:
            raise StoreUnavailable("away")
        return self.count


class Watch:
    """A clock that stands still until moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return where it stands."""
        return self.now


def pressed(engine: InMemoryEngine, pressure: BackPressure) -> Starlette:
    """Return intake under *pressure*, of a desk that also cancels."""
    said = DESK.model_dump(mode="json", by_alias=True, exclude_none=True)
    cancels = {"when": {"type": "change.dropped"}, "cancel": {"aggregateId": "{{ body.data.changeId }}"}}
    desk = SourceConfig.model_validate(said | {"rules": [*said["rules"], cancels]})
    return Starlette(routes=intake_routes(open_sources({"desk": desk}, ENVIRON), engine, let_in=pressure.let_in))


async def test_past_the_bound_a_sender_is_told_when_to_come_again() -> None:
    """503 with Retry-After, nothing written; below the bound again, the same delivery is taken."""
    engine, backlog, watch = InMemoryEngine(), Backlog(100), Watch()
    async with a_client(pressed(engine, BackPressure(backlog, 100, clock=watch))) as client:
        desk = Desk(engine, client)
        refused = await desk.send(a_request())
        written = engine.written
        backlog.count, watch.now = 99, watch.now + BELIEVED_S
        taken = await desk.send(a_request())

    assert refused.status_code == 503
    assert 5 <= int(refused.headers["retry-after"]) <= 16
    assert "again" in refused.json()["error"]
    assert written == 0
    assert (taken.status_code, taken.json()["status"]) == (202, "started")


async def test_signals_wait_too_and_cancellations_do_not() -> None:
    """What makes more to do is put off; what makes less is taken."""
    engine, backlog, watch = InMemoryEngine(), Backlog(0), Watch()
    async with a_client(pressed(engine, BackPressure(backlog, 100, clock=watch))) as client:
        desk = Desk(engine, client)
        await desk.send(a_request())
        backlog.count, watch.now = 200, watch.now + BELIEVED_S
        signalled = await desk.send(a_request("change.finished"), delivery_id="msg_2")
        cancelled = await desk.send(a_request("change.dropped"), delivery_id="msg_3")

    assert signalled.status_code == 503
    assert (cancelled.status_code, cancelled.json()["status"]) == (202, "cancelled")


async def test_a_flood_counts_once_in_a_while() -> None:
    """However many come in, the store is asked how much waits four times a second at most."""
    backlog, watch = Backlog(0), Watch()
    pressure = BackPressure(backlog, 100, clock=watch)
    for _ in range(50):
        await pressure.let_in()
    watch.now += BELIEVED_S
    await pressure.let_in()

    assert backlog.asked == 2


async def test_at_the_bound_nobody_is_let_in() -> None:
    """As many as may wait are enough; one fewer leaves room for one more."""
    with pytest.raises(TooMuchWaits, match="100 effects wait"):
        await BackPressure(Backlog(100), 100).let_in()
    await BackPressure(Backlog(99), 100).let_in()


async def test_without_a_bound_nothing_is_counted() -> None:
    """0 means that everything is taken."""
    backlog = Backlog(-1)
    await BackPressure(backlog, 0).let_in()

    assert backlog.asked == 0


async def test_a_store_that_is_away_is_said_to_be_away() -> None:
    """Not being able to count is told as what it is."""
    with pytest.raises(StoreUnavailable):
        await BackPressure(Backlog(-1), 100, clock=Watch()).let_in()
