"""What stores promise about the bytes of a ledger and about checkpoints."""

import asyncio
from datetime import timedelta

import pytest
from contract.storage.builders import NOW, a_commit, an_instance, next_of
from contract.storage.implementations import Storage

from loops.checkpoint import Checkpoint, SealedHead, follow, make_checkpoint
from loops.commit import Commit
from loops.ledger import Verified, line_of, verify_lines


async def start(storage: Storage, name: str, tenant: str = "acme") -> Commit:
    """Store and return the first commit of the instance *name*."""
    instance = an_instance(instance_id=name, aggregate_id=f"of {name}", tenant=tenant)
    commit = a_commit(instance, data={"ratio": 1.0, "big": 1e20, "zero": -0.0, "text": "Grüße", "none": None})
    await storage.store.commit(commit)
    return commit


def sealing(*commits: Commit, previous: Checkpoint | None = None, tenant: str = "acme") -> Checkpoint:
    """Return the checkpoint over the heads of *commits*."""
    heads = [
        SealedHead(instance_id=c.instance.instance_id, sequence=c.instance.head.sequence, hash=c.instance.head.hash)
        for c in commits
    ]
    return make_checkpoint(tenant, heads, previous, NOW)


async def test_a_ledger_is_stored_as_lines(storage: Storage) -> None:
    """What is kept is each event's line, byte for byte, so that the stored bytes themselves can be proven."""
    commit = await start(storage, "li_1")
    after = a_commit(next_of(commit))
    await storage.store.commit(after)

    lines = await storage.store.lines("acme", "li_1")
    assert list(lines) == [line_of(event) for event in (*commit.events, *after.events)]
    assert verify_lines(lines, after.instance.head) == Verified(head=after.instance.head)
    assert list(await storage.store.lines("acme", "li_1", after=1, limit=1)) == list(lines)[1:]
    assert list(await storage.store.lines("acme", "li_1", limit=0)) == []
    assert list(await storage.store.lines("other", "li_1")) == []


async def test_an_instance_waits_to_be_sealed_from_each_of_its_events_on(storage: Storage) -> None:
    """What moved is what has events after its last checkpoint; sealing it takes it off, moving again puts it back."""
    one, two = await start(storage, "li_1"), await start(storage, "li:2%")
    await start(storage, "li_3", tenant="other")
    assert list(await storage.checkpoints.moved("acme")) == ["li:2%", "li_1"]
    assert len(await storage.checkpoints.moved("acme", limit=1)) == 1
    assert list(await storage.checkpoints.moved("acme", limit=0)) == []

    assert await storage.checkpoints.save_checkpoint(sealing(one, two))
    assert list(await storage.checkpoints.moved("acme")) == []
    assert list(await storage.checkpoints.moved("other")) == ["li_3"]

    await storage.store.commit(a_commit(next_of(one)))
    assert list(await storage.checkpoints.moved("acme")) == ["li_1"]


async def test_what_moves_while_it_is_sealed_is_sealed_again(storage: Storage) -> None:
    """An event that a commit adds between reading a head and saving its checkpoint is not forgotten."""
    commit = await start(storage, "li_1")
    checkpoint = sealing(commit)
    await storage.store.commit(a_commit(next_of(commit)))

    assert await storage.checkpoints.save_checkpoint(checkpoint)
    assert list(await storage.checkpoints.moved("acme")) == ["li_1"]


async def test_checkpoints_are_a_chain_per_tenant(storage: Storage) -> None:
    """They come back in order, as they were made, page by page, to those who ask for their tenant."""
    assert await storage.checkpoints.latest_checkpoint("acme") is None
    commit = await start(storage, "li_1")
    first = sealing(commit)
    second = sealing(previous=first)
    third = make_checkpoint("acme", [], second, NOW + timedelta(hours=1))
    for checkpoint in (first, second, third):
        assert await storage.checkpoints.save_checkpoint(checkpoint)

    lines = await storage.checkpoints.checkpoint_lines("acme")
    assert list(follow(lines, "acme")) == [first, second, third]
    assert await storage.checkpoints.latest_checkpoint("acme") == lines[-1]
    assert list(await storage.checkpoints.checkpoint_lines("acme", after=1, limit=1)) == [lines[1]]
    assert list(await storage.checkpoints.checkpoint_lines("acme", limit=0)) == []
    assert list(await storage.checkpoints.checkpoint_lines("other")) == []


@pytest.mark.parametrize("ahead", [0, 1])
async def test_a_checkpoint_that_is_not_the_next_one_is_not_kept(storage: Storage, ahead: int) -> None:
    """A sequence that is taken, or one that leaves a gap, changes nothing."""
    first = sealing(await start(storage, "li_1"))
    await storage.checkpoints.save_checkpoint(first)
    await start(storage, "li_2")
    other = sealing(previous=sealing(previous=first)) if ahead else sealing()

    assert not await storage.checkpoints.save_checkpoint(other)
    assert list(follow(await storage.checkpoints.checkpoint_lines("acme"), "acme")) == [first]
    assert list(await storage.checkpoints.moved("acme")) == ["li_2"]


async def test_of_racing_checkpoints_one_is_kept(storage: Storage) -> None:
    """Two processes that make the same checkpoint leave one chain."""
    commit = await start(storage, "li_1")
    racing = [make_checkpoint("acme", sealing(commit).heads, None, NOW + timedelta(seconds=n)) for n in range(4)]

    kept = await asyncio.gather(*(storage.checkpoints.save_checkpoint(each) for each in racing))

    assert kept.count(True) == 1
    assert len(await storage.checkpoints.checkpoint_lines("acme")) == 1
