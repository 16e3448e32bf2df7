"""
Events over HTTP: pulled by cursor, or followed as server-sent events.

Who follows sees every event of the tenant exactly once, each loop's in order, whichever gateway answers: a cursor is a
place in the store's feed, not in a process. Source of the stream's format: html.spec.whatwg.org, "Server-sent events".
It is written here, in five lines: the library for it replaces the server's signal handling.
"""

import asyncio
import contextlib
import json
import math
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import StreamingResponse

from gateway.api.bell import Bell
from gateway.api.endpoint import Answer, Call
from gateway.api.keys import ApiKey
from gateway.api.models import EventPage, EventsAsked, EventsFollowed
from gateway.api.ports import Feed, Followed, Keys
from gateway.api.problems import Problem
from loops.errors import Rejected, Unavailable
from loops.ports import Clock

#: How long a stream is silent at most, in seconds: proxies cut what is silent for a minute. A key that was revoked
#: meanwhile is noticed then, too.
HEARTBEAT_S = 15.0

#: Events read at a time.
_PAGE = 200

_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


#: Streams that one key may have open at one gateway: each holds a connection for as long as it likes.
STREAMS_MAX = 20


@dataclass(frozen=True, slots=True)
class Events:
    """The handlers of ``/events``. `open_streams` counts the streams here, by key."""

    feed: Feed
    bell: Bell
    keys: Keys
    clock: Clock
    heartbeat_s: float = HEARTBEAT_S
    streams_max: int = STREAMS_MAX
    open_streams: Counter[str] = field(default_factory=Counter)

    async def list_events(self, call: Call) -> Answer:
        """List the events after a cursor, in the order of their commits; without one, from the oldest kept."""
        asked: EventsAsked = call.query
        after = asked.after or "0-0.0"
        page = await self.feed.read(call.tenant, after=after, limit=asked.limit)
        shown = [each for each in page.events if _is_asked_for(each, asked.type, asked.loop_id)]
        return Answer(
            EventPage(
                events=tuple(_as_json(each) for each in shown),
                next_cursor=page.events[-1].cursor if page.events else after,
                gap=page.is_gap,
            )
        )

    async def follow_events(self, call: Call) -> Answer:
        """
        Follow the tenant's events as they are committed, from now on, or after the cursor of ``Last-Event-ID``.

        Each has its cursor as ``id``, its type as ``event`` and itself as ``data``. ``resync`` says that events were
        missed which are no longer kept: read the ledgers of what counts. Comments keep the connection alive.
        """
        asked: EventsFollowed = call.query
        if self.open_streams[call.caller.key_id] >= self.streams_max:
            told = f"a key may follow {self.streams_max} times at once; one stream serves many readers"
            raise Problem(429, "too_many_streams", told, headers={"retry-after": str(math.ceil(self.heartbeat_s))})
        given = call.request.headers.getlist("last-event-id")
        after = asked.after or (given[0] if given else None)
        if after is not None:
            try:
                await self.feed.read(call.tenant, after=after, limit=1)
            except Rejected as error:
                raise Problem(422, "bad_request", str(error), {"after": "is not a cursor"}) from error
        else:
            after = await self.feed.last(call.tenant)
        stream = self._stream(call.caller, after, asked.type, asked.loop_id)
        return Answer(StreamingResponse(stream, media_type="text/event-stream", headers=_HEADERS))

    async def _stream(self, caller: ApiKey, after: str, kind: str | None, loop_id: str | None) -> AsyncIterator[bytes]:
        # Counted once it runs: one that nobody ever reads from would never end.
        with self._counted(caller.key_id):
            async for part in self._followed(caller, after, kind, loop_id):
                yield part

    @contextlib.contextmanager
    def _counted(self, key_id: str) -> Iterator[None]:
        self.open_streams[key_id] += 1
        try:
            yield
        finally:
            self.open_streams[key_id] -= 1
            if not self.open_streams[key_id]:
                del self.open_streams[key_id]

    async def _followed(
        self, caller: ApiKey, after: str, kind: str | None, loop_id: str | None
    ) -> AsyncIterator[bytes]:
        yield b"retry: 2000\n\n"
        async with self.bell.listening(caller.tenant) as rung:
            while True:
                rung.clear()
                try:
                    page = await self.feed.read(caller.tenant, after=after, limit=_PAGE)
                except Unavailable:
                    return  # who follows comes back after the cursor they have
                if page.is_gap:
                    yield _written("resync", after, {"reason": "events after this cursor are no longer kept"})
                for each in page.events:
                    after = each.cursor
                    if _is_asked_for(each, kind, loop_id):
                        yield _written(each.event.type, each.cursor, _as_json(each))
                if page.events:
                    continue
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.heartbeat_s):
                        await rung.wait()
                    continue
                if not await self._still_counts(caller):
                    return
                yield b": still here\n\n"

    async def _still_counts(self, caller: ApiKey) -> bool:
        try:
            key = await self.keys.key(caller.tenant, caller.key_id)
        except Unavailable:
            return False
        return (
            key is not None and key.may({"events:read"}) and key.objection(key.token_digest, self.clock.now()) is None
        )


def _is_asked_for(followed: Followed, kind: str | None, loop_id: str | None) -> bool:
    return kind in {None, followed.event.type} and loop_id in {None, followed.event.loop_id}


def _as_json(followed: Followed) -> dict[str, Any]:
    return {"cursor": followed.cursor, **followed.event.as_json()}


def _written(kind: str, cursor: str, data: dict[str, Any]) -> bytes:
    # JSON on one line: whatever an event holds, it cannot begin another field of the stream.
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return f"id: {cursor}\nevent: {kind}\ndata: {text}\n\n".encode()
