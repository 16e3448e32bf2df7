"""Durability on real replicas: nothing counts as written before it is where it was asked to be."""

from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import timedelta

import pytest
from contract.storage.builders import a_commit, a_record, an_instance, next_of
from patience import PATIENCE_S
from redis.asyncio import Redis
from replicas import Replicated, replicated

from gateway.storage import keys
from gateway.storage.connect import connect
from gateway.storage.durability import Durability, DurabilityMode
from gateway.storage.redis_store import RedisStore
from loops.errors import StoreUnavailable
from loops.ports import Repeated, Stored

#: What is to come true is waited for as long as tests wait; what cannot, for a moment.
PATIENTLY, SOON = timedelta(seconds=PATIENCE_S / 2), timedelta(milliseconds=300)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicated]:
    """A primary and one replica."""
    with replicated(tmp_path_factory.mktemp("pair"), replicas=1) as running:
        yield running


@pytest.fixture
async def client(pair: Replicated) -> AsyncIterator["Redis"]:
    """A client of the primary, which is empty."""
    async with connect(f"{pair.url}?socket_timeout={PATIENCE_S}&socket_connect_timeout={PATIENCE_S}") as connected:
        await connected.flushall()
        await connected.script_flush()
        yield connected


async def test_a_replicated_commit_is_on_the_replica_when_it_returns(pair: Replicated, client: "Redis") -> None:
    """With WAIT the replica has the commit, scripts unknown to the server or not."""
    store = RedisStore(client, durability=Durability("replicated", within=PATIENTLY))

    assert await store.commit(a_commit(an_instance())) == Stored()

    with closing(pair.servers[1].client(patience_s=PATIENCE_S)) as replica:
        assert replica.exists(keys.INSTANCE + keys.pair("acme", "li_1"))


async def test_a_commit_the_replica_did_not_get_is_unknown_until_it_did(pair: Replicated, client: "Redis") -> None:
    """The caller is told that the result is unknown; so is whoever repeats it, until the replica has it, too."""
    store = RedisStore(client, durability=Durability("replicated", within=SOON))
    commit = a_commit(an_instance(), idempotency=a_record(an_instance()))
    assert commit.idempotency is not None
    with pair.servers[1].cut_off():
        with pytest.raises(StoreUnavailable, match="reached 0 of 1 replicas"):
            await store.commit(commit)
        with pytest.raises(StoreUnavailable, match="reached 0 of 1 replicas"):
            await store.commit(commit)

    again = RedisStore(client, durability=Durability("replicated", within=PATIENTLY))
    assert await again.commit(commit) == Repeated(commit.idempotency.answer)
    assert len(await again.events("acme", "li_1")) == 1


async def test_a_local_commit_waits_for_nobody(pair: Replicated, client: "Redis") -> None:
    """Without a word about replicas a commit is written when the primary has it."""
    with pair.servers[1].cut_off():
        assert await RedisStore(client).commit(a_commit(an_instance())) == Stored()


async def test_a_synced_commit_is_on_disks_when_it_returns(pair: Replicated, client: "Redis") -> None:
    """With WAITAOF the commit is in the append-only file of the primary, though that is synced once a second."""
    store = RedisStore(client, durability=Durability("synced", replicas=0, within=PATIENTLY))
    first = a_commit(an_instance())
    assert await store.commit(first) == Stored()

    written = b"".join(each.read_bytes() for each in pair.servers[0].home.glob("appendonlydir/*.incr.aof"))
    assert first.sealed[0].line in written

    with pair.servers[1].cut_off(), pytest.raises(StoreUnavailable, match="reached 0 of 1 replicas"):
        await RedisStore(client, durability=Durability("synced", within=SOON)).commit(a_commit(next_of(first)))


async def test_a_server_without_an_append_only_file_keeps_nothing_synced(pair: Replicated, client: "Redis") -> None:
    """What cannot be found out is not taken for true."""
    await client.config_set("appendonly", "no")
    try:
        with pytest.raises(StoreUnavailable, match="cannot say whether the commit is kept"):
            await RedisStore(client, durability=Durability("synced", replicas=0)).commit(a_commit(an_instance()))
    finally:
        await client.config_set("appendonly", "yes")


@pytest.mark.parametrize("mode", ["local", "replicated"])
async def test_scripts_that_a_server_forgot_are_given_to_it_again(client: "Redis", mode: DurabilityMode) -> None:
    """After SCRIPT FLUSH, as after a restart, the next commit loads its script and takes place once."""
    store = RedisStore(client, durability=Durability(mode, within=PATIENTLY))
    first = a_commit(an_instance())
    await store.commit(first)
    await client.script_flush()

    assert await store.commit(a_commit(next_of(first))) == Stored()
    assert len(await store.events("acme", "li_1")) == 2
