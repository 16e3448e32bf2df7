"""What listings of requests promise, on every store: what waits, what a person asked for, what they decided."""

from datetime import timedelta
from typing import Any

import pytest
from contract.storage.builders import DANA, NOW, a_commit, a_request, an_instance, next_of
from contract.storage.implementations import Storage

from gateway.storage.cursors import KEPT_OF_PERSON
from loops.actors import human, service
from loops.approvals import ApprovalRequest, Decision
from loops.commit import Commit
from loops.errors import Rejected


async def ask(storage: Storage, number: int, **fields: Any) -> Commit:
    """Store an instance of its own with the open request ``ar_<number>``."""
    instance = an_instance(
        instance_id=f"li_{number}", aggregate_id=f"CHG-{number}", request_id=f"ar_{number}", **fields
    )
    at = NOW + timedelta(seconds=number)
    commit = a_commit(instance, requests=(a_request(instance, f"ar_{number}", created_at=at),))
    await storage.store.commit(commit)
    return commit


async def change(storage: Storage, commit: Commit, **fields: Any) -> Commit:
    """Change the request of *commit*."""
    changed = a_commit(next_of(commit), requests=(commit.requests[0].changed(**fields),))
    await storage.store.commit(changed)
    return changed


def a_decision(by: Any = DANA, minute: int = 1) -> Decision:
    """Return an approval."""
    at = NOW + timedelta(minutes=minute)
    return Decision(decision_id=f"de_{minute}", kind="approve", transition_id="approve", by=by, at=at)


async def listed(storage: Storage, tenant: str = "acme", **listing: Any) -> list[str]:
    """Return the request ids of one page."""
    found, _ = await storage.store.requests(tenant, **listing)
    return [_request(each.request).request_id for each in found]


def _request(request: ApprovalRequest | None) -> ApprovalRequest:
    assert request is not None
    return request


async def test_open_requests_are_listed_newest_first_until_they_close(storage: Storage) -> None:
    """What waits for people is listed with its instance, and no longer once it is closed."""
    commits = [await ask(storage, number) for number in range(3)]
    await change(storage, commits[1], status="approved", closed_at=NOW)
    found, cursor = await storage.store.requests("acme")

    assert [_request(each.request).request_id for each in found] == ["ar_2", "ar_0"]
    assert [each.instance.instance_id for each in found] == ["li_2", "li_0"]
    assert cursor is None
    assert await listed(storage, "other") == []


@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_pages_of_requests_give_each_once(storage: Storage, limit: int) -> None:
    """Following cursors gives each open request once and ends."""
    for number in range(5):
        await ask(storage, number)
    names: list[str] = []
    cursor = None
    while True:
        found, cursor = await storage.store.requests("acme", cursor=cursor, limit=limit)
        names += [_request(each.request).request_id for each in found]
        if cursor is None:
            break

    assert names == ["ar_4", "ar_3", "ar_2", "ar_1", "ar_0"]


async def test_a_request_is_listed_under_everybody_who_asked(storage: Storage) -> None:
    """Who is behind the service that asked has asked, however the name is cased; closing changes nothing about it."""
    commit = await ask(storage, 1, requester=service("ci", on_behalf_of="Dana"))
    await ask(storage, 2, requester=human("sam", via="slack"))
    await change(storage, commit, status="rejected", closed_at=NOW)

    assert await listed(storage, asked_by="dana") == ["ar_1"]
    assert await listed(storage, asked_by="SAM") == ["ar_2"]
    assert await listed(storage, asked_by="ci") == []
    assert await listed(storage, "other", asked_by="dana") == []


async def test_decisions_are_listed_last_decided_first(storage: Storage) -> None:
    """What somebody answered is listed by when they did, not by when it was asked."""
    first, second = await ask(storage, 1), await ask(storage, 2)
    await change(storage, second, decisions=(a_decision(minute=1),))
    await change(storage, first, decisions=(a_decision(minute=2), a_decision(human("sam", via="slack"), 3)))

    assert await listed(storage, decided_by="dana") == ["ar_1", "ar_2"]
    assert await listed(storage, decided_by="sam") == ["ar_1"]
    page, cursor = await storage.store.requests("acme", decided_by="dana", limit=1)
    assert len(page) == 1
    assert await listed(storage, decided_by="dana", cursor=cursor) == ["ar_2"]


async def test_a_voided_answer_stays_listed(storage: Storage) -> None:
    """Somebody whose answer an edit voided did decide."""
    commit = await ask(storage, 1)
    commit = await change(storage, commit, decisions=(a_decision(),))
    await change(storage, commit, decisions=(), voided=(a_decision(),))

    assert await listed(storage, decided_by="dana") == ["ar_1"]


async def test_a_persons_list_keeps_the_newest(storage: Storage) -> None:
    """A person's lists do not grow for ever."""
    for number in range(KEPT_OF_PERSON + 2):
        await ask(storage, number, requester=human("sam", via="slack"))

    names = await listed(storage, asked_by="sam", limit=500)
    assert (len(names), names[0], names[-1]) == (KEPT_OF_PERSON, f"ar_{KEPT_OF_PERSON + 1}", "ar_2")


async def test_a_forged_cursor_of_requests_is_refused(storage: Storage) -> None:
    """A cursor that no listing gave is refused in words."""
    with pytest.raises(Rejected, match="this cursor is not one the listing gave"):
        await storage.store.requests("acme", cursor="[a")
