"""
A link: one Socket Mode connection, from its ``hello`` to its end.

Envelopes are taken side by side, and each is acknowledged over the link it came by, after its listener has committed.
A listener that fails acknowledges nothing: Slack then shows the person an error, and delivers an event again.
"""

import asyncio
import contextlib
from datetime import timedelta

import aiohttp
from slack_bolt import BoltResponse

from channels.slack.asgi_guard import BODY_BYTES_MAX, SEEN_S
from channels.slack.listening import log
from channels.slack.ports import SeenOnce
from channels.slack.reception import Reception
from channels.slack.socket_mode.counts import SocketCounts
from channels.slack.socket_mode.frames import BadDelivery, BadFrame, Disconnect, Envelope, Hello, acknowledgement, read
from loops.errors import Rejected, Unavailable

#: Seconds without a frame of Slack's own after which a connection counts as dead. Slack pings on its own account; a
#: pong to a ping of ours would prove the nearest intermediary only. Slack's Node SDK waits as long.
#: Source: docs.slack.dev, tools/node-slack-sdk/reference/socket-mode, SocketModeOptions.serverPingTimeout.
SILENCE_S = 30.0
#: Seconds for a second look before a connection counts as dead: a process that stood still itself, such as on a
#: suspended machine, finds then what came meanwhile.
LOOK_AGAIN_S = 1.0
#: Seconds from dialling to ``hello``.
HELLO_S = 10.0
#: Seconds a closing handshake may take.
CLOSE_S = 2.0
#: Envelopes under way at once on one link; past it frames wait unread.
AT_ONCE = 256
#: Bytes of one frame: a delivery as HTTP would bring it, with room for what JSON escapes.
FRAME_BYTES_MAX = 4 * BODY_BYTES_MAX
#: Why Slack ends a connection. Source: docs.slack.dev, apis/events-api/using-socket-mode, "Disconnecting".
REASONS = frozenset({"warning", "refresh_requested", "link_disabled", "too_many_websockets"})
#: How long an envelope is remembered. Slack's last redelivery of an event comes after about six minutes.
#: Source: docs.slack.dev, apis/events-api, "Retries".
REPLAY_TTL = timedelta(minutes=11)


_NEXT_STEP = {
    "link_disabled": "; turn Socket Mode on in the app's settings, or set LOOPGATE_SLACK_MODE=http",
    "too_many_websockets": "; an app may hold ten connections, and each gateway holds two",
}


class Refused(Unavailable):
    """Slack takes no connection now. `reason` is ``link_disabled``, ``too_many_websockets`` or another of Slack's."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"open a Socket Mode connection: Slack says {reason or 'no'}{_NEXT_STEP.get(reason, '')}")
        self.reason = reason


class Link:
    """
    One connection, up already. Made by `dial`.

    `leaving` says when another one should take over, and why: Slack's reason, ``silent`` or ``closed``.
    """

    def __init__(
        self,
        ws: aiohttp.ClientWebSocketResponse,
        reception: Reception,
        *,
        seen: SeenOnce,
        counts: SocketCounts,
        silence_s: float,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.leaving: asyncio.Future[str] = loop.create_future()
        self._ws = ws
        self._reception = reception
        self._seen = seen
        self._counts = counts
        self._silence_s = silence_s
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._under_way: set[asyncio.Task[None]] = set()
        counts.came_up()
        self._listening = asyncio.create_task(self._listen(), name="slack-link")

    @property
    def listening(self) -> "asyncio.Task[None]":
        """Is done when nothing comes any more."""
        return self._listening

    async def close(self, patience_s: float) -> None:
        """Take nothing more, finish what is under way, *patience_s* at most, and close."""
        self._listening.cancel()
        await asyncio.wait({self._listening})
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=patience_s)
        for task in self._under_way:
            task.cancel()
        with contextlib.suppress(aiohttp.ClientError, OSError):
            await self._ws.close()

    async def _listen(self) -> None:
        why = "closed"
        try:
            why = await self._hear()
        except (aiohttp.ClientError, OSError) as error:
            log.info("slack.socket.broke", error=type(error).__name__)
        finally:
            self._leave(why)

    async def _hear(self) -> str:
        """Take frames until there are no more; return why."""
        loop = asyncio.get_running_loop()
        silent_at, is_doubted = loop.time() + self._silence_s, False
        while True:
            # After silence it goes on listening, without end, until it is closed.
            left = None if self.leaving.done() else max(0.0, silent_at - loop.time())
            try:
                message = await self._ws.receive(timeout=left)
            except TimeoutError:
                if is_doubted:
                    self._leave("silent")
                silent_at, is_doubted = loop.time() + LOOK_AGAIN_S, True
                continue
            if message.type in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.PING}:
                silent_at, is_doubted = loop.time() + self._silence_s, False
            match message.type:
                case aiohttp.WSMsgType.TEXT:
                    await self._take(message.data)
                case aiohttp.WSMsgType.PING:
                    self._counts.add("received", "ping")
                    await self._ws.pong(message.data)
                case aiohttp.WSMsgType.PONG | aiohttp.WSMsgType.BINARY:
                    self._counts.add("received", "other")
                case _:
                    return "closed"

    def _leave(self, why: str) -> None:
        if not self.leaving.done():
            self._counts.went_down()
            self.leaving.set_result(why)

    async def _take(self, text: str) -> None:
        try:
            frame = read(text)
        except BadFrame as error:
            self._counts.add("received", "other")
            log.warning("slack.socket.unread", code=str(error))
            return
        self._counts.add("received", frame.type)
        match frame:
            case Envelope():
                await self._at_once.acquire()
                task = asyncio.create_task(self._deliver(frame))
                self._under_way.add(task)
                task.add_done_callback(self._delivered)
            case Disconnect(reason=reason):
                self._leave(reason if reason in REASONS else "other")
            case Hello():
                pass

    def _delivered(self, task: "asyncio.Task[None]") -> None:
        self._under_way.discard(task)
        self._at_once.release()

    async def _deliver(self, envelope: Envelope) -> None:
        why, answer = await self._answer(envelope)
        if answer is None:
            self._counts.add("unacknowledged", why)
            log.info("slack.delivery.refused", code=why, way="socket")
            return
        try:
            await self._ws.send_str(acknowledgement(envelope, answer))
        except (aiohttp.ClientError, OSError) as error:
            # It is committed all the same: who clicks again is told so.
            self._counts.add("unacknowledged", "link_lost")
            log.warning("slack.socket.ack_lost", error=type(error).__name__)
            return
        self._counts.add("acknowledged", envelope.type)

    async def _answer(self, envelope: Envelope) -> tuple[str, BoltResponse | None]:
        """Return what to acknowledge with, or why nothing is acknowledged."""
        try:
            delivery = envelope.delivery()
        except BadDelivery as error:
            return str(error), None
        # An event that failed comes again; what else has this id was here before.
        key = f"slack:envelope:{envelope.envelope_id}:{envelope.retry_attempt}"
        try:
            async with asyncio.timeout(SEEN_S):
                is_first = await self._seen.first_time(key, REPLAY_TTL)
            if not is_first:
                return "replayed", None
        except (Unavailable, TimeoutError):
            # As over HTTP: the commit will say itself that the store is away.
            pass
        answer = await self._reception.answer(delivery)
        return ("", answer) if answer.status == 200 else (f"status_{answer.status}", None)


async def dial(
    session: aiohttp.ClientSession,
    url: str,
    app_id: str,
    reception: Reception,
    *,
    seen: SeenOnce,
    counts: SocketCounts,
    silence_s: float = SILENCE_S,
) -> Link:
    """
    Open a link at *url*, which is good for one; it is up when this returns.

    Raises:
        Unavailable: If it did not come up, Slack refused it for now, or the network is away.
        Rejected: If it is another app's.
    """
    try:
        async with asyncio.timeout(HELLO_S):
            ws = await session.ws_connect(
                url, autoping=False, timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S), max_msg_size=FRAME_BYTES_MAX
            )
            try:
                await _hello(ws, app_id, counts)
            except BaseException:
                await ws.close()
                raise
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise Unavailable(f"open a Socket Mode connection: {type(error).__name__}") from error
    return Link(ws, reception, seen=seen, counts=counts, silence_s=silence_s)


async def _hello(ws: aiohttp.ClientWebSocketResponse, app_id: str, counts: SocketCounts) -> None:
    while True:
        message = await ws.receive()
        if message.type is aiohttp.WSMsgType.PING:
            await ws.pong(message.data)
            continue
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise Unavailable("open a Socket Mode connection: Slack closed it before it was up")
        try:
            frame = read(message.data)
        except BadFrame as error:
            raise Unavailable(f"open a Socket Mode connection: {error} came first") from error
        counts.add("received", frame.type)
        match frame:
            case Hello(connection_info=info) if info.app_id == app_id:
                return
            case Hello(connection_info=info):
                raise Rejected(
                    f"the app-level token is of app {info.app_id}, and the configuration says {app_id}; set the token "
                    "that belongs to slack.app"
                )
            case Disconnect(reason=reason):
                raise Refused(reason)
            case Envelope():
                # Unacknowledged, so Slack does with it what it does when an app fails.
                counts.add("unacknowledged", "before_hello")
