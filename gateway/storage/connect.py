"""
Connections to the store: short time-outs, so that a click is answered within three seconds whatever happens.

A connection finds the primary whenever it is made, tries again for a moment where nobody answers, and is dropped when
its server turns out to have become a replica: so what comes after a restart or a fail-over finds its way by itself.
A *command* is never repeated here: a commit that may have happened must not happen twice.
"""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

from redis import Redis as SyncRedis
from redis import Sentinel as SyncSentinel
from redis import connection as sync_connections
from redis import exceptions as redis_errors
from redis.asyncio import BlockingConnectionPool, Redis, Sentinel
from redis.asyncio import connection as connections
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from gateway.storage.addresses import Address, read_address

CONNECT_TIMEOUT_S = 1.0
ANSWER_TIMEOUT_S = 1.5

#: Seconds one sentinel may take; the next one is asked then.
SENTINEL_TIMEOUT_S = 0.3

#: Connections of one process. Beyond them commands queue for a second, instead of opening sockets without end.
MAX_CONNECTIONS = 64

#: How long a connection that is refused is tried again, in seconds: over a restart of a moment. Whoever would have to
#: wait longer is told, and pauses by themselves.
PATIENCE_S = 1.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 0.4

#: What is tried again. A time-out is not: it took its second already.
_REFUSED = (redis_errors.ConnectionError, OSError)


def connect(url: str) -> "Redis":
    """
    Return an async client for the store at *url* (see `gateway.storage.addresses`). It connects when first used.

    Raises:
        Rejected: If *url* is no URL of a store. The message leaves it out, as it may carry a password.
    """
    address = read_address(url)
    options = _options(address) | {"retry": AsyncRetry(NoBackoff(), 0)}
    if address.sentinels:
        sentinels = _sentinels_of(Sentinel, address)
        options["finder"] = _Finder(sentinels, address.service)
    pool = _Pool(
        connection_class=_class_of(address, _Unix, _Tls, _Tcp),
        max_connections=MAX_CONNECTIONS,
        timeout=CONNECT_TIMEOUT_S,
        **options,
    )
    return Redis.from_pool(pool)


def connect_sync(url: str, *, patience_s: float = PATIENCE_S) -> SyncRedis:
    """
    Return a sync client for the store at *url*, for the relay and RQ in the worker process; as `connect` in all else.

    *patience_s* is how long connecting is tried again. RQ lengthens the answer time-out of the connections it blocks
    on by itself (`rq.worker.base`, read at 3.0.0).
    """
    address = read_address(url)
    options = _options(address) | {"retry": Retry(NoBackoff(), 0), "patience_s": patience_s}
    if address.sentinels:
        sentinels = _sentinels_of(SyncSentinel, address)
        options["finder"] = _SyncFinder(sentinels, address.service)
    pool = sync_connections.ConnectionPool(
        connection_class=_class_of(address, _SyncUnix, _SyncTls, _SyncTcp), **options
    )
    return SyncRedis.from_pool(pool)


def _options(address: Address) -> dict[str, Any]:
    timeouts = {"socket_connect_timeout": CONNECT_TIMEOUT_S, "socket_timeout": ANSWER_TIMEOUT_S}
    return timeouts | dict(address.options)


def _sentinels_of(kind: Any, address: Address) -> Any:
    timeouts = {"socket_connect_timeout": SENTINEL_TIMEOUT_S, "socket_timeout": SENTINEL_TIMEOUT_S}
    return kind(address.sentinels, sentinel_kwargs=timeouts | dict(address.sentinel_options or {}))


def _class_of(address: Address, unix: type, tls: type, tcp: type) -> Any:
    return unix if "path" in address.options else tls if address.is_tls else tcp


def _pauses(patience_s: float) -> Iterator[float]:
    began, pause = time.monotonic(), _FIRST_PAUSE_S
    while time.monotonic() - began + pause <= patience_s:
        yield pause
        pause = min(2 * pause, _LONGEST_PAUSE_S)


class _Pool(BlockingConnectionPool):
    """
    Gives out a connection that is free at once, and has others wait until one is, as redis-py's own does.

    Its way there and back takes locks, a timer, listeners nobody has and a look for outdated arguments each time: a
    third of what a call costs.
    """

    _queued = 0

    async def get_connection(self, *_: Any, **__: Any) -> Any:
        if not self.can_get_connection():
            self._queued += 1
            try:
                return await super().get_connection()  # type: ignore[no-untyped-call]
            finally:
                self._queued -= 1
        connection: Any = self.get_available_connection()  # type: ignore[no-untyped-call]
        try:
            await self.ensure_connection(connection)
        except BaseException:
            await self.release(connection)
            raise
        return connection

    async def release(self, connection: Any) -> None:
        if self._queued or connection.should_reconnect():
            await super().release(connection)
            return
        self._in_use_connections.remove(connection)
        self._available_connections.append(connection)


class _Finder:
    """Asks the sentinels where the primary is; `latest` is what they said last."""

    def __init__(self, sentinels: Any, service: str) -> None:
        self._sentinels = sentinels
        self._service = service
        self.latest: tuple[str, int] | None = None

    async def find(self) -> tuple[str, int]:
        try:
            found: tuple[str, int] = await self._sentinels.discover_master(self._service)
        finally:
            # Asked seldom, and nobody else would close them.
            for each in self._sentinels.sentinels:
                await each.connection_pool.disconnect()
        self.latest = found
        return found


class _Found:
    """A connection to whichever server is the primary when it is made, dropped once that is another."""

    def __init__(self, *, finder: _Finder | None = None, **options: Any) -> None:
        self._finder = finder
        super().__init__(**options)

    async def connect(self) -> None:
        mine: Any = self
        if mine.is_connected and self._finder is not None and self._finder.latest != (mine.host, mine.port):
            await mine.disconnect(nowait=True)
        pauses = _pauses(PATIENCE_S)
        while not mine.is_connected:
            try:
                if self._finder is not None:
                    mine.host, mine.port = await self._finder.find()
                await super().connect()  # type: ignore[misc]
            except _REFUSED:
                await mine.disconnect(nowait=True)
                if (pause := next(pauses, None)) is None:
                    raise
                await asyncio.sleep(pause)

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        mine: Any = self
        writer = mine._writer
        if writer is None or writer.is_closing() or mine.health_check_interval or isinstance(command, (str, bytes)):
            await super().send_packed_command(command, check_health)  # type: ignore[misc]
            return
        writer.writelines(command)
        if writer.is_closing():
            await mine.disconnect(nowait=True)
            raise redis_errors.ConnectionError("the connection broke while a command was written")
        # Only what fills the system's buffers is waited for: redis-py starts a task and a timer for each command.
        if writer.transport.get_write_buffer_size():
            await super().send_packed_command([], check_health)  # type: ignore[misc]

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*args, **options)  # type: ignore[misc]
        except redis_errors.ReadOnlyError:
            mine: Any = self
            await mine.disconnect(nowait=True)
            raise


class _Tcp(_Found, connections.Connection):
    pass


class _Tls(_Found, connections.SSLConnection):
    pass


class _Unix(_Found, connections.UnixDomainSocketConnection):
    pass


class _SyncFinder:
    """The same for the sync client: redis-py has two of each, too."""

    def __init__(self, sentinels: Any, service: str) -> None:
        self._sentinels = sentinels
        self._service = service
        self.latest: tuple[str, int] | None = None

    def find(self) -> tuple[str, int]:
        try:
            found: tuple[str, int] = self._sentinels.discover_master(self._service)
        finally:
            for each in self._sentinels.sentinels:
                each.connection_pool.disconnect()
        self.latest = found
        return found


class _SyncFound:
    def __init__(self, *, finder: _SyncFinder | None = None, patience_s: float = PATIENCE_S, **options: Any) -> None:
        self._finder = finder
        self._patience_s = patience_s
        super().__init__(**options)

    def connect(self) -> None:
        mine: Any = self
        if mine.is_connected and self._finder is not None and self._finder.latest != (mine.host, mine.port):
            mine.disconnect()
        pauses = _pauses(self._patience_s)
        while not mine.is_connected:
            try:
                if self._finder is not None:
                    mine.host, mine.port = self._finder.find()
                super().connect()  # type: ignore[misc]
            except _REFUSED:
                mine.disconnect()
                if (pause := next(pauses, None)) is None:
                    raise
                time.sleep(pause)

    def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return super().read_response(*args, **options)  # type: ignore[misc]
        except redis_errors.ReadOnlyError:
            mine: Any = self
            mine.disconnect()
            raise


class _SyncTcp(_SyncFound, sync_connections.Connection):
    pass


class _SyncTls(_SyncFound, sync_connections.SSLConnection):
    pass


class _SyncUnix(_SyncFound, sync_connections.UnixDomainSocketConnection):
    pass
