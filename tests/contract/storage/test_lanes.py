"""What lanes promise, on every store: so many at once, let be after failures in a row, one that finds out."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from contract.storage.builders import a_commit, an_effect, an_instance, next_of
from contract.storage.implementations import Storage, eventually

from gateway.jobs.ports import Claim, LaneRules, Passage

LONG = timedelta(minutes=1)
SHORT = timedelta(milliseconds=60)
RULES = LaneRules(at_once=2, failures=3, pause=LONG)
NAMES = [f"ef_{number}" for number in range(5)]


@pytest.fixture
async def claims(storage: Storage) -> list[Claim]:
    """Five effects, each claimed by a worker, nothing in the outbox."""
    instance = an_instance()
    await storage.store.commit(a_commit(instance, effects=tuple(an_effect(instance, name) for name in NAMES)))
    storage.take_outbox()
    claims = [await storage.effects.claim(name, lease=LONG) for name in NAMES]
    return [claim for claim in claims if claim]


async def entered(storage: Storage, claim: Claim, rules: LaneRules = RULES, lease: timedelta = LONG) -> bool:
    """Try to enter the one lane of these tests."""
    return await storage.lanes.enter("erp: 1", claim, rules, lease=lease)


async def passed(storage: Storage, claim: Claim, passage: Passage, rules: LaneRules = RULES) -> None:
    """Go through the lane."""
    assert await entered(storage, claim, rules)
    await storage.lanes.leave("erp: 1", claim.effect.effect_id, rules, passage)


async def opened(storage: Storage, claim: Claim, pause: timedelta = LONG) -> LaneRules:
    """Fail until the circuit opens; return the rules it opened by."""
    rules = LaneRules(at_once=2, failures=3, pause=pause)
    for _ in range(rules.failures):
        await passed(storage, claim, "failed", rules)
    return rules


async def test_no_more_go_through_at_once_than_may(storage: Storage, claims: list[Claim]) -> None:
    """Of racing effects as many enter as the lane takes; the others wait as pending, and it counts as no attempt."""
    inside = await asyncio.gather(*(entered(storage, claim) for claim in claims))
    [standing] = await storage.lanes.standing(["erp: 1"])
    waits = [await storage.effects.effect(name) for name, is_in in zip(NAMES, inside, strict=True) if not is_in]

    assert inside.count(True) == 2
    assert (standing.circuit, standing.inside, standing.waiting) == ("closed", 2, 3)
    assert {(wait.state, wait.attempts, wait.why) for wait in waits if wait} == {
        ("pending", 0, "erp: 1 has 2 effects under way, as many as it may")
    }


async def test_what_went_through_a_lane_may_have_acted_and_is_not_cancelled_unseen(storage: Storage) -> None:
    """Cancelled by a commit: what never entered. What did and waits to be tried again says so to its next claim."""
    instance = an_instance()
    first = a_commit(instance, effects=tuple(an_effect(instance, f"ef_{name}") for name in ("tried", "new", "dead")))
    await storage.store.commit(first)
    for name in ("ef_tried", "ef_dead"):
        claim = await storage.effects.claim(name, lease=LONG)
        assert claim is not None
        await passed(storage, claim, "failed")
        if name == "ef_tried":
            await storage.effects.retry(name, claim.fence, after=timedelta(0), error="lost")
        else:
            await storage.effects.bury(name, claim.fence, error="lost")
    await storage.store.commit(a_commit(next_of(first), cancelled_kinds=("integration.run",)))
    records = [await storage.effects.effect(f"ef_{name}") for name in ("tried", "new", "dead")]
    again = await storage.effects.claim("ef_tried", lease=LONG)

    assert [record and record.state for record in records] == ["failed", "cancelled", "cancelled"]
    assert again is not None
    assert again.may_have_acted


async def test_who_waited_longest_is_called_when_there_is_room(storage: Storage, claims: list[Claim]) -> None:
    """Each that leaves calls one, in the order they came, before the wait is over."""
    for claim in claims:
        await entered(storage, claim)
    await storage.lanes.leave("erp: 1", "ef_1", RULES, "answered")
    first = [entry.effect_id for entry in storage.take_outbox()]
    again = await storage.effects.claim("ef_2", lease=LONG)
    assert again is not None
    is_in = await entered(storage, again)
    await storage.lanes.leave("erp: 1", "ef_0", RULES, "answered")

    assert first == ["ef_2"]
    assert (again.attempt, is_in) == (1, True)
    assert [entry.effect_id for entry in storage.take_outbox()] == ["ef_3"]


async def test_whoever_is_gone_is_passed_over(storage: Storage, claims: list[Claim]) -> None:
    """An effect that was claimed anew while it waited does not use up a call: the next one is called too."""
    one_at_once = LaneRules(at_once=1, failures=3, pause=LONG)
    for claim in claims[:3]:
        await entered(storage, claim, one_at_once)
    await storage.lanes.leave("erp: 1", "ef_0", one_at_once, "answered")
    called = await storage.effects.claim("ef_1", lease=LONG)
    await storage.lanes.leave("erp: 1", "ef_0", one_at_once, "untried")

    assert called is not None
    assert [entry.effect_id for entry in storage.take_outbox()] == ["ef_1", "ef_2"]


async def test_a_place_is_lost_with_its_lease(storage: Storage, claims: list[Claim]) -> None:
    """A worker that died in the lane takes no place for longer than its lease; one that stays keeps it."""

    async def one_stayed_in_time() -> bool:
        assert await entered(storage, claims[1], lease=SHORT)
        await storage.lanes.stay("erp: 1", "ef_1", lease=LONG)
        [standing] = await storage.lanes.standing(["erp: 1"])
        return standing.inside == 1

    await eventually(one_stayed_in_time)
    await storage.lanes.stay("erp: 1", "ef_4", lease=LONG)  # who is not in it is not let in by that
    assert await entered(storage, claims[0], lease=SHORT)

    async def one_is_gone() -> bool:
        [standing] = await storage.lanes.standing(["erp: 1"])
        return standing.inside == 1

    await eventually(one_is_gone)

    assert await entered(storage, claims[2])
    assert not await entered(storage, claims[3])


async def test_the_same_effect_takes_one_place(storage: Storage, claims: list[Claim]) -> None:
    """Claimed again after its worker died, an effect goes where it was; two of it are not two."""
    assert await entered(storage, claims[0])
    assert await entered(storage, claims[0])
    assert await entered(storage, claims[1])
    [standing] = await storage.lanes.standing(["erp: 1"])

    assert standing.inside == 2


async def test_a_stale_claim_does_not_enter(storage: Storage, claims: list[Claim]) -> None:
    """A worker that was overtaken must not act: it is not let in, and puts nothing off."""
    await storage.effects.retry("ef_0", claims[0].fence, after=timedelta(0), error="x")
    before = await storage.effects.effect("ef_0")

    assert not await entered(storage, claims[0])
    assert await storage.effects.effect("ef_0") == before


async def test_a_claim_that_nobody_took_over_enters_though_its_lease_is_over(storage: Storage) -> None:
    """The fence decides, not the clock, as for results; and to enter a lane does not extend the claim."""
    instance = an_instance()
    await storage.store.commit(a_commit(instance, effects=(an_effect(instance),)))
    late = await storage.effects.claim("ef_1", lease=timedelta(0))
    assert late is not None
    is_in = await entered(storage, late)
    other = await storage.effects.claim("ef_1", lease=LONG)

    assert is_in
    assert other is not None
    assert not await entered(storage, late)


async def test_failures_in_a_row_open_the_circuit(storage: Storage, claims: list[Claim]) -> None:
    """After as many failures as the rules say nothing goes through; an answer between them begins the count anew."""
    await passed(storage, claims[0], "failed")
    await passed(storage, claims[0], "failed")
    await passed(storage, claims[0], "answered")
    await passed(storage, claims[0], "failed")
    await passed(storage, claims[0], "untried")
    [before] = await storage.lanes.standing(["erp: 1"])
    await passed(storage, claims[0], "failed")
    await passed(storage, claims[0], "failed")
    is_in = await entered(storage, claims[1])
    [after] = await storage.lanes.standing(["erp: 1"])
    record = await storage.effects.effect("ef_1")

    assert (before.circuit, before.failures, before.open_until) == ("closed", 1, None)
    assert (after.circuit, is_in) == ("open", False)
    assert record is not None
    assert (record.state, record.attempts) == ("pending", 0)
    assert record.why == "erp: 1 failed too often in a row and is let be for a while"
    assert record.next_at is not None
    assert after.open_until is not None
    assert record.next_at >= after.open_until


async def test_after_the_pause_one_finds_out(storage: Storage, claims: list[Claim]) -> None:
    """However many come at once, one is let through; when it is answered all are, and those who wait are called."""
    await opened(storage, claims[0], SHORT)

    async def pause_is_over() -> bool:
        [standing] = await storage.lanes.standing(["erp: 1"])
        return standing.open_until is not None and standing.open_until <= datetime.now(UTC)

    await eventually(pause_is_over)
    is_in = await entered(storage, claims[2])
    [probing] = await storage.lanes.standing(["erp: 1"])
    others = [await entered(storage, claim) for claim in (claims[1], *claims[3:])]
    await storage.lanes.leave("erp: 1", "ef_2", RULES, "answered")
    [after] = await storage.lanes.standing(["erp: 1"])

    assert (is_in, probing.circuit, others) == (True, "probing", [False] * 3)
    assert (after.circuit, after.failures) == ("closed", 0)
    assert [entry.effect_id for entry in storage.take_outbox()] == ["ef_1", "ef_3"]


@pytest.mark.parametrize("passage", ["failed", "untried"])
async def test_one_that_does_not_find_out_leaves_the_circuit_open(
    storage: Storage, claims: list[Claim], passage: Passage
) -> None:
    """A probe that fails opens the circuit for another pause; one that was not tried lets the next one find out."""
    await opened(storage, claims[0], timedelta(0))
    assert await entered(storage, claims[1])
    await storage.lanes.leave("erp: 1", "ef_1", RULES, passage)
    [standing] = await storage.lanes.standing(["erp: 1"])

    assert standing.circuit == "open"
    assert await entered(storage, claims[2]) is (passage == "untried")


async def test_a_probe_that_died_is_followed_by_another(storage: Storage, claims: list[Claim]) -> None:
    """When its lease is over, the next one finds out: a circuit does not stay open for ever."""
    await opened(storage, claims[0], timedelta(0))
    assert await entered(storage, claims[1])
    assert not await entered(storage, claims[2])
    await storage.lanes.stay("erp: 1", "ef_1", lease=SHORT)

    async def probe_is_gone() -> bool:
        [standing] = await storage.lanes.standing(["erp: 1"])
        return standing.inside == 0

    await eventually(probe_is_gone)

    assert await entered(storage, claims[3])


async def test_lanes_know_nothing_of_each_other(storage: Storage, claims: list[Claim]) -> None:
    """One system of record that is down holds up no other."""
    await opened(storage, claims[0])

    assert await storage.lanes.enter("erp", claims[1], RULES, lease=LONG)
    assert [each.circuit for each in await storage.lanes.standing(["erp", "erp: 1"])] == ["closed", "open"]
    assert await storage.lanes.standing([]) == []
