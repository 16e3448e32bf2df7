"""Whether a server keeps what Loopgate acknowledges."""

from datetime import UTC, datetime, timedelta
from typing import Any

from redis.asyncio import Redis

from gateway.storage.seam import store_errors

#: The first Redis with all the scripts use. Valkey, 7.2 and later, calls itself Redis 7.2.4 for this purpose.
OLDEST_SERVER = (7, 0)


async def check(client: "Redis") -> list[str]:
    """
    Return what is wrong with the server of *client*, one sentence each with what to do; none is best.

    Reads INFO only, which managed servers allow where they refuse CONFIG.

    Raises:
        StoreUnavailable: If the server cannot be asked.
    """
    return problems(await told(client))


async def told(client: "Redis") -> dict[str, Any]:
    """Return what the server says of itself: the fields of INFO. Raises StoreUnavailable."""
    with store_errors():
        info: dict[str, Any] = await client.info()
    return info


async def clock(client: "Redis") -> datetime:
    """Return the server's time, aware UTC. Raises StoreUnavailable."""
    with store_errors():
        seconds, microseconds = await client.time()
    return datetime.fromtimestamp(int(seconds), UTC) + timedelta(microseconds=int(microseconds))


def named(info: dict[str, Any]) -> str:
    """Return the product and version of a server that says *info* of itself."""
    if info.get("server_name") == "valkey":
        return f"Valkey {info.get('valkey_version', 'of an unknown version')}"
    return f"Redis {info.get('redis_version', 'of an unknown version')}"


def problems(info: dict[str, Any]) -> list[str]:
    """Return what is wrong with a server that says *info* (fields as in the INFO command) of itself."""
    found = []
    version = str(info.get("redis_version", ""))
    if _numbers(version) < OLDEST_SERVER:
        found.append(f"the server is Redis {version or 'of an unknown version'}; run Redis 7.0 or Valkey 7.2, or later")
    if not info.get("aof_enabled"):
        found.append("AOF is off, so acknowledged decisions die with the server; set appendonly yes")
    elif info.get("aof_last_write_status", "ok") != "ok":
        found.append("the server cannot write its AOF, so it will refuse commits; free or mend its disk")
    policy = info.get("maxmemory_policy")
    if policy != "noeviction":
        found.append(f"maxmemory-policy is {policy}, which throws away loops when memory is short; set noeviction")
    if info.get("cluster_enabled"):
        found.append("the server is in cluster mode, which neither Loopgate nor RQ supports; use a single primary")
    return found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(piece) for piece in version.split(".") if piece.isdigit())
