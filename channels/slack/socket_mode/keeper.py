"""
Keepers: each holds one Socket Mode link up, and opens the next one before it lets go of the last.

With two of them one link may break unnoticed: Slack sends a payload over one of the app's connections, and what it
sends over the other one arrives.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from channels.slack.client import raise_ours
from channels.slack.installation import SlackInstallation
from channels.slack.ports import SeenOnce
from channels.slack.reception import Reception
from channels.slack.socket_mode.counts import SocketCounts
from channels.slack.socket_mode.link import SILENCE_S, Link, Refused, dial
from loops.errors import LoopgateError, Rejected, Unavailable

#: Why a link ends that no other one may overlap: Slack wants fewer of them, or none.
UNWANTED = ("too_many_websockets", "link_disabled")

log = structlog.get_logger("channels.slack")


@dataclass(frozen=True, slots=True)
class Pace:
    """
    How many links, and how long everything takes. Spans are seconds.

    Args:
        links: Held at a time. An app may have ten, and a link and its successor are two for a while, which leaves room
            for three gateways even while each renews one. Source: docs.slack.dev, apis/events-api/using-socket-mode.
        silence_s: Without a frame of Slack's for that long a link is replaced.
        first_wait_s: Before the second attempt at opening one; it doubles with each, spread by half.
        longest_wait_s: No wait is longer, unless Slack asks for it; refusals for good wait as long at once.
        proven_s: A link that lived that long did come up: what comes after it is a first attempt again.
        overlap_s: How long a link that Slack is about to close goes on beside its successor.
        stop_s: How long deliveries under way may go on when a link is closed; their listeners give up at 2.5 s.
    """

    links: int = 2
    silence_s: float = SILENCE_S
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    proven_s: float = 10.0
    overlap_s: float = 10.0
    stop_s: float = 3.0


@asynccontextmanager
async def socket_mode(
    reception: Reception,
    client: AsyncWebClient,
    installation: SlackInstallation,
    *,
    seen: SeenOnce,
    counts: SocketCounts,
    pace: Pace = Pace(),
) -> AsyncIterator[None]:
    """
    Take Slack's deliveries over Socket Mode until the context is left, then finish what is under way.

    Nobody waits for the links: while none is up, operators see it in *counts* and the log.

    Args:
        client: From `slack_client`, of the running event loop.
        seen: Remembers envelopes, across links and processes.
    """
    keepers = [Keeper(reception, client, installation, seen=seen, counts=counts, pace=pace) for _ in range(pace.links)]
    keeping = [asyncio.create_task(keeper.keep(), name="slack-socket") for keeper in keepers]
    try:
        yield
    finally:
        for task in keeping:
            task.cancel()
        await asyncio.wait(keeping)
        await asyncio.gather(*(keeper.stop() for keeper in keepers))


class Keeper:
    """Holds one link up."""

    def __init__(
        self,
        reception: Reception,
        client: AsyncWebClient,
        installation: SlackInstallation,
        *,
        seen: SeenOnce,
        counts: SocketCounts,
        pace: Pace,
    ) -> None:
        if installation.app_token is None:
            raise ValueError("without an app-level token no Socket Mode connection can be opened")
        self._token = installation.app_token
        self._app_id = installation.app_id
        self._reception = reception
        self._client = client
        self._seen = seen
        self._counts = counts
        self._pace = pace
        self._link: Link | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._stopping: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def keep(self) -> None:
        """Hold a link up until cancelled. Raises nothing else."""
        loop = asyncio.get_running_loop()
        while True:
            link = await self._open()
            self._retire()
            self._link, up_at = link, loop.time()
            log.info("slack.socket.up")
            why = await asyncio.shield(link.leaving)
            self._counts.add("ended", why)
            log.info("slack.socket.leaving", why=why)
            if why in UNWANTED:
                self._retire()
                await asyncio.sleep(self._spread(self._pace.longest_wait_s))
            elif loop.time() - up_at >= self._pace.proven_s:
                self._failures = 0
            else:
                self._failures += 1

    async def stop(self) -> None:
        """Take nothing more, finish what is under way, and close."""
        self._stopping.set_result(None)
        self._retire()
        if self._retiring:
            await asyncio.wait(self._retiring)

    async def _open(self) -> Link:
        asked_s = 0.0
        while True:
            if self._failures:
                wait_s = min(self._pace.first_wait_s * 2 ** min(self._failures - 1, 30), self._pace.longest_wait_s)
                await asyncio.sleep(max(asked_s, self._spread(wait_s)))
            try:
                return await self._dial()
            except LoopgateError as error:
                asked_s = self._asked(error)
                self._failures += 1
                self._counts.did_not_open()
                say = log.warning if isinstance(error, Unavailable) else log.error
                say("slack.socket.not_opened", error=str(error), attempt=self._failures)

    def _asked(self, error: LoopgateError) -> float:
        """Return the seconds to wait at least before the same is tried again."""
        if isinstance(error, Unavailable) and not isinstance(error, Refused):
            return error.retry_after or 0.0
        return self._spread(self._pace.longest_wait_s)

    async def _dial(self) -> Link:
        try:
            async with asyncio.timeout(self._pace.silence_s):
                answer = await self._client.apps_connections_open(app_token=self._token.get_secret_value())
            url, session = str(answer["url"]), self._client.session
        except Exception as error:
            raise_ours(error, "open a Socket Mode connection")
        if session is None:
            raise Rejected("open a Socket Mode connection: the client has no session; make it with slack_client")
        return await dial(
            session,
            url,
            self._app_id,
            self._reception,
            seen=self._seen,
            counts=self._counts,
            silence_s=self._pace.silence_s,
        )

    def _retire(self) -> None:
        """Let the link go, in the background."""
        link, self._link = self._link, None
        if link is None:
            return
        task = asyncio.create_task(self._let_go(link))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _let_go(self, link: Link) -> None:
        """Go on until Slack closes it: what Slack sends while we close is lost. For a silent one there is no point."""
        if link.leaving.done() and link.leaving.result() != "silent":
            over = {link.listening, self._stopping}
            await asyncio.wait(over, timeout=self._pace.overlap_s, return_when=asyncio.FIRST_COMPLETED)
        await link.close(self._pace.stop_s)

    @staticmethod
    def _spread(seconds: float) -> float:
        """Return *seconds* less up to half of it, so that gateways that lost Slack together do not return together."""
        return seconds * random.uniform(0.5, 1)  # noqa: S311 - not a secret
