"""The seam between redis-py and us: its errors become ours in this one place."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis import exceptions as redis_errors

from loops.errors import StoreUnavailable

#: Errors by which redis-py says that the server is away, did not answer in time, or takes no writes now.
#: `BusyLoadingError`, `AuthenticationError` and `MaxConnectionsError` are kinds of `ConnectionError` there.
_AWAY = (
    redis_errors.ConnectionError,
    redis_errors.TimeoutError,
    redis_errors.OutOfMemoryError,
    redis_errors.ReadOnlyError,
    redis_errors.ClusterDownError,
    redis_errors.TryAgainError,
    redis_errors.NoPermissionError,
    OSError,
)

#: Error codes of the server that redis-py has no class for: the disk refuses, replicas are missing, a script hangs,
#: a fail-over is under way. Source: server.c and replication.c of Valkey 9, `shared.*err`.
_AWAY_CODES = ("MISCONF", "NOREPLICAS", "BUSY", "UNBLOCKED", "FAILOVER", "LOADING", "OOM", "READONLY", "NOAUTH")


@contextmanager
def store_errors() -> Iterator[None]:
    """
    Turn every error that means "away, or not now" into `StoreUnavailable`; anything else is a bug and stays itself.

    Raises:
        StoreUnavailable: In place of such an error.
    """
    try:
        yield
    except _AWAY as error:
        raise unavailable(error) from error
    except redis_errors.ResponseError as error:
        if not str(error).startswith(_AWAY_CODES):
            raise
        raise unavailable(error) from error


def unavailable(error: Exception) -> StoreUnavailable:
    """Return *error* as ours. The text of the server is kept: it names no data of a loop."""
    return StoreUnavailable(f"the store cannot answer now ({type(error).__name__}: {error}); try again")
