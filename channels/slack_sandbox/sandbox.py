"""One sandbox: the workspace with everything that serves it. The only module that puts the parts together."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import httpx2

from channels.slack_sandbox.changes import ChangeFeed
from channels.slack_sandbox.clock import Clock
from channels.slack_sandbox.config import SandboxConfig
from channels.slack_sandbox.courier import Courier
from channels.slack_sandbox.delivery import Line
from channels.slack_sandbox.faults import FaultDesk
from channels.slack_sandbox.rate_limits import RateLimiter, WaitDesk
from channels.slack_sandbox.request_url import RequestUrl
from channels.slack_sandbox.response_urls import ResponseUrlDesk
from channels.slack_sandbox.sockets import Sockets
from channels.slack_sandbox.triggers import TriggerDesk
from channels.slack_sandbox.workspace import JsonObject, new_workspace

#: Web API calls and warnings remembered.
CALLS_MAX = 5_000
WARNINGS_MAX = 200


class Sandbox:
    """
    The parts, made from one configuration.

    Args:
        transport: Takes deliveries instead of the network; for tests that run the app in process.
        machine: The machine's time, in seconds since the epoch.
    """

    def __init__(
        self,
        config: SandboxConfig,
        transport: httpx2.AsyncBaseTransport | None = None,
        machine: Callable[[], float] = time.time,
    ) -> None:
        self.config = config
        self._machine = machine
        self.feed = ChangeFeed()
        self._transport = transport
        self._tasks: set[asyncio.Task[Any]] = set()
        self._start_anew()

    def _start_anew(self) -> None:
        config = self.config
        self.clock = Clock(self._machine)
        self.workspace = new_workspace(config)
        self.triggers = TriggerDesk(self.clock, config.trigger_life_s)
        self.response_urls = ResponseUrlDesk(self.clock, config.team.id)
        self.limiter = RateLimiter(self.clock, enabled=config.rate_limits == "slack", factor=config.rate_factor)
        self.waits = WaitDesk(self.clock)
        self.faults = FaultDesk()
        self.calls: deque[JsonObject] = deque(maxlen=CALLS_MAX)
        self.warnings: deque[JsonObject] = deque(maxlen=WARNINGS_MAX)
        self.event_retry_delays_s = config.event_retry_delays_s
        self.token_error = ""
        self.sockets = Sockets(
            config.app.app_id,
            is_enabled=config.app.socket_mode,
            clock=self.clock,
            feed=self.feed,
            ping_s=config.socket_ping_s,
            in_background=self.in_background,
        )
        line: Line = self.sockets
        if not config.app.socket_mode:
            line = RequestUrl(
                config.app.request_url,
                signing_secret=config.app.signing_secret,
                clock=self.clock,
                transport=self._transport,
            )
        self.courier = Courier(
            line, clock=self.clock, faults=self.faults, feed=self.feed, ack_deadline_s=config.ack_deadline_s
        )

    async def reset(self) -> None:
        """Forget everything that happened and start from the configuration again."""
        await self._stop_work()
        self._start_anew()
        self.feed.announce("reset")

    async def aclose(self) -> None:
        """Stop what runs in the background and close connections."""
        self.feed.close()
        await self._stop_work()

    def in_background(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run *work* to its end, holding on to it meanwhile."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def warn(self, user: str, text: str, **where: str) -> None:
        """Show *user* a warning, as Slack's client does when the app fails an interaction."""
        warning: JsonObject = {"at": self.clock.now(), "user": user, "text": text, **where}
        self.warnings.append(warning)
        self.feed.announce("warning", warning=warning)

    async def _stop_work(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.courier.aclose()
        await self.sockets.aclose()
