"""
Socket Mode: connections that the app opens, envelopes over one of them each, acknowledgements back.

The server is aiohttp's, on a loopback port of its own, opened with the first URL: Slack's sockets live on other hosts
than its Web API, too. Source of the protocol: docs.slack.dev, apis/events-api/using-socket-mode.
"""

import asyncio
import contextlib
import json
import random
import secrets
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from channels.slack_sandbox import envelopes
from channels.slack_sandbox.changes import ChangeFeed
from channels.slack_sandbox.clock import Clock
from channels.slack_sandbox.delivery import ANSWER_MAX, Delivery
from channels.slack_sandbox.workspace import JsonObject, new_id

#: Connections one app may hold. Source: docs.slack.dev, apis/events-api/using-socket-mode, "Multiple connections".
CONNECTIONS_MAX = 10
#: Seconds a connection is said to last; Slack renews them every few hours.
LIFETIME_S = 18_060


@dataclass(slots=True, eq=False)
class Connection:
    """
    One connection of the app's.

    Args:
        is_dead: It stays open, and nothing comes over it any more: what Slack sends on it is lost.
        acknowledged: How many envelopes the app acknowledged over it.
    """

    id: str
    number: int
    ws: web.WebSocketResponse
    transport: asyncio.Transport
    is_dead: bool = False
    sent: int = 0
    acknowledged: int = 0

    async def say(self, frame: str) -> None:
        """Send a frame, or lose it."""
        if not self.is_dead:
            with contextlib.suppress(ConnectionError):
                await self.ws.send_str(frame)


@dataclass(slots=True)
class _Waiting:
    """An envelope out for its acknowledgement, which must come over a connection it went out on."""

    answer: "asyncio.Future[str]"
    on: set[str] = field(default_factory=set)


class Sockets:
    """
    `delivery.Line` over the app's Socket Mode connections.

    Args:
        is_enabled: Whether the app is in Socket Mode; if not, connections end with ``link_disabled``.
        in_background: Runs something to its end.
    """

    def __init__(
        self,
        app_id: str,
        *,
        is_enabled: bool,
        clock: Clock,
        feed: ChangeFeed,
        ping_s: float,
        in_background: Callable[[Coroutine[Any, Any, Any]], None],
    ) -> None:
        self.is_enabled = is_enabled
        self.broadcasts = False
        self.connections: dict[str, Connection] = {}
        self.opened = 0
        self.stray_acks = 0
        self._app_id = app_id
        self._clock = clock
        self._feed = feed
        self._ping_s = ping_s
        self._in_background = in_background
        self._tickets: set[str] = set()
        self._waiting: dict[str, _Waiting] = {}
        self._listener: socket.socket | None = None
        self._runner: web.AppRunner | None = None

    def issue_url(self) -> str:
        """A URL for one connection."""
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
            self._in_background(self._serve(self._listener))
        ticket = secrets.token_urlsafe(24)
        self._tickets.add(ticket)
        return f"ws://127.0.0.1:{self._listener.getsockname()[1]}/link/?ticket={ticket}&app_id={self._app_id}"

    def address(self, kind: str, body: str, content_type: str, extra: dict[str, str]) -> Delivery:
        """Put *body* into an envelope."""
        made = envelopes.envelope(kind, body, content_type, extra)
        return Delivery(new_id("DV"), kind, "socket:", {}, json.dumps(made, ensure_ascii=False), self._clock.now())

    def address_again(self, delivery: Delivery) -> Delivery:
        """The same payload in another envelope."""
        again = delivery.again(self._clock.now())
        made = json.loads(delivery.body) | {"envelope_id": secrets.token_hex(16)}
        again.body = json.dumps(made, ensure_ascii=False)
        return again

    async def carry(self, delivery: Delivery, within_s: float) -> None:
        """Send the envelope over one connection, any of them, and wait for its acknowledgement."""
        there = list(self.connections.values())
        chosen = there if self.broadcasts else random.sample(there, min(1, len(there)))
        delivery.url = f"socket:{','.join(each.id for each in chosen)}"
        if not chosen:
            delivery.problem = "unreachable"
            return
        envelope_id = str(json.loads(delivery.body)["envelope_id"])
        # A twin of an envelope that is out waits for the same acknowledgement.
        waiting = self._waiting.setdefault(envelope_id, _Waiting(asyncio.get_running_loop().create_future()))
        waiting.on |= {each.id for each in chosen}
        for each in chosen:
            each.sent += 1
            await each.say(delivery.body)
        try:
            async with asyncio.timeout(within_s):
                delivery.answer = (await asyncio.shield(waiting.answer))[:ANSWER_MAX]
            delivery.status = 200
        except TimeoutError:
            delivery.problem = "timeout"
        finally:
            self._waiting.pop(envelope_id, None)

    async def disconnect(self, chosen: list[Connection], reason: str, close_after_s: float) -> None:
        """Announce the end of connections, and end them *close_after_s* later; until then they go on as before."""
        for each in chosen:
            await each.say(envelopes.disconnect(reason))
            self._in_background(self._end(each, close_after_s))

    def cut(self, chosen: list[Connection]) -> None:
        """Break connections without a word, as a network does."""
        for each in chosen:
            self.connections.pop(each.id, None)
            each.transport.abort()

    def shown(self) -> JsonObject:
        """What the control API tells."""
        return {
            "connections": [
                {
                    "id": each.id,
                    "number": each.number,
                    "is_dead": each.is_dead,
                    "sent": each.sent,
                    "acknowledged": each.acknowledged,
                }
                for each in self.connections.values()
            ],
            "opened": self.opened,
            "stray_acks": self.stray_acks,
        }

    async def aclose(self) -> None:
        """End every connection and the server."""
        for each in tuple(self.connections.values()):
            with contextlib.suppress(ConnectionError, TimeoutError):
                await asyncio.wait_for(each.ws.close(), 1)
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _serve(self, listener: socket.socket) -> None:
        app = web.Application()
        app.router.add_get("/link/", self._link)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.SockSite(runner, listener).start()
        self._runner = runner

    async def _link(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets or request.transport is None:
            return web.Response(status=408, text="this URL was used already, or never given out\n")
        self._tickets.discard(ticket)
        transport = request.transport
        # Pings are answered by hand: a dead connection answers none.
        ws = web.WebSocketResponse(autoping=False, max_msg_size=4 * 1024 * 1024)
        await ws.prepare(request)
        refusal = self._refusal()
        if refusal:
            await ws.send_str(envelopes.disconnect(refusal))
            await ws.close()
            return ws
        self.opened += 1
        connection = Connection(new_id("SC"), self.opened, ws, transport)
        await ws.send_str(envelopes.hello(self._app_id, len(self.connections) + 1, LIFETIME_S))
        self.connections[connection.id] = connection
        self._feed.announce("socket", connection=connection.id, connections=len(self.connections))
        pinging = asyncio.create_task(self._ping(connection))
        try:
            await self._listen(connection)
        finally:
            pinging.cancel()
            self.connections.pop(connection.id, None)
            self._feed.announce("socket", connection=connection.id, connections=len(self.connections))
        return ws

    def _refusal(self) -> str:
        if not self.is_enabled:
            return "link_disabled"
        return "too_many_websockets" if len(self.connections) >= CONNECTIONS_MAX else ""

    async def _listen(self, connection: Connection) -> None:
        async for message in connection.ws:
            if message.type is WSMsgType.PING and not connection.is_dead:
                await connection.ws.pong(message.data)
            elif message.type is WSMsgType.TEXT and not connection.is_dead:
                self._take(connection, message.data)

    def _take(self, connection: Connection, frame: str) -> None:
        said = envelopes.acknowledged(frame)
        waiting = self._waiting.get(said[0]) if said else None
        if said is None or waiting is None or connection.id not in waiting.on or waiting.answer.done():
            self.stray_acks += 1
            return
        connection.acknowledged += 1
        waiting.answer.set_result(said[1])

    async def _ping(self, connection: Connection) -> None:
        while True:
            await asyncio.sleep(self._ping_s)
            if not connection.is_dead:
                with contextlib.suppress(ConnectionError):
                    await connection.ws.ping(b"Ping from sandbox")

    async def _end(self, connection: Connection, after_s: float) -> None:
        await asyncio.sleep(after_s)
        self.connections.pop(connection.id, None)
        with contextlib.suppress(ConnectionError):
            await connection.ws.close()
