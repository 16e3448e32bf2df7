"""Events over HTTP: every one, once, in order, whoever asks."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from patience import PATIENCE_S
from unit.api.rig import Rig, an_api


async def a_stream(api: Rig, path: str = "/events/stream", last: str | None = None) -> AsyncGenerator[bytes]:
    """Open the stream, as a server would."""
    from starlette.requests import Request

    from gateway.api.endpoint import Call

    endpoint = next(each for each in api.table if each.name == "followEvents")
    headers = [(b"last-event-id", last.encode())] if last else []
    query = endpoint.query.model_validate(dict(part.split("=") for part in path.partition("?")[2].split("&") if part))
    scope = {"type": "http", "headers": headers, "method": "GET", "path": path, "query_string": b""}
    answer = await endpoint.handle(Call(api.key, {}, query, None, None, Request(scope)))
    stream: AsyncGenerator[bytes] = answer.body.body_iterator
    return stream


async def followed(
    api: Rig, count: int, *, path: str = "/events/stream", last: str | None = None
) -> list[dict[str, Any]]:
    """Follow the stream until *count* events have come, comments counted as events without an id."""
    stream = await a_stream(api, path, last)
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(PATIENCE_S):
        async for chunk in stream:
            fields = dict(line.partition(": ")[::2] for line in chunk.decode().strip().split("\n"))
            if "retry" not in fields:
                found.append(fields)
            if len(found) >= count:
                break
    await stream.aclose()
    return found


async def test_events_are_pulled_in_the_order_of_their_commits() -> None:
    """Page after page, by cursor, the tenant's events come whole and in order."""
    async with an_api() as api:
        for number in range(3):
            await api.started(f"CHG-{number}")
        await api.submitted("CHG-1")
        events: list[dict[str, Any]] = []
        cursor = "0-0.0"
        while page := (await api.get(f"/events?after={cursor}&limit=2")).json():
            events += page["events"]
            if not page["events"]:
                break
            cursor = page["nextCursor"]
        of_one = [event["sequence"] for event in events if event["aggregateId"] == "CHG-1"]

    assert [event["type"] for event in events[:1]] == ["loop.started"]
    assert of_one == list(range(1, len(of_one) + 1))
    assert len({event["cursor"] for event in events}) == len(events)


async def test_events_of_other_tenants_are_not_told() -> None:
    """A key's feed is its tenant's."""
    async with an_api() as api:
        await api.started()
        foreign = await api.a_token(tenant="other")

        assert (await api.get("/events", token=foreign)).json()["events"] == []


async def test_a_cursor_of_another_tenant_is_a_place_in_ones_own_feed() -> None:
    """Resumed with somebody else's cursor, or one of one's own making, a feed or stream tells nothing of theirs."""
    async with an_api() as api:
        await api.started()
        theirs = (await api.get("/events")).json()["events"]
        foreign = await api.a_token(tenant="other")
        for cursor in (theirs[0]["cursor"], "0-0.0", "9999999999999-0.0"):
            assert (await api.get(f"/events?after={cursor}", token=foreign)).json()["events"] == []
        page = (await api.get("/loops?limit=1")).json()
        listed = await api.get(f"/loops?cursor={page.get('nextCursor', 'x')}", token=foreign)

        assert listed.json().get("loops", []) == []


async def test_filters_skip_without_losing_the_place() -> None:
    """With a filter, the cursor still goes past what was skipped."""
    async with an_api() as api:
        await api.started()
        page = (await api.get("/events?type=loop.completed")).json()
        after = (await api.get(f"/events?after={page['nextCursor']}")).json()

    assert page["events"] == after["events"] == []
    assert page["nextCursor"] == after["nextCursor"] != "0-0.0"


async def test_stream_goes_on_after_the_last_event_id() -> None:
    """Who comes back with the last id they saw gets what came after it: nothing twice, nothing missing."""
    async with an_api() as api:
        await api.started()
        await api.submitted()
        every = (await api.get("/events")).json()["events"]
        first = await followed(api, 2, last="0-0.0")
        rest = await followed(api, len(every) - 2, last=first[-1]["id"])
        seen = [json.loads(event["data"]) for event in first + rest]

    assert [event["sequence"] for event in seen] == list(range(1, len(every) + 1))
    assert [event["id"] for event in first + rest] == [event["cursor"] for event in every]


async def test_stream_tells_what_is_committed_while_it_is_open() -> None:
    """An open stream hears of a commit as it happens, and nothing of what was before it."""
    async with an_api() as api:
        await api.started("CHG-1")
        stream = await a_stream(api)
        await anext(stream)
        await api.started("CHG-2")
        # However slow this machine is: comments that keep a stream alive are not events.
        while (told := await anext(stream)).startswith(b":"):
            pass
        await stream.aclose()

    assert b'"aggregateId":"CHG-2"' in told


async def test_silent_stream_is_kept_alive() -> None:
    """While nothing happens a comment comes now and then."""
    async with an_api() as api:
        quiet = await followed(api, 2)

    assert quiet == [{"": "still here"}] * 2


async def test_stream_ends_when_its_key_is_revoked() -> None:
    """Whoever is let go stops hearing at the next heartbeat."""
    async with an_api() as api:
        following = asyncio.create_task(followed(api, 1_000))
        await asyncio.sleep(0.02)
        await api.keys.save(api.key.changed(revoked_at=api.house.clock.now()))
        heard = await following

    assert len(heard) < 10


@pytest.mark.parametrize("cursor", ["x", "1", "1-1", "1-1.x", "-1-0.0", "9" * 40 + "-0.0"])
async def test_cursor_that_is_none_is_refused(cursor: str) -> None:
    """A cursor comes from us, or it is refused; nothing is guessed."""
    async with an_api() as api:
        pulled = await api.get(f"/events?after={cursor}")
        followed_from = await api.get("/events/stream", last_event_id=cursor)

    assert (pulled.status_code, followed_from.status_code) == (422, 422)


async def test_what_a_model_writes_cannot_forge_an_event() -> None:
    """Line breaks in evidence do not begin a field of the stream."""
    async with an_api() as api:
        await api.started("CHG-1", note="a\n\nid: 9-9.9\nevent: loop.completed\ndata: {}")
        (event,) = await followed(api, 1, last="0-0.0")

    assert event["event"] == "loop.started"
    assert json.loads(event["data"])["aggregateId"] == "CHG-1"


async def test_streams_of_a_key_are_bounded_and_given_back() -> None:
    """A key follows so many times at once and no more; a stream that ends makes room for another."""
    async with an_api() as api:
        streams = [await a_stream(api) for _ in range(20)]
        for stream in streams:
            await anext(stream)
        refused = await api.get("/events/stream")
        await streams[0].aclose()
        allowed = await followed(api, 1)
        for stream in streams:
            await stream.aclose()

    assert refused.json()["code"] == "too_many_streams"
    assert refused.headers["retry-after"] == "1"
    assert len(allowed) == 1
