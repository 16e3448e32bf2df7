"""Connections to the store: short time-outs, so that a click is answered within three seconds whatever happens."""

from redis import Redis as SyncRedis
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from loops.errors import Rejected

CONNECT_TIMEOUT_S = 1.0
ANSWER_TIMEOUT_S = 1.5

#: Connections of one process. Beyond them commands queue for a second, instead of opening sockets without end.
MAX_CONNECTIONS = 64


def connect(url: str) -> "Redis":
    """
    Return an async client for *url* (``redis://``, ``rediss://`` or ``unix://``). It connects when first used.

    It never repeats a command by itself: a commit that may have happened must not happen twice.

    Raises:
        Rejected: If *url* is not one redis-py accepts. The message leaves it out, as it may carry a password.
    """
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            timeout=CONNECT_TIMEOUT_S,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_timeout=ANSWER_TIMEOUT_S,
            retry=AsyncRetry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise _bad_url() from error
    return Redis.from_pool(pool)


def connect_sync(url: str) -> SyncRedis:
    """
    Return a sync client for *url*, for the relay and RQ in the worker process; as `connect` in all else.

    RQ lengthens the answer time-out of the connections it blocks on by itself (`rq.worker.base`, read at 3.0.0).
    """
    try:
        return SyncRedis.from_url(
            url,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_timeout=ANSWER_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise _bad_url() from error


def _bad_url() -> Rejected:
    return Rejected("the store's URL is not one; write redis://host:6379/0, rediss://... or unix:///path?db=0")
