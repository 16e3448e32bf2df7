"""Attacks through idempotency keys and ids: one caller's key is no other's, and odd ids find what they name."""

import pytest
from builders import DATA, TENANT, a_house, an_answer, ci

from loops.outcomes import Executed, Refused


@pytest.mark.parametrize("prefix", ["", f"{TENANT}:", "answer:", f"answer:{TENANT}:", "call:"])
async def test_nobody_can_use_up_the_key_of_a_click(prefix: str) -> None:
    """A caller who guesses a click's key and starts something under it does not keep the click from counting."""
    house = a_house()
    request = await house.propose()
    click = an_answer(request, "approve", "dana")
    await house.engine.start(
        tenant=TENANT,
        loop_id="test.change",
        aggregate_id="OTHER",
        data=DATA,
        actor=ci(),
        idempotency_key=prefix + click.key,
    )
    outcome = await house.engine.answer(click, tenant=TENANT)

    assert isinstance(outcome, Executed)
    assert not outcome.repeated


async def test_one_key_is_good_for_one_body() -> None:
    """Under a used key, another operation, aggregate, actor or evidence is refused and writes nothing."""
    house = a_house()
    start = {"tenant": TENANT, "loop_id": "test.change", "aggregate_id": "K-1", "data": DATA, "actor": ci()}
    first = await house.engine.start(**start, idempotency_key="k")
    assert first.instance is not None
    others = [
        await house.engine.start(**{**start, "aggregate_id": "K-2"}, idempotency_key="k"),
        await house.engine.start(**{**start, "actor": ci("dana")}, idempotency_key="k"),
        await house.engine.start(**{**start, "data": {**DATA, "replicas": 13}}, idempotency_key="k"),
        await house.engine.cancel(tenant=TENANT, aggregate_id="K-1", actor=ci(), idempotency_key="k"),
        await house.engine.signal(
            tenant=TENANT, aggregate_id="K-1", signal="x", actor=ci(), evidence={}, idempotency_key="k"
        ),
    ]

    assert {outcome.code for outcome in others if isinstance(outcome, Refused)} == {"idempotency_key_reused"}
    assert len([outcome for outcome in others if isinstance(outcome, Refused)]) == len(others)
    assert await house.event_types(first.instance.instance_id) == ["loop.started"]
    assert await house.store.load_aggregate(TENANT, "K-2") is None


async def test_a_key_of_one_tenant_is_free_in_another() -> None:
    """Tenants do not see each other's keys, not even that they are used."""
    house = a_house()
    outcomes = [
        await house.engine.start(
            tenant=tenant,
            loop_id="test.change",
            aggregate_id="K-1",
            data=DATA,
            actor=ci(),
            idempotency_key="k",
        )
        for tenant in ("one", "two")
    ]

    assert [(outcome.outcome, outcome.repeated) for outcome in outcomes] == [("executed", False)] * 2


async def test_a_repeated_refusal_is_the_first_refusal() -> None:
    """A delivery refused once is refused again in the same words, without another event, though it would fit now."""
    house = a_house()
    asked = {"tenant": TENANT, "aggregate_id": "CHG-7", "transition": "rollout_done", "actor": ci(), "evidence": {}}
    request = await house.propose()
    first = await house.engine.transition(**asked, idempotency_key="k")
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    before = await house.event_types(request.instance_id)
    again = await house.engine.transition(**asked, idempotency_key="k")

    assert isinstance(first, Refused)
    assert isinstance(again, Refused)
    assert (again.code, again.message, again.repeated) == (first.code, first.message, True)
    assert await house.event_types(request.instance_id) == before


async def test_white_space_around_an_id_is_no_other_id() -> None:
    """A start on a padded aggregate id is refused as the second one it is."""
    house = a_house()
    await house.propose("CHG-7")
    outcome = await house.engine.start(
        tenant=TENANT, loop_id="test.change", aggregate_id=" CHG-7\t", data=DATA, actor=ci()
    )

    assert isinstance(outcome, Refused)
    assert outcome.code == "already_active"
