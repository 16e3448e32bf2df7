"""Pinning: an instance is judged by the definition it was started from until it closes, whatever the file becomes."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from builders import ANALYSIS, CHANGE, DATA, TENANT, CountingIds, House, a_change, a_house, an_agent, an_answer, ci

from gateway.storage.connect import connect
from gateway.storage.memory import MemoryStore
from gateway.storage.redis_store import RedisStore
from loops.deadlines import Deadline
from loops.definition import LoopDefinition
from loops.outcomes import Executed, Refused

#: Opens an engine with these files over the data of the test: another process, started later.
Open = Callable[..., House]


@pytest.fixture(params=["memory", "redis"])
async def opened(request: pytest.FixtureRequest) -> AsyncIterator[Open]:
    """Engines over each store in turn, which is empty at first."""
    ids = CountingIds()
    if request.param == "memory":
        memory = MemoryStore()
        yield lambda *definitions: a_house(*definitions, store=memory, ids=ids)
        return
    async with connect(request.getfixturevalue("redis_url")) as client:
        # A store of its own each time: what one process remembers, another must read.
        yield lambda *definitions: a_house(*definitions, store=RedisStore(client), ids=ids)


def changed(version: str = "2.0.0", **changes: Any) -> LoopDefinition:
    """The test loop as somebody edited it: top-level *changes*, and its version."""
    return LoopDefinition.model_validate({**CHANGE, "version": version, **changes})


def without(*transition_ids: str) -> list[dict[str, Any]]:
    """The transitions of the test loop but these."""
    return [each for each in CHANGE["transitions"] if each["id"] not in transition_ids]


#: A loop that has nothing to do with the test loop: for an engine whose files lost it.
OTHER = LoopDefinition.model_validate(
    {"id": "other", "version": "1.0.0", "initialState": "END", "states": [{"id": "END", "isTerminal": True}]}
)


async def start(house: House, aggregate: str) -> Executed | Refused:
    """Start the test loop on *aggregate*."""
    outcome = await house.engine.start(
        tenant=TENANT, loop_id="test.change", aggregate_id=aggregate, data=DATA, actor=ci()
    )
    assert isinstance(outcome, (Executed, Refused))
    return outcome


async def submit(house: House, aggregate: str, **evidence: Any) -> Any:
    """Let the agent submit its analysis."""
    return await house.engine.transition(
        tenant=TENANT,
        aggregate_id=aggregate,
        transition="submit_analysis",
        actor=an_agent(),
        evidence={**ANALYSIS, **evidence},
    )


async def state_of(house: House, aggregate: str) -> str:
    """Where *aggregate* stands."""
    loaded = await house.store.load_aggregate(TENANT, aggregate)
    assert loaded is not None
    return loaded.instance.state


async def test_a_newer_file_changes_nothing_for_a_running_instance(opened: Open) -> None:
    """Its exits and guards stay those it was started with; the next instance gets the new ones."""
    before = opened(a_change())
    await start(before, "OLD")
    stricter = changed(transitions=without("submit_analysis"))
    after = opened(stricter)

    moved = await submit(after, "OLD")
    await start(after, "NEW")
    stuck = await submit(after, "NEW")

    assert isinstance(moved, Executed)
    assert await state_of(after, "OLD") == "PENDING_HUMAN_APPROVAL"
    assert isinstance(stuck, Refused)
    assert stuck.code == "invalid_transition"


async def test_a_loosened_guard_is_not_loosened_for_a_running_instance(opened: Open) -> None:
    """Nobody gets a blocked request through by editing the file."""
    before = opened(a_change())
    await start(before, "OLD")
    loose = [{**each, "guards": []} if each["id"] == "submit_analysis" else each for each in CHANGE["transitions"]]
    after = opened(changed(transitions=loose))

    blocked = await submit(after, "OLD", confidence=0.1)
    await start(after, "NEW")
    passed = await submit(after, "NEW", confidence=0.1)

    assert isinstance(blocked, Refused)
    assert blocked.code == "guard_failed"
    assert isinstance(passed, Executed)


async def test_one_version_with_two_contents_is_two_definitions(opened: Open) -> None:
    """The digest pins, not the version somebody forgot to raise."""
    before = opened(a_change())
    await start(before, "OLD")
    after = opened(changed("1.0.0", transitions=without("submit_analysis")))
    await start(after, "NEW")

    assert isinstance(await submit(after, "OLD"), Executed)
    assert isinstance(await submit(after, "NEW"), Refused)


async def test_an_instance_completes_after_its_file_is_gone(opened: Open) -> None:
    """Its approval is asked, given and carried out by the pinned definition; only a new start is refused."""
    before = opened(a_change())
    await start(before, "OLD")
    after = opened(OTHER)

    submitted = await submit(after, "OLD")
    approved = await after.engine.answer(an_answer(submitted.request, "approve", "dana"), tenant=TENANT)
    done = await after.engine.transition(
        tenant=TENANT, aggregate_id="OLD", transition="rollout_done", actor=ci(), evidence={}
    )
    again = await start(after, "NEW")

    assert isinstance(approved, Executed)
    assert isinstance(done, Executed)
    assert done.instance.status == "completed"
    assert isinstance(again, Refused)
    assert again.code == "unknown_loop"


async def test_who_may_decide_is_pinned(opened: Open) -> None:
    """Naming other approvers in the file lets nobody decide what is already running, asked before or after."""
    before = opened(a_change())
    await start(before, "ASKED")
    asked = await submit(before, "ASKED")
    await start(before, "UNASKED")
    after = opened(a_change(approvers={"groups": ["finance"]}))
    unasked = await submit(after, "UNASKED")

    for request in (asked.request, unasked.request):
        kim = await after.engine.answer(an_answer(request, "approve", "kim"), tenant=TENANT)
        dana = await after.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)

        assert isinstance(kim, Refused)
        assert kim.code == "not_an_approver"
        assert isinstance(dana, Executed)


async def test_what_silence_does_is_pinned(opened: Open) -> None:
    """A request expires when and as the definition it was asked under says."""
    before = opened(a_change())
    await start(before, "OLD")
    submitted = await submit(before, "OLD")
    after = opened(changed(transitions=without("expire")))
    after.clock.move(timedelta(hours=4))
    request = submitted.request
    due = Deadline(
        deadline_id=f"{request.request_id}:next",
        kind="expire",
        tenant=TENANT,
        instance_id=request.instance_id,
        request_id=request.request_id,
        due_at=request.expires_at,
    )

    outcome = await after.engine.fall_due(due)

    assert isinstance(outcome, Executed)
    assert outcome.instance.status == "completed"
    assert await state_of(after, "OLD") == "REJECTED"


async def test_every_event_names_the_definition_it_was_judged_by(opened: Open) -> None:
    """Version and digest on the ledger are the pinned ones, before and after the file changed."""
    before = opened(a_change())
    started = await start(before, "OLD")
    after = opened(changed("2.0.0", name="Renamed"))
    await submit(after, "OLD")
    assert started.instance is not None

    events = await after.store.events(TENANT, started.instance.instance_id)

    assert len(events) > 3
    assert {(event.definition_version, event.definition_digest) for event in events} == {("1.0.0", a_change().digest)}


async def test_many_instances_share_one_pinned_definition(opened: Open) -> None:
    """What is stored under a digest is that definition, whoever reads it."""
    house = opened(a_change())
    for number in range(3):
        await start(house, f"A-{number}")
    reader = opened(OTHER).store

    for number in range(3):
        loaded = await reader.load_aggregate(TENANT, f"A-{number}")
        assert loaded is not None
        assert loaded.definition == a_change()
        assert loaded.definition.digest == loaded.instance.definition_digest
