"""What a commit promises, on every store: all of it or nothing, once, and only on the version it was decided on."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from datetime import datetime, timedelta

import pytest
from contract.storage.builders import (
    DANA,
    DEFINITION,
    NOW,
    a_commit,
    a_deadline,
    a_record,
    a_request,
    a_result,
    an_effect,
    an_instance,
    closed,
    next_of,
)
from contract.storage.implementations import Storage

from loops.approvals import Decision
from loops.commit import Commit
from loops.events import Event
from loops.instance import LoopInstance
from loops.ledger import Broken, Verified, verify
from loops.ports import Conflict, Repeated, StaleClaim, Stored

LEASE = timedelta(minutes=1)


async def started(storage: Storage, **fields: object) -> Commit:
    """Store and return the first commit of an instance."""
    commit = a_commit(an_instance(**fields))
    assert await storage.store.commit(commit) == Stored()
    return commit


async def test_what_was_committed_is_loaded_again(storage: Storage) -> None:
    """An instance is found by its id and by its business object, with the definition it was started from."""
    commit = await started(storage)

    loaded = await storage.store.load("acme", "li_1")

    assert loaded is not None
    assert loaded.instance == commit.instance
    assert loaded.definition == DEFINITION
    assert loaded.definition.digest == DEFINITION.digest
    assert loaded.request is None
    assert await storage.store.load_aggregate("acme", "CHG-1") == loaded


async def test_what_is_not_there_is_none(storage: Storage) -> None:
    """Unknown ids, and another tenant's, are answered with None, whatever characters they hold."""
    await started(storage)

    for tenant, name in [
        ("acme", "li_2"),
        ("other", "li_1"),
        ("other", "CHG-1"),
        ("", ""),
        ("a:b", "\ud800"),
        ("*", "*"),
    ]:
        assert await storage.store.load(tenant, name) is None
        assert await storage.store.load_aggregate(tenant, name) is None
        assert await storage.store.load_request(tenant, name) is None
        assert await storage.store.events(tenant, name) == []
    assert await storage.store.instances("other") == ([], None)


async def test_names_cannot_run_into_each_other(storage: Storage) -> None:
    """Tenant `a:b` with id `c` is not tenant `a` with id `b:c`, for instances and for everything keyed like them."""
    first = await started(storage, tenant="a:b", instance_id="c", aggregate_id="d")
    assert await storage.store.load("a", "b:c") is None
    second = await started(storage, tenant="a", instance_id="b:c", aggregate_id="b:d")

    for commit in (first, second):
        instance = commit.instance
        found = await storage.store.load(instance.tenant, instance.instance_id)
        assert found is not None
        assert found.instance == instance
        assert await storage.store.events(instance.tenant, instance.instance_id) == list(commit.events)
        assert (await storage.store.instances(instance.tenant))[0] == [instance]


async def test_sixteen_racing_commits_give_exactly_one(storage: Storage) -> None:
    """Any number of decisions on one version of an instance gives one commit; the others are told they lost."""
    first = await started(storage)
    rivals = [
        a_commit(
            next_of(first, evidence={"rival": number}),
            data={"rival": number},
            effects=(an_effect(first.instance, f"ef_{number}"),),
        )
        for number in range(16)
    ]

    answers = await asyncio.gather(*map(storage.store.commit, rivals))

    assert sorted(map(type, answers), key=lambda kind: kind.__name__) == [Conflict] * 15 + [Stored]
    winner = rivals[answers.index(Stored())]
    loaded = await storage.store.load("acme", "li_1")
    assert loaded is not None
    assert loaded.instance == winner.instance
    assert await storage.store.events("acme", "li_1") == [*first.events, *winner.events]
    assert [record.effect for record in await storage.effects.effects_of("acme", "li_1")] == list(winner.effects)


async def test_sixteen_racing_starts_on_one_business_object_give_one(storage: Storage) -> None:
    """A business object has at most one active instance, however many are started at once."""
    rivals = [a_commit(an_instance(instance_id=f"li_{number}")) for number in range(16)]

    answers = await asyncio.gather(*map(storage.store.commit, rivals))

    assert answers.count(Stored()) == 1
    assert answers.count(Conflict()) == 15
    assert (await storage.store.instances("acme"))[0] == [rivals[answers.index(Stored())].instance]


async def test_one_key_used_at_once_is_answered_alike(storage: Storage) -> None:
    """Identical requests under one idempotency key, all at once, commit once and all get that one answer."""
    record = a_record(an_instance())
    starts = [a_commit(an_instance(instance_id=f"li_{number}"), idempotency=record) for number in range(8)]

    answers = await asyncio.gather(*map(storage.store.commit, starts))

    assert answers.count(Stored()) == 1
    assert answers.count(Repeated(record.answer)) == 7


async def test_a_start_waits_for_the_active_instance_to_close(storage: Storage) -> None:
    """A second start on a business object conflicts while the first is active and succeeds once it is closed."""
    first = await started(storage)
    again = a_commit(an_instance(instance_id="li_2"))

    assert await storage.store.commit(again) == Conflict()
    assert await storage.store.commit(a_commit(closed(first))) == Stored()
    assert await storage.store.commit(again) == Stored()

    loaded = await storage.store.load_aggregate("acme", "CHG-1")
    assert loaded is not None
    assert loaded.instance.instance_id == "li_2"
    earlier = await storage.store.load("acme", "li_1")
    assert earlier is not None
    assert earlier.instance.status == "completed"


async def test_an_instance_is_started_once(storage: Storage) -> None:
    """A first version under an id that is taken conflicts, even after that instance is closed."""
    first = await started(storage)
    assert await storage.store.commit(a_commit(closed(first))) == Stored()

    assert await storage.store.commit(a_commit(an_instance(aggregate_id="CHG-9"))) == Conflict()


@pytest.mark.parametrize("version", [0, 1, 3, 4])
async def test_only_the_next_version_is_taken(storage: Storage, version: int) -> None:
    """A commit whose version does not follow the stored one conflicts: the past and the future alike."""
    first = await started(storage)

    assert await storage.store.commit(a_commit(next_of(first, version=version))) == Conflict()


async def test_a_later_version_of_nothing_conflicts(storage: Storage) -> None:
    """A second version of an instance that does not exist is not created."""
    assert await storage.store.commit(a_commit(an_instance(version=2))) == Conflict()
    assert await storage.store.load("acme", "li_1") is None


async def test_a_repeated_key_gets_the_first_answer(storage: Storage) -> None:
    """The same key and body is answered as the first time, before anybody looks at versions."""
    first = await started(storage)
    moved = next_of(first)
    record = a_record(moved)
    assert await storage.store.commit(a_commit(moved, idempotency=record)) == Stored()
    different_answer = a_record(next_of(first, evidence={"later": True}))

    assert await storage.store.commit(a_commit(moved, idempotency=record)) == Repeated(record.answer)
    assert await storage.store.commit(a_commit(moved, idempotency=different_answer)) == Repeated(record.answer)


async def test_a_key_reused_with_another_body_has_no_answer(storage: Storage) -> None:
    """The same key with another body is told so, and learns nothing of the first answer."""
    first = await started(storage)
    moved = next_of(first)
    assert await storage.store.commit(a_commit(moved, idempotency=a_record(moved))) == Stored()

    reused = a_commit(next_of(first, version=3), idempotency=a_record(moved, body="sha256:another"))

    assert await storage.store.commit(reused) == Repeated(None)


async def test_keys_are_the_tenants_own(storage: Storage) -> None:
    """Two tenants may use one idempotency key; neither sees the other's answer."""
    for tenant in ("acme", "other"):
        instance = an_instance(tenant=tenant)
        assert await storage.store.commit(a_commit(instance, idempotency=a_record(instance))) == Stored()


async def test_a_key_of_any_length_works(storage: Storage) -> None:
    """Keys longer than a store wants to keep are still told apart by their last character."""
    for number, key in enumerate(["k" * 10_000 + "1", "k" * 10_000 + "2"]):
        instance = an_instance(instance_id=f"li_{number}", aggregate_id=f"CHG-{number}")
        commit = a_commit(instance, idempotency=a_record(instance, key=key))
        assert await storage.store.commit(commit) == Stored()
        assert await storage.store.commit(commit) == Repeated(commit.idempotency.answer if commit.idempotency else None)


def full(instance_of: Commit, **fields: object) -> Commit:
    """Return a commit that brings something of everything."""
    instance = next_of(instance_of, state="PENDING_HUMAN_APPROVAL", request_id="ar_9")
    return a_commit(
        instance,
        requests=(a_request(instance, "ar_9"),),
        effects=(an_effect(instance, "ef_9"),),
        deadlines=(a_deadline(instance, "ar_9:expire"),),
        cleared_deadlines=("ar_1:expire",),
        **fields,
    )._replace(definition=DEFINITION.changed(version="9.9.9"))


REFUSED: dict[str, tuple[Callable[[Commit], Commit], object]] = {
    "conflict": (lambda first: full(first)._replace(instance=next_of(first, version=7)), Conflict()),
    "taken": (lambda first: full(first)._replace(instance=first.instance), Conflict()),
    "other body": (lambda first: full(first, idempotency=a_record(first.instance, body="sha256:2")), Repeated(None)),
    "repeated": (
        lambda first: full(first, idempotency=a_record(first.instance)),
        Repeated(a_record(a_commit(an_instance()).instance).answer),
    ),
    "old fence": (
        lambda first: full(first, settled=a_result(1), idempotency=a_record(first.instance, "k_9")),
        StaleClaim(),
    ),
    "future fence": (lambda first: full(first, settled=a_result(3)), StaleClaim()),
    "unknown effect": (lambda first: full(first, settled=a_result(2, effect_id="ef_404")), StaleClaim()),
    "fenced conflict": (
        lambda first: full(first, settled=a_result(2))._replace(instance=next_of(first, version=7)),
        Conflict(),
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
async def test_a_refused_commit_writes_nothing_at_all(storage: Storage, reason: str) -> None:
    """After a conflict, a repeat or a stale claim the store is byte for byte what it was."""
    instance = an_instance()
    first = a_commit(instance, effects=(an_effect(instance),), deadlines=(a_deadline(instance),))
    first = first._replace(idempotency=a_record(first.instance))
    assert await storage.store.commit(first) == Stored()
    claim = await storage.effects.claim("ef_1", lease=timedelta(0))
    assert claim is not None
    assert await storage.effects.claim("ef_1", lease=LEASE) is not None
    build, expected = REFUSED[reason]
    before = await storage.dump()

    answer = await storage.store.commit(build(first))

    assert answer == expected
    assert await storage.dump() == before
    loaded = await storage.store.load("acme", "li_1")
    assert loaded is not None
    assert loaded.instance == first.instance
    assert await storage.store.load_request("acme", "ar_9") is None
    assert await storage.store.events("acme", "li_1") == list(first.events)
    assert await storage.effects.effect("ef_9") is None
    assert [entry.effect_id for entry in storage.outbox()] == ["ef_1"]
    assert [deadline.deadline_id for deadline in await storage.deadlines.due(NOW)] == ["ar_1:expire"]


async def test_the_same_commit_that_was_refused_elsewhere_writes_everything(storage: Storage) -> None:
    """The full commit those refusals are made of does write each of its parts when nothing stands in its way."""
    instance = an_instance()
    first = a_commit(instance, effects=(an_effect(instance),), deadlines=(a_deadline(instance),))
    assert await storage.store.commit(first) == Stored()
    commit = full(first)

    assert await storage.store.commit(commit) == Stored()

    loaded = await storage.store.load_request("acme", "ar_9")
    assert loaded is not None
    assert (loaded.instance, loaded.request) == (commit.instance, commit.requests[0])
    assert [entry.effect_id for entry in storage.outbox()] == ["ef_1", "ef_9"]
    assert [deadline.deadline_id for deadline in await storage.deadlines.due(NOW)] == ["ar_9:expire"]


async def test_one_commit_may_close_a_request_and_open_another(storage: Storage) -> None:
    """Each request is found by its own id as it stands; loading the instance brings the one it names as latest."""
    first = await started(storage)
    asking = next_of(first, state="PENDING_HUMAN_APPROVAL", request_id="ar_1")
    second = a_commit(asking, requests=(a_request(asking),))
    assert await storage.store.commit(second) == Stored()
    decision = Decision(
        decision_id="d_1", kind="approve", transition_id="approve", by=DANA, at=NOW, channel={"ts": None}
    )
    over = a_request(asking, status="approved", decisions=(decision,), closed_by=decision, closed_at=NOW)
    asking_again = next_of(second, request_id="ar_2")
    third = a_commit(asking_again, requests=(over, a_request(asking_again, "ar_2")))
    assert await storage.store.commit(third) == Stored()

    earlier = await storage.store.load_request("acme", "ar_1")
    latest = await storage.store.load("acme", "li_1")

    assert earlier is not None
    assert latest is not None
    assert earlier.request == over
    assert earlier.instance == latest.instance == third.instance
    assert latest.request == third.requests[1]
    assert latest.request.proposal.digest == latest.request.digest


#: Bodies whose digests would change if a store were careless with them.
AWKWARD = {
    "null": None,
    "nested null": {"a": {"b": None}, "list": [None, {"c": None}]},
    "numbers": [0, -0.0, 1.0, 1e21, 1e-7, 5e-324, 2**53 - 1, 0.1 + 0.2],
    "text": 'é\u2028\u0000\U0001f600 "quoted" \\ </script>',
    "empty": [{}, [], ""],
    "keys": {"": 1, "snake_case": 2, "camelCase": 3, "ключ": 4},
    "truth": [True, False],
}


async def test_a_ledger_read_back_still_verifies(storage: Storage) -> None:
    """Events come back as they were sealed, so the hash chain holds up to the instance's head; an edit breaks it."""
    commit = a_commit(an_instance(), data=AWKWARD)
    assert await storage.store.commit(commit) == Stored()
    for number in range(5):
        commit = a_commit(next_of(commit), data={"number": number, **AWKWARD})
        assert await storage.store.commit(commit) == Stored()

    events = await storage.store.events("acme", "li_1")
    loaded = await storage.store.load("acme", "li_1")

    assert loaded is not None
    assert verify(events, loaded.instance.head) == Verified(head=commit.instance.head)
    assert events[0].data == AWKWARD
    forged: list[Event] = [*events[:2], events[2].changed(data={"number": 99}), *events[3:]]
    assert isinstance(verify(forged), Broken)


async def test_a_ledger_is_read_in_pieces(storage: Storage) -> None:
    """`after` and `limit` give any stretch of the ledger, in order, and nothing beyond its end."""
    commit = await started(storage)
    for _ in range(4):
        commit = a_commit(next_of(commit))
        await storage.store.commit(commit)

    async def sequences(**stretch: int) -> list[int]:
        return [event.sequence for event in await storage.store.events("acme", "li_1", **stretch)]

    assert await sequences() == [1, 2, 3, 4, 5]
    assert await sequences(after=2) == [3, 4, 5]
    assert await sequences(after=1, limit=2) == [2, 3]
    assert await sequences(after=5) == []
    assert await sequences(after=-3, limit=1) == [1]
    assert await sequences(limit=0) == []
    assert await sequences(limit=-1) == []


async def test_a_commit_may_bring_many_events(storage: Storage) -> None:
    """More events than a script's stack holds arguments are one commit all the same."""
    commit = a_commit(an_instance())
    assert await storage.store.commit(commit._replace(sealed=commit.sealed * 9_000)) == Stored()

    assert len(await storage.store.events("acme", "li_1", limit=10_000)) == 9_000


async def test_what_the_caller_changes_later_does_not_reach_the_store(storage: Storage) -> None:
    """
    A dict the caller still holds, and one the store handed out, are not the store's own.

    A store may refuse a change of what it handed out; it may not let one through.
    """
    data = {"service": "ingress", "hosts": [{"name": "a"}], "pair": (1, 2)}
    first = a_commit(an_instance(data=data, request_id="ar_1"))
    request = a_request(first.instance)
    assert await storage.store.commit(first._replace(requests=(request,))) == Stored()
    data["hosts"][0]["name"] = "b"  # type: ignore[index]
    first.instance.data["service"] = "b"  # type: ignore[index]
    request.proposal.parameters["service"] = "b"
    loaded = await storage.store.load_aggregate(first.instance.tenant, first.instance.aggregate_id)
    assert loaded is not None
    assert loaded.request is not None
    with suppress(TypeError):
        loaded.instance.data["hosts"].append("b")
    with suppress(TypeError):
        loaded.instance.data["hosts"][0].update(name="b")
    with suppress(TypeError):
        loaded.request.proposal.parameters["service"] = "b"

    again = await storage.store.load(first.instance.tenant, first.instance.instance_id)
    assert again is not None
    assert again.request is not None
    assert again.instance.data == {"service": "ingress", "hosts": [{"name": "a"}], "pair": [1, 2]}
    assert again.request.proposal.parameters["service"] == "ingress"
    assert LoopInstance.model_validate_json(again.instance.model_dump_json(exclude_none=True)) == again.instance
    assert json.loads(json.dumps(again.instance.data)) == deepcopy(again.instance.data) == again.instance.data


async def test_deadlines_that_somebody_holds_are_given_to_nobody_else_until_then(storage: Storage) -> None:
    """Two take turns and never the same one; whoever dies over some only delays them; setting one anew ends that."""
    instance = an_instance()
    all_due = [a_deadline(instance, f"d_{number}", due_at=NOW) for number in range(5)]
    first = a_commit(instance, deadlines=tuple(all_due))
    await storage.store.commit(first)
    held_until = NOW + timedelta(seconds=3)

    async def taken(at: datetime, limit: int = 9, held_until: datetime | None = held_until) -> list[str]:
        found = await storage.deadlines.due(at, limit=limit, held_until=held_until)
        return [deadline.deadline_id for deadline in found]

    assert [await taken(NOW, 2), await taken(NOW, 2), await taken(NOW)] == [["d_0", "d_1"], ["d_2", "d_3"], ["d_4"]]
    assert await taken(NOW) == []
    anew = a_deadline(instance, "d_1", due_at=NOW + timedelta(seconds=1))
    await storage.store.commit(a_commit(next_of(first), cleared_deadlines=("d_0",), deadlines=(anew,)))
    assert await taken(NOW + timedelta(seconds=2), held_until=None) == ["d_1"]
    assert await taken(held_until, held_until=None) == ["d_1", "d_2", "d_3", "d_4"]


async def test_a_deadline_left_to_rest_is_due_later_unless_it_was_set_anew(storage: Storage) -> None:
    """Who holds one may let it rest; not one that a commit has moved or cleared meanwhile."""
    instance = an_instance()
    first = a_commit(instance, deadlines=tuple(a_deadline(instance, f"d_{number}", due_at=NOW) for number in range(3)))
    await storage.store.commit(first)
    held_until, until = NOW + timedelta(seconds=3), NOW + timedelta(minutes=1)
    held = await storage.deadlines.due(NOW, held_until=held_until)
    anew = a_deadline(instance, "d_1", due_at=NOW + timedelta(seconds=5))
    await storage.store.commit(a_commit(next_of(first), cleared_deadlines=("d_2",), deadlines=(anew,)))
    for deadline in held:
        await storage.deadlines.let_rest(deadline, held_until=held_until, until=until)

    assert await storage.deadlines.due(NOW + timedelta(seconds=6)) == [anew]
    assert [each.deadline_id for each in await storage.deadlines.due(until)] == ["d_1", "d_0"]


async def test_deadlines_fall_due_in_order_until_a_commit_clears_them(storage: Storage) -> None:
    """Due deadlines come earliest first, stay until cleared, and one written again under its id moves."""
    instance = an_instance()
    hours = [a_deadline(instance, f"d_{hour}", due_at=NOW + timedelta(hours=hour)) for hour in (3, 1, 2)]
    first = a_commit(instance, deadlines=tuple(hours))
    await storage.store.commit(first)

    async def due(hour: float, **limit: int) -> list[str]:
        found = await storage.deadlines.due(NOW + timedelta(hours=hour), **limit)
        return [deadline.deadline_id for deadline in found]

    assert await due(0.9) == []
    assert await due(1) == ["d_1"]
    assert await due(9) == ["d_1", "d_2", "d_3"]
    assert await due(9, limit=2) == ["d_1", "d_2"]
    assert await due(9, limit=0) == []
    assert await storage.deadlines.due(NOW + timedelta(hours=1)) == [hours[1]]

    second = a_commit(
        next_of(first), cleared_deadlines=("d_1", "d_404"), deadlines=(a_deadline(instance, "d_2", due_at=NOW),)
    )
    await storage.store.commit(second)

    assert await due(0) == ["d_2"]
    assert await due(9) == ["d_2", "d_3"]
    assert await due(9, limit=2) == ["d_2", "d_3"]


async def test_a_deadline_is_cleared_only_by_its_tenant(storage: Storage) -> None:
    """Clearing a deadline id does not touch another tenant's deadline of the same id."""
    await storage.store.commit(a_commit(an_instance(), deadlines=(a_deadline(an_instance()),)))

    await storage.store.commit(a_commit(an_instance(tenant="other"), cleared_deadlines=("ar_1:expire",)))

    assert len(await storage.deadlines.due(NOW)) == 1
