"""The way out of the store: only what is over, sealed and done with, and all of it in one step."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from builders import TENANT, House, a_house, an_answer
from contract.storage.implementations import Storage, in_memory, on_redis

from gateway.auditing.archive import Round, archive_closed, check_archived
from gateway.auditing.checkpoints import audit_tenant, seal_tenant
from gateway.auditing.ports import Archives
from gateway.identifiers import TimeOrderedIds
from gateway.storage.connect import connect
from gateway.storage.memory import MemoryStore
from gateway.storage.memory_archive import MemoryArchive
from gateway.storage.redis_archive import RedisArchive
from loops.errors import Rejected

LONG = timedelta(days=90)


class Vault:
    """A house on one implementation, and the archive of its store."""

    def __init__(self, storage: Storage, archives: Archives, directory: Path) -> None:
        self.storage, self.archives, self.directory = storage, archives, directory
        self.house: House = a_house(store=storage.store, ids=TimeOrderedIds())

    def forward(self, by: timedelta) -> None:
        """Let time pass."""
        self.house.clock.at += by

    async def decided(self, aggregate: str = "CHG-1", *, done: bool = True) -> str:
        """Propose and reject a change; return the instance's id. Its effects are carried out if *done*."""
        request = await self.house.propose(aggregate)
        await self.house.engine.answer(an_answer(request, "reject", "dana", reason="no"), tenant=TENANT)
        if done:
            for record in await self.storage.effects.effects_of(TENANT, request.instance_id):
                claim = await self.storage.effects.claim(record.effect.effect_id, lease=timedelta(seconds=5))
                if claim:
                    await self.storage.effects.finish(record.effect.effect_id, claim.fence, {})
        return str(request.instance_id)

    async def archive(self, *, seal: bool = True, retention: timedelta = LONG) -> Round:
        """Archive what closed longer ago than *retention*, at the house's time."""
        now = self.house.clock.now()
        if seal:
            await seal_tenant(self.storage.store, self.storage.checkpoints, TENANT, now)
        return await archive_closed(
            self.storage.store,
            self.storage.checkpoints,
            self.archives,
            TENANT,
            directory=self.directory,
            closed_before=now - retention,
            now=now,
            by="test",
        )

    async def audit(self) -> tuple[int, tuple[str, ...]]:
        """Return how many are archived, and what does not hold."""
        found = await audit_tenant(
            self.storage.store,
            self.storage.checkpoints,
            TENANT,
            self.archives,
            lambda kept: check_archived(kept, self.directory),
        )
        return found.archived, tuple(each.reason for each in found.findings)


@pytest.fixture(params=["memory", "redis"])
async def vault(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Vault]:
    """Each implementation in turn, empty."""
    if request.param == "memory":
        storage = in_memory()
        assert isinstance(storage.store, MemoryStore)
        yield Vault(storage, MemoryArchive(storage.store), tmp_path)
        return
    url = request.getfixturevalue("redis_url")
    async with connect(url) as client:
        yield Vault(on_redis(client, url), RedisArchive(client), tmp_path)


async def test_what_closed_long_ago_is_a_checked_file_and_a_note(vault: Vault) -> None:
    """Nothing of the instance stays but where it is and how its ledger ends; the file alone proves the rest."""
    instance_id = await vault.decided()
    loaded = await vault.storage.store.load(TENANT, instance_id)
    assert loaded is not None
    vault.forward(LONG + timedelta(hours=1))

    assert (await vault.archive()).archived == 1

    kept = await vault.archives.archived(TENANT, instance_id)
    assert kept is not None
    assert kept == await vault.archives.archived(TENANT, "CHG-1")
    assert kept.head == loaded.instance.head
    assert check_archived(kept, vault.directory) is None
    assert await vault.storage.store.load(TENANT, instance_id) is None
    assert await vault.storage.store.load_aggregate(TENANT, "CHG-1") is None
    assert await vault.storage.store.load_request(TENANT, loaded.instance.request_id or "") is None
    assert await vault.storage.store.lines(TENANT, instance_id) == []
    assert await vault.storage.effects.effects_of(TENANT, instance_id) == []
    assert await vault.storage.store.instances(TENANT, closed=True) == ([], None)
    assert await vault.audit() == (1, ())


async def test_what_is_open_or_young_or_unsealed_or_unfinished_stays(vault: Vault) -> None:
    """Only what is over, old enough, sealed to its end and done with leaves the store."""
    await vault.decided("CHG-YOUNG")
    assert await vault.archive() == Round()
    await vault.house.propose("CHG-OPEN")
    await vault.decided("CHG-UNFINISHED", done=False)
    vault.forward(LONG + timedelta(hours=1))

    assert (await vault.archive(seal=False)).archived == 1
    await vault.decided("CHG-UNSEALED")
    vault.forward(LONG + timedelta(hours=1))
    unsealed = await vault.archive(seal=False)

    assert (unsealed.archived, unsealed.left) == (0, 2)
    for aggregate in ("CHG-OPEN", "CHG-UNFINISHED", "CHG-UNSEALED"):
        assert await vault.storage.store.load_aggregate(TENANT, aggregate)
    assert (await vault.archive()).archived == 1


async def test_a_crash_between_file_and_trim_is_finished_by_the_next_round(vault: Vault) -> None:
    """A whole file that is there already is used, half of one is written again; either way it is trimmed once."""
    await vault.decided("CHG-1")
    await vault.decided("CHG-2")
    vault.forward(LONG + timedelta(hours=1))

    class Killed(RuntimeError):  # noqa: N818 - what happened
        pass

    living = vault.archives

    class Dies:
        def __getattr__(self, name: str) -> object:
            return getattr(living, name)

        async def trim(self, *_: object) -> bool:
            raise Killed

    vault.archives = Dies()  # type: ignore[assignment]
    with pytest.raises(Killed):
        await vault.archive()
    vault.archives = living
    (written,) = vault.directory.rglob("*.jsonl")
    before = written.read_bytes()
    assert (await vault.archive()).archived == 2
    assert written.read_bytes() == before
    assert (await vault.archive()) == Round()
    assert await vault.audit() == (2, ())


async def test_half_a_file_is_written_again(vault: Vault) -> None:
    """What is in the directory is believed only where it holds."""
    instance_id = await vault.decided()
    vault.forward(LONG + timedelta(hours=1))
    loaded = await vault.storage.store.load(TENANT, instance_id)
    assert loaded is not None
    assert loaded.instance.closed_at is not None
    path = vault.directory / TENANT / f"{loaded.instance.closed_at:%Y-%m}" / f"{instance_id}.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"half":')

    assert (await vault.archive()).archived == 1
    assert await vault.audit() == (1, ())


async def test_an_archive_that_was_changed_or_lost_is_found(vault: Vault) -> None:
    """A file that is edited or gone contradicts the note, as a deleted ledger contradicts its checkpoint."""
    await vault.decided()
    vault.forward(LONG + timedelta(hours=1))
    await vault.archive()
    (path,) = vault.directory.rglob("*.jsonl")
    whole = path.read_bytes()

    path.write_bytes(whole.replace(b"dana", b"sam2"))
    edited = await vault.audit()
    path.unlink()
    gone = await vault.audit()

    assert "does not hold" in edited[1][0]
    assert "is not a file" in gone[1][0]


async def test_a_new_run_begins_where_an_archived_one_ended(vault: Vault) -> None:
    """The business object is free, and both runs can be told apart: the note is the older one's."""
    first = await vault.decided()
    vault.forward(LONG + timedelta(hours=1))
    await vault.archive()

    second = await vault.house.propose("CHG-1")
    assert second.instance_id != first
    assert await vault.storage.store.load_aggregate(TENANT, "CHG-1")
    assert await vault.archives.archived(TENANT, first)
    assert await vault.archives.archived(TENANT, "CHG-1") is None
    assert await vault.audit() == (1, ())


async def test_the_archive_is_listed_in_pages(vault: Vault) -> None:
    """Last closed first, each once; a cursor that is none is refused."""
    for number in range(5):
        await vault.decided(f"CHG-{number}")
        vault.forward(timedelta(seconds=1))
    vault.forward(LONG + timedelta(hours=1))
    await vault.archive()

    seen, cursor = [], None
    while True:
        page, cursor = await vault.archives.archive(TENANT, cursor=cursor, limit=2)
        seen += [each.aggregate_id for each in page]
        if cursor is None:
            break

    assert seen == [f"CHG-{number}" for number in reversed(range(5))]
    with pytest.raises(Rejected):
        await vault.archives.archive(TENANT, cursor="no")
