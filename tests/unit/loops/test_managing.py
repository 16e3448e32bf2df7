"""What failed is tried again on the record, by those with a part in the loop, while it still means something."""

from typing import Any

import pytest
from builders import TENANT, House, a_change, a_house, a_quiet_change, an_answer, ci, person

from loops.outcomes import Refused
from loops.ports import Loaded


async def failed(*, is_quiet: bool = True) -> tuple[House, Loaded]:
    """Return a house in which an approved roll-out failed, whether or not a signal tells the loop."""
    house = a_house(a_quiet_change() if is_quiet else a_change())
    request = await house.propose(behind="robin")
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    await house.settle(request.instance_id, error="no quota")
    found = await house.store.load(TENANT, request.instance_id)
    assert found is not None
    return house, found


async def retried(house: House, subject: Loaded, by: str | None, key: str = "k") -> Any:
    """Have the roll-out tried again as *by*."""
    run = (await house.effects(subject.instance.instance_id, "integration.run"))[-1]
    record = await house.store.effect(run.effect_id)  # type: ignore[attr-defined]
    who = person(by) if by else None
    return await house.engine.retry(record.effect, record.state, by=who, channel={"slackUserId": "U1"}, key=key)


async def last_event(house: House, subject: Loaded) -> Any:
    """Return the last event of the ledger."""
    return (await house.store.events(TENANT, subject.instance.instance_id))[-1]


async def test_a_failure_nobody_is_told_of_stays_with_the_request() -> None:
    """The request keeps which effect failed and why, and its card is rendered again."""
    house, subject = await failed()
    assert subject.request is not None
    (failure,) = subject.request.failures

    assert (failure.integration, failure.action, failure.error) == ("deployer", "rollout", "no quota")
    assert (subject.instance.state, subject.instance.status) == ("ROLLING_OUT", "active")
    assert len(await house.effects(subject.instance.instance_id, "card.update")) == 2


@pytest.mark.parametrize("by", ["sam", "robin"])
async def test_who_decides_in_the_loop_or_asked_has_it_tried_again(by: str) -> None:
    """The same effect under the same id; the act is on the ledger with its actor, and a success moves the loop."""
    house, subject = await failed()
    outcome = await retried(house, subject, by)
    event = await last_event(house, subject)

    assert outcome.code == "effect_retried"
    assert outcome.request.results == ()
    assert (event.type, event.data["actor"]["id"], event.data["channel"]) == (
        "effect.retried",
        by,
        {"slackUserId": "U1"},
    )
    await house.settle(subject.instance.instance_id)
    done = await house.store.load(TENANT, subject.instance.instance_id)
    assert done is not None
    assert done.instance.state == "COMPLETE"
    assert done.request is not None
    assert [result.succeeded for result in done.request.results] == [True]


@pytest.mark.parametrize(("by", "code"), [("kim", "unauthorized_actor"), (None, "unmapped_identity")])
async def test_nobody_else_does(by: str | None, code: str) -> None:
    """Somebody without a part in the loop, or unknown, is refused on the record and nothing runs."""
    house, subject = await failed()
    outcome = await retried(house, subject, by)
    event = await last_event(house, subject)

    assert isinstance(outcome, Refused)
    assert (outcome.code, event.type, event.data["code"]) == (code, "effect.retry.refused", code)
    assert (await retried(house, subject, "sam", "after")).code == "effect_retried"


async def test_what_the_loop_has_moved_on_from_is_not_tried_again() -> None:
    """Where the failure took the loop elsewhere its result would mean nothing: refused on the record."""
    house, subject = await failed(is_quiet=False)
    outcome = await retried(house, subject, "sam")

    assert isinstance(outcome, Refused)
    assert outcome.code == "stale_result"
    assert (await last_event(house, subject)).type == "effect.retry.refused"


async def test_a_second_click_tries_nothing_twice() -> None:
    """While it is under way nobody has it tried again, and nothing is written, however stale what they saw."""
    house, subject = await failed()
    first = await retried(house, subject, "sam")
    again = await retried(house, subject, "sam")
    other = await retried(house, subject, "dana", "other")
    run = (await house.effects(subject.instance.instance_id, "integration.run"))[-1]
    late = await house.engine.retry(run, "dead", by=person("dana"), channel={}, key="race")

    assert [each.code for each in (again, other, late)] == ["not_failed"] * 3
    assert [kind for kind in await house.event_types(subject.instance.instance_id) if "retr" in kind] == [
        "effect.retried"
    ]
    assert first.instance.version == (await house.store.load(TENANT, subject.instance.instance_id)).instance.version  # type: ignore[union-attr]


@pytest.mark.parametrize("ended", ["cancel", "suspend"])
async def test_nothing_is_tried_again_in_a_loop_that_ended_or_rests(ended: str) -> None:
    """A cancelled or suspended loop runs nothing more: who asks is told that of the loop, on the record."""
    house, subject = await failed()
    await getattr(house.engine, ended)(tenant=TENANT, aggregate_id="CHG-7", actor=ci(), reason="freeze")
    outcome = await retried(house, subject, "sam")

    assert isinstance(outcome, Refused)
    assert (outcome.code, f"the loop is {ended}" in outcome.message) == ("stale_result", True)
    assert (await last_event(house, subject)).type == "effect.retry.refused"
