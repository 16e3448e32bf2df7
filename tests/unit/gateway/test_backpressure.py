"""Back-pressure: past a bound, who opens work is told when to come again, nothing is written, and the rest goes on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.applications import Starlette
from structlog.testing import capture_logs
from unit.api.rig import Rig, an_api
from unit.api.test_approvals import ASK, decide
from unit.client.rig import GATEWAY
from unit.intake.engine import InMemoryEngine
from unit.intake.test_intake import DESK, ENVIRON, Desk, a_client, a_request

from gateway.backpressure import BELIEVED_S, COME_BACK_S, SPREAD_S, BackPressure, TooMuchWaits
from gateway.client import AsyncLoopgate, Unavailable
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
    assert refused.json()["code"] == "backlog_full"
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


@dataclass
class Pressed:
    """The API in front of which as much waits as `backlog` says, of 100 that may."""

    api: Rig
    backlog: Backlog
    watch: Watch

    def set(self, count: int) -> None:
        """Let *count* effects wait from now on."""
        self.backlog.count, self.watch.now = count, self.watch.now + BELIEVED_S


@asynccontextmanager
async def a_pressed_api() -> AsyncIterator[Pressed]:
    """Yield the API under pressure."""
    backlog, watch = Backlog(0), Watch()
    async with an_api(let_in=BackPressure(backlog, 100, clock=watch).let_in) as api:
        yield Pressed(api, backlog, watch)


START: dict[str, Any] = {"loopId": "test.change", "aggregateId": "CHG-1", "payload": {"changeId": "1", "service": "x"}}


@pytest.mark.parametrize(("path", "body"), [("/loops", START), ("/approvals", ASK)])
async def test_the_api_puts_off_what_opens_work_and_forgets_that_it_did(path: str, body: dict[str, Any]) -> None:
    """503 with code and Retry-After, nothing written; later the same under the same Idempotency-Key is taken, once."""
    async with a_pressed_api() as on:
        on.set(100)
        refused = await on.api.post(path, body, idempotency_key="k-1")
        written, _ = await on.api.store.instances("default", limit=5)
        on.set(99)
        taken = await on.api.post(path, body, idempotency_key="k-1")
        again = await on.api.post(path, body, idempotency_key="k-1")

    assert (refused.status_code, refused.json()["code"]) == (503, "backlog_full")
    assert COME_BACK_S <= int(refused.headers["retry-after"]) <= COME_BACK_S + SPREAD_S + 1
    assert "nothing was recorded" in refused.json()["error"]
    assert not written
    assert (taken.status_code, again.status_code) == (201, 200)


async def test_what_moves_on_ends_or_looks_is_taken_however_much_waits() -> None:
    """Transitions, decisions, withdrawals, cancellations and every GET: the pile shrinks by them."""
    async with a_pressed_api() as on:
        api = on.api
        for aggregate in ("CHG-1", "CHG-2"):
            await api.started(aggregate)
        first, second = [(await api.post("/approvals", ASK)).json()["approvalId"] for _ in range(2)]
        on.set(200)
        await api.submitted("CHG-1")
        await decide(api, first)
        answers = [
            await api.post(f"/approvals/{second}/withdraw", {}),
            await api.post("/loops/CHG-2/start"),
            await api.post("/loops/CHG-2/cancel", {}),
            await api.get(f"/approvals/{first}"),
            await api.get("/loops/CHG-1"),
            await api.get("/events"),
        ]
        opening = await api.post("/approvals", ASK)

    assert [answer.status_code for answer in answers] == [200] * 6
    assert answers[3].json()["status"] == "approved"
    assert opening.status_code == 503


async def test_the_document_says_where_work_is_opened() -> None:
    """In OpenAPI the two that open work, and no other, may answer `backlog_full`, with Retry-After."""
    async with a_pressed_api() as on:
        described = (await on.api.client.get("/api/v1/openapi.json")).json()

    answers = {
        operation["operationId"]: operation["responses"]["503"]
        for path in described["paths"].values()
        for operation in path.values()
    }
    assert {name for name, said in answers.items() if "backlog_full" in said["description"]} == {
        "startLoop",
        "askApproval",
    }
    assert all("Retry-After" in said["headers"] for said in answers.values())


async def test_clients_come_again_no_sooner_than_they_are_told() -> None:
    """A client waits as Retry-After says; one that has no time for that is told why, and that nothing was recorded."""
    async with a_pressed_api() as on:
        on.set(100)
        way = on.api.client._transport
        async with AsyncLoopgate(GATEWAY, on.api.token, patience_s=COME_BACK_S - 1, transport=way) as client:
            with pytest.raises(Unavailable, match="nothing was recorded") as put_off:
                await client.request("Delete it")

    assert (put_off.value.retry_after or 0) >= COME_BACK_S
    assert on.backlog.asked == 1


async def test_the_log_says_when_it_is_full_and_when_there_is_room() -> None:
    """Once each, however many come meanwhile."""
    backlog, watch = Backlog(100), Watch()
    pressure = BackPressure(backlog, 100, clock=watch)
    with capture_logs() as logged:
        for count in (100, 120, 99, 98):
            backlog.count, watch.now = count, watch.now + BELIEVED_S
            with suppress(TooMuchWaits):
                await pressure.let_in()

    assert [(line["event"], line["waiting"]) for line in logged] == [("backlog.full", 100), ("backlog.has_room", 99)]


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
