"""
Accepting: how processes that share one listening socket share out what comes in.

Each is woken by every connection, and whoever is first has it: left to themselves, one of two took all of 64 that came
together, and one of four 53, and kept them as long as the proxy did. So who has more than another leaves a connection
to the others for a moment, and takes it when nobody did. A process that is stuck or dead is not waited for longer than
that, which is why they do not have a socket each (SO_REUSEPORT): what the kernel hands to one of those waits for it.
"""

import asyncio
import errno
import socket
from collections.abc import Callable

import structlog

from gateway.tallies import CONNECTIONS, Tallies

log = structlog.stdlib.get_logger()

#: Who has more than so many above another one leaves the next connection to that one.
LEAD = 2

#: For so long, in seconds: the event loop's finest grain.
PAUSE_S = 0.001

#: How long nothing is accepted where the system has nothing left to accept it with, in seconds.
EXHAUSTED_S = 1.0

_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_TAKING = "taking"


class Acceptor:
    """
    Accepts at *listener*, which other processes do too, until it is closed. It fits what uvicorn asks of a server.

    Args:
        tallies: Where each says how many it has.
        protocol: Makes the protocol of a new connection.
        connections: Returns how many there are now.
        pause_s: For how long a connection is left to the others.
    """

    def __init__(
        self,
        listener: socket.socket,
        tallies: Tallies,
        protocol: Callable[[], asyncio.Protocol],
        connections: Callable[[], int],
        *,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._listener = listener
        self._tallies = tallies
        self._protocol = protocol
        self._connections = connections
        self._pause_s = pause_s
        self._loop = asyncio.get_running_loop()
        self._coming: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        tallies.set_level(_TAKING, 1)
        self._loop.add_reader(listener, self._woken)

    def close(self) -> None:
        """Accept nothing more; the others are told not to count on this process."""
        self._tallies.set_level(_TAKING, 0)
        self._loop.remove_reader(self._listener)
        if self._pause:
            self._pause.cancel()

    async def wait_closed(self) -> None:
        """Wait until what was accepted has a protocol."""
        if self._coming:
            await asyncio.wait(self._coming)

    def tell(self) -> int:
        """Say how many connections this process has, and return it."""
        count = self._connections() + len(self._coming)
        self._tallies.set_level(CONNECTIONS, count)
        return count

    def _woken(self) -> None:
        taking = self._tallies.levels(_TAKING)
        others = [
            count
            for place, count in self._tallies.levels(CONNECTIONS).items()
            if place != self._tallies.place and taking.get(place)
        ]
        if others and self.tell() > min(others) + LEAD:
            self._rest(self._pause_s)
        else:
            self._accept()

    def _rest(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener)
        self._pause = self._loop.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listener, self._woken)
        self._accept()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # somebody else has it, or it is gone
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            log.error("gateway.exhausted", error=error.strerror)  # noqa: TRY400 - the message says it all
            self._rest(EXHAUSTED_S)
            return
        connection.setblocking(False)
        task = self._loop.create_task(self._connect(connection))
        self._coming.add(task)
        task.add_done_callback(self._coming.discard)
        self.tell()

    async def _connect(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError as error:
            connection.close()
            log.info("gateway.not_connected", error=type(error).__name__)
