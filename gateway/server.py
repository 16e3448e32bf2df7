"""The server: uvicorn as we run it, alone at its socket or beside others, and told to stop in order."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator

import uvicorn
from starlette.applications import Starlette

from gateway.accepting import Acceptor
from gateway.head_limits import HeadLimits
from gateway.leash import say_ready
from gateway.tallies import CONNECTIONS, Tallies

#: How long open requests may go on after SIGTERM. Slack waits three seconds for any of them.
DRAIN_S = 5

#: Connections open at once; one more is told 503 at once, before it costs memory.
CONNECTIONS_MAX = 1_000

#: How long a connection on which nothing is asked stays open. Who keeps one to ask again must be the one who closes it:
#: what is sent as we close it is lost, and Slack sends a click once. Proxies and load balancers commonly keep theirs
#: for 60 s (nginx's `keepalive_timeout` of upstreams; the idle timeout of AWS's application load balancers).
IDLE_S = 75


class Server(uvicorn.Server):
    """
    Ends by returning. uvicorn's own raises the signal again, and so dies of it before anything is tidied up.

    Where others accept at the same socket, connections are shared out. One *beside* what its process is for answers
    until `should_exit`, leaves signals alone, and does not say that the process has got up.
    """

    def __init__(self, app: Starlette, tallies: Tallies, *, is_shared: bool, is_beside: bool = False) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=HeadLimits,
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                server_header=False,
                proxy_headers=False,
                limit_concurrency=CONNECTIONS_MAX,
                timeout_keep_alive=IDLE_S,
                timeout_graceful_shutdown=DRAIN_S,
            )
        )
        self._tallies = tallies
        self._is_shared = is_shared
        self._is_beside = is_beside

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Turn SIGTERM and SIGINT into an orderly end; a second SIGINT does not wait for open requests."""
        if self._is_beside:
            yield
            return
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for each in signals:
            loop.add_signal_handler(each, self.handle_exit, each, None)
        try:
            yield
        finally:
            for each in signals:
                loop.remove_signal_handler(each)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept, and tell whoever keeps this process up."""
        if self._is_shared and sockets:
            await self.lifespan.startup()
            self.servers = [Acceptor(each, self._tallies, self._protocol, self._connections) for each in sockets]  # type: ignore[misc]
            self.started = True
        else:
            await super().startup(sockets)
        if not self._is_beside:
            say_ready()

    async def on_tick(self, counter: int) -> bool:
        """Say how many connections there are, ten times a second."""
        self._tallies.set_level(CONNECTIONS, self._connections())
        return await super().on_tick(counter)

    def _connections(self) -> int:
        return len(self.server_state.connections)

    def _protocol(self) -> asyncio.Protocol:
        return HeadLimits(
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            _loop=asyncio.get_running_loop(),
        )
