"""What listings promise, on every store: open instances, newest first, each once, by state, page by page."""

from datetime import timedelta

import pytest
from contract.storage.builders import NOW, a_commit, an_instance, closed, next_of
from contract.storage.implementations import Storage

from loops.commit import Commit
from loops.errors import Rejected
from loops.ports import Conflict


async def start(storage: Storage, name: str, **fields: object) -> Commit:
    """Store and return the first commit of the instance *name*."""
    commit = a_commit(an_instance(instance_id=name, aggregate_id=f"of {name}", **fields))
    await storage.store.commit(commit)
    return commit


async def names(storage: Storage, **listing: object) -> list[str]:
    """Return the ids of one page."""
    found, _ = await storage.store.instances("acme", **listing)  # type: ignore[arg-type]
    return [instance.instance_id for instance in found]


async def test_open_instances_are_listed_newest_first(storage: Storage) -> None:
    """The order is that of starting, whatever happened to the instances since."""
    first = await start(storage, "li_a", started_at=NOW)
    await start(storage, "li_c", started_at=NOW + timedelta(microseconds=2))
    await start(storage, "li_b", started_at=NOW + timedelta(microseconds=1))
    await storage.store.commit(a_commit(next_of(first, updated_at=NOW + timedelta(days=1))))

    assert await names(storage) == ["li_c", "li_b", "li_a"]


async def test_an_instance_is_listed_under_its_present_state_only(storage: Storage) -> None:
    """A move takes an instance from one state's list to the other's; closing takes it from all."""
    commit = await start(storage, "li_1")
    assert await names(storage, state="ANALYZING") == ["li_1"]

    commit = a_commit(next_of(commit, state="PENDING_HUMAN_APPROVAL"))
    await storage.store.commit(commit)
    assert await names(storage, state="ANALYZING") == []
    assert await names(storage, state="PENDING_HUMAN_APPROVAL") == ["li_1"]
    assert await names(storage) == ["li_1"]

    await storage.store.commit(a_commit(closed(commit)))
    assert await names(storage, state="PENDING_HUMAN_APPROVAL") == []
    assert await names(storage, state="COMPLETE") == []
    assert await names(storage) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_pages_give_every_instance_once(storage: Storage, limit: int) -> None:
    """Following cursors gives each open instance once and ends, also where many were started in one instant."""
    expected = [(await start(storage, f"li_{number}")).instance.instance_id for number in range(7)]
    pages, cursor = [], None
    while True:
        found, cursor = await storage.store.instances("acme", cursor=cursor, limit=limit)
        pages.append([instance.instance_id for instance in found])
        if cursor is None:
            break

    assert [name for page in pages for name in page] == expected[::-1]
    assert all(len(page) == limit for page in pages[:-1])
    assert pages[-1]


async def test_a_cursor_outlives_the_instance_it_names(storage: Storage) -> None:
    """When the last instance of a page is closed before the next is asked for, nothing is skipped or repeated."""
    commits = [await start(storage, f"li_{number}", started_at=NOW + timedelta(seconds=number)) for number in range(4)]
    _, cursor = await storage.store.instances("acme", limit=2)
    for commit in commits[1:3]:
        await storage.store.commit(a_commit(closed(commit)))

    assert await names(storage, cursor=cursor) == ["li_0"]


@pytest.mark.parametrize(
    "cursor", ["x", "+", "-", "[a", "0" * 18, "0" * 18 + ":\ud800", "0" * 18 + ": ", "٣" * 18 + ":a"]
)
async def test_a_forged_cursor_is_refused(storage: Storage, cursor: str) -> None:
    """A cursor that no listing gave is refused in words, not passed on."""
    with pytest.raises(Rejected, match="this cursor is not one the listing gave"):
        await storage.store.instances("acme", cursor=cursor)


async def test_another_tenants_cursor_shows_nothing_of_that_tenant(storage: Storage) -> None:
    """A cursor is a place in the caller's own list, wherever it comes from."""
    for number in range(3):
        await start(storage, f"li_{number}", tenant="other")
    await start(storage, "li_mine")
    _, cursor = await storage.store.instances("other", limit=1)

    found, _ = await storage.store.instances("acme", cursor=cursor)

    assert {instance.tenant for instance in found} <= {"acme"}


@pytest.mark.parametrize(("limit", "expected"), [(0, 1), (-5, 1), (10**9, 3)])
async def test_odd_page_sizes_are_brought_into_range(storage: Storage, limit: int, expected: int) -> None:
    """A page holds at least one instance and never more than the store can give in time."""
    for number in range(3):
        await start(storage, f"li_{number}")

    assert len(await names(storage, limit=limit)) == expected


async def test_a_state_is_compared_as_a_whole(storage: Storage) -> None:
    """States are names, not patterns or prefixes, whatever characters they hold."""
    await start(storage, "li_1", state="A:B")
    await start(storage, "li_2", state="A")

    assert await names(storage, state="A") == ["li_2"]
    assert await names(storage, state="A:B") == ["li_1"]
    assert await names(storage, state="*") == []


async def test_closed_instances_are_listed_last_closed_first(storage: Storage) -> None:
    """A closed instance leaves the open list for the closed one, of its tenant and state, page by page."""
    commits = [await start(storage, f"li_{number}", started_at=NOW + timedelta(seconds=number)) for number in range(4)]
    for minute, number in enumerate([2, 0, 3]):
        over = closed(commits[number]).changed(closed_at=NOW + timedelta(minutes=minute))
        await storage.store.commit(a_commit(over))

    assert await names(storage) == ["li_1"]
    assert await names(storage, closed=True) == ["li_3", "li_0", "li_2"]
    assert await names(storage, closed=True, state="COMPLETE") == ["li_3", "li_0", "li_2"]
    assert await names(storage, closed=True, state="ANALYZING") == []
    page, cursor = await storage.store.instances("acme", closed=True, limit=2)
    assert [instance.instance_id for instance in page] == ["li_3", "li_0"]
    assert await names(storage, closed=True, cursor=cursor) == ["li_2"]
    assert (await storage.store.instances("other", closed=True))[0] == []


async def test_what_happens_to_a_closed_instance_leaves_it_where_it_is_listed(storage: Storage) -> None:
    """A refusal on a closed instance is a commit, and does not list it twice or elsewhere."""
    over = a_commit(closed(await start(storage, "li_1")))
    await storage.store.commit(over)
    await storage.store.commit(a_commit(next_of(over, updated_at=NOW + timedelta(days=1))))

    assert await names(storage, closed=True) == ["li_1"]
    assert await names(storage) == []


async def test_a_suspended_instance_is_listed_as_open_and_keeps_its_aggregate(storage: Storage) -> None:
    """Resting is not being over: the instance is found among the open ones and no second one starts beside it."""
    commit = await start(storage, "li_1")
    await storage.store.commit(a_commit(next_of(commit, status="suspended")))

    second = a_commit(an_instance(instance_id="li_2", aggregate_id="of li_1"))
    assert isinstance(await storage.store.commit(second), Conflict)
    assert await names(storage) == ["li_1"]
    assert await names(storage, closed=True) == []
