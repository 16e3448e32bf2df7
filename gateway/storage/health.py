"""Whether a server keeps what Loopgate acknowledges."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from redis import exceptions as redis_errors
from redis.asyncio import Redis

from gateway.storage.durability import LOCAL, Durability
from gateway.storage.seam import store_errors

#: The first Redis with all the scripts use. Valkey, 7.2 and later, calls itself Redis 7.2.4 for this purpose.
OLDEST_SERVER = (7, 0)

#: Fields that CONFIG can give where INFO does not, and what they are called there.
_CONFIGURED = {"appendfsync": "appendfsync", "maxmemory_policy": "maxmemory-policy"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What is wrong with a server, one sentence each with what to do.

    Args:
        unfit: How it is set up: acknowledged decisions will be lost. Somebody must change it, or allow it.
        troubled: What keeps it from taking commits now, and may pass.
        doubtful: What is lost only when two things go wrong at once. Somebody should know, and may mean it.
    """

    unfit: tuple[str, ...] = ()
    troubled: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()


async def check(client: "Redis", durability: Durability = LOCAL) -> Verdict:
    """
    Return what is wrong with the server of *client* for commits that need *durability*.

    Raises:
        StoreUnavailable: If the server cannot be asked.
    """
    return judge(await told(client), durability)


async def told(client: "Redis") -> dict[str, Any]:
    """
    Return what the server says of itself: the fields of INFO, and ``appendfsync``, where it tells, from CONFIG.

    Managed servers forbid CONFIG, and some shorten INFO; what neither says is missing. Raises StoreUnavailable.
    """
    with store_errors():
        info: dict[str, Any] = await client.info()
        if info.get("loading"):
            # Its AOF is switched off while it is read: what it says of itself now is not how it is set up.
            raise redis_errors.BusyLoadingError("the server is still loading its data")
        try:
            configured: dict[Any, Any] = await client.config_get("appendfsync", "appendonly", "maxmemory-policy")
        except redis_errors.ResponseError as error:
            if str(error).startswith(("LOADING", "NOAUTH", "BUSY")):
                raise
            return info
    given: dict[str, Any] = {key: configured[name] for key, name in _CONFIGURED.items() if name in configured}
    if "appendonly" in configured:
        given["aof_enabled"] = int(configured["appendonly"] == "yes")
    return given | info


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


def judge(info: dict[str, Any], durability: Durability = LOCAL) -> Verdict:
    """Return what is wrong with a server that says *info* (fields as `told` gives them) of itself."""
    unfit, troubled, doubtful = [], [], []
    version = str(info.get("redis_version", ""))
    if _numbers(version) < OLDEST_SERVER:
        unfit.append(f"the server is Redis {version or 'of an unknown version'}; run Redis 7.0 or Valkey 7.2, or later")
    if not info.get("aof_enabled"):
        unfit.append("AOF is off, so acknowledged decisions die with the server; set appendonly yes")
    elif info.get("aof_last_write_status", "ok") != "ok":
        troubled.append("the server cannot write its AOF, so it will refuse commits; free or mend its disk")
    policy = info.get("maxmemory_policy", "not told")
    if policy != "noeviction":
        unfit.append(f"maxmemory-policy is {policy}, which throws away loops when memory is short; set noeviction")
    if info.get("cluster_enabled"):
        unfit.append("the server is in cluster mode, which neither Loopgate nor RQ supports; use a single primary")
    has = int(info.get("connected_slaves", 0))
    if has < durability.needs:
        troubled.append(
            f"commits must reach {durability.needs} replicas and {has} are there; "
            "start them, or see LOOPGATE_DURABILITY and LOOPGATE_REPLICAS"
        )
    if has > durability.needs > 0:
        doubtful.append(
            f"commits must reach {durability.needs} of {has} replicas, so what a slow primary acknowledges while being "
            f"replaced may be lost; set LOOPGATE_REPLICAS={has}, or replica-priority 0 on those never to be promoted"
        )
    return Verdict(tuple(unfit), tuple(troubled), tuple(doubtful))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(piece) for piece in version.split(".") if piece.isdigit())
