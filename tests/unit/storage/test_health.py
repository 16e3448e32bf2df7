"""The health check: what would lose an acknowledged decision is named, with what to do."""

from typing import Any

import pytest

from gateway.storage.connect import connect
from gateway.storage.embedded import EmbeddedServer
from gateway.storage.health import check, problems

SOUND = {"redis_version": "7.0.15", "aof_enabled": 1, "aof_last_write_status": "ok", "maxmemory_policy": "noeviction"}


def test_a_sound_server_has_no_problems() -> None:
    """The oldest supported server, set up as it must be, passes."""
    assert problems(SOUND) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"redis_version": "6.2.14"}, "the server is Redis 6.2.14; run Redis 7.0 or Valkey 7.2, or later"),
        ({"aof_enabled": 0}, "AOF is off, so acknowledged decisions die with the server; set appendonly yes"),
        (
            {"aof_last_write_status": "err"},
            "the server cannot write its AOF, so it will refuse commits; free or mend its disk",
        ),
        (
            {"maxmemory_policy": "allkeys-lru"},
            "maxmemory-policy is allkeys-lru, which throws away loops when memory is short; set noeviction",
        ),
        (
            {"cluster_enabled": 1},
            "the server is in cluster mode, which neither Loopgate nor RQ supports; use a single primary",
        ),
    ],
)
def test_each_problem_is_named(change: dict[str, Any], expected: str) -> None:
    """One thing wrong gives one sentence that names it and the remedy."""
    assert problems(SOUND | change) == [expected]


def test_a_server_that_says_nothing_is_not_trusted() -> None:
    """Missing fields count as wrong, not as right."""
    assert len(problems({})) == 3


async def test_a_real_server_is_read_right(redis_server: EmbeddedServer) -> None:
    """What a real server says of itself is understood, for good and for bad."""
    async with connect(redis_server.url) as client:
        assert await check(client) == []
        await client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            assert len(await check(client)) == 1
        finally:
            await client.config_set("maxmemory-policy", "noeviction")
