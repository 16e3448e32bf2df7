"""Back-pressure: past a bound senders are told when to come again, nothing is written, and cancelling still works."""

import pytest
from starlette.applications import Starlette
from unit.intake.engine import LOOP, SIGNAL, InMemoryEngine
from unit.intake.test_intake import DESK, ENVIRON, Desk, a_client, a_request

from gateway.intake.backpressure import BELIEVED_S, Relieved, TooMuchWaits
from gateway.intake.intake import intake_routes, open_sources
from loops.actors import service
from loops.errors import StoreUnavailable

CI = service("ci", "CI")


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


async def started(engine: Relieved, aggregate: str = "CHG-1") -> str:
    """Start a loop; return what came of it."""
    answer = await engine.start(tenant="default", loop_id=LOOP, aggregate_id=aggregate, data={}, actor=CI)
    return answer.outcome


async def test_past_the_bound_a_sender_is_told_when_to_come_again() -> None:
    """503 with Retry-After, nothing written; below the bound again, the same delivery is taken."""
    engine, backlog, watch = InMemoryEngine(), Backlog(100), Watch()
    relieved = Relieved(engine, backlog, 100, clock=watch)
    app = Starlette(routes=intake_routes(open_sources({"desk": DESK}, ENVIRON), relieved))
    async with a_client(app) as client:
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
    engine = InMemoryEngine()
    backlog = Backlog(0)
    watch = Watch()
    relieved = Relieved(engine, backlog, 100, clock=watch)
    await started(relieved)
    backlog.count, watch.now = 200, watch.now + BELIEVED_S
    with pytest.raises(TooMuchWaits):
        await relieved.signal(tenant="default", aggregate_id="CHG-1", signal=SIGNAL, actor=CI, evidence={})
    cancelled = await relieved.cancel(tenant="default", aggregate_id="CHG-1", actor=CI)

    assert cancelled.outcome == "executed"


async def test_a_flood_counts_once_in_a_while() -> None:
    """However many come in, the store is asked how much waits four times a second at most."""
    backlog, watch = Backlog(0), Watch()
    relieved = Relieved(InMemoryEngine(), backlog, 100, clock=watch)
    for number in range(50):
        await started(relieved, f"CHG-{number}")
    watch.now += BELIEVED_S
    await started(relieved, "CHG-LAST")

    assert backlog.asked == 2


async def test_without_a_bound_nothing_is_counted() -> None:
    """0 means that everything is taken."""
    backlog = Backlog(-1)

    assert await started(Relieved(InMemoryEngine(), backlog, 0)) == "executed"
    assert backlog.asked == 0


async def test_a_store_that_is_away_is_said_to_be_away() -> None:
    """Not being able to count is told as what it is."""
    relieved = Relieved(InMemoryEngine(), Backlog(-1), 100, clock=Watch())

    with pytest.raises(StoreUnavailable):
        await started(relieved)
