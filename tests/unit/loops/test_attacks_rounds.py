"""Attacks through detours: other exits, other actors, earlier rounds, other names. None gets around the approval."""

from datetime import timedelta

import pytest
from builders import CHANGE, DATA, TENANT, a_change, a_house, an_agent, an_answer, ci

from loops.actors import Automation, system
from loops.approvals import HumanAsk
from loops.definition import LoopDefinition
from loops.outcomes import Executed, Recorded, Refused


def with_transition(**approval):
    """Return a function that adds a transition to the test loop."""

    def add(*transitions: dict) -> LoopDefinition:
        base = a_change(**approval).as_json()
        return LoopDefinition.model_validate({**base, "transitions": [*base["transitions"], *transitions]})

    return add


GO_NOW = {"id": "go_now", "from": "PENDING_HUMAN_APPROVAL", "to": "ROLLING_OUT", "actors": ["human"]}
EFFECT = {"integration": "deployer", "action": "rollout", "onSuccess": "rollout_done"}


async def test_another_exit_needs_as_many_people() -> None:
    """With a quorum of two, one person cannot leave by an exit that is not called approve."""
    house = a_house(with_transition(quorum=2)(GO_NOW))
    request = await house.propose()
    one = await house.engine.answer(an_answer(request, "go_now", "dana"), tenant=TENANT)
    split = await house.engine.answer(an_answer(request, "approve", "sam"), tenant=TENANT)
    two = await house.engine.answer(an_answer(request, "go_now", "robin"), tenant=TENANT)

    assert isinstance(one, Recorded)
    assert isinstance(split, Recorded)
    assert isinstance(two, Executed)


async def test_what_no_approval_shows_is_not_offered() -> None:
    """An exit that would run something without having shown it is no answer, whatever the file says."""
    house = a_house(with_transition()({**GO_NOW, "effects": [EFFECT]}))
    request = await house.propose()
    outcome = await house.engine.answer(an_answer(request, "go_now", "dana"), tenant=TENANT)

    assert "go_now" not in [offered.transition_id for offered in request.answers]
    assert outcome.code == "answer_not_offered"


@pytest.mark.parametrize("actor", [ci(), system("sweep")])
@pytest.mark.parametrize("effects", [[], [EFFECT]])
async def test_no_service_takes_what_humans_decide(actor, effects) -> None:
    """A transition that humans may answer, or that runs something, is not taken in their place by anybody listed."""
    exits = {**GO_NOW, "actors": ["automation", "system"] if effects else ["human", "automation", "system"]}
    house = a_house(with_transition()({**exits, "effects": effects}))
    request = await house.propose()
    outcome = await house.engine.signal(
        tenant=TENANT, aggregate_id=request.aggregate_id, signal="go_now", actor=actor, evidence={}
    )

    assert outcome.code == "approval_required"
    assert not await house.effects(request.instance_id, "integration.run")


async def test_silence_runs_nothing() -> None:
    """An onExpiry transition with effects is not taken: the request expires and the loop is cancelled."""
    expiring = {**GO_NOW, "id": "on_silence", "actors": ["system"], "effects": [EFFECT]}
    house = a_house(with_transition(onExpiry="on_silence")(expiring))
    request = await house.propose()
    house.clock.move(timedelta(hours=5))
    [deadline] = await house.store.due(house.clock.now())
    outcome = await house.engine.fall_due(deadline)

    assert outcome.instance.status == "cancelled"
    assert not await house.effects(request.instance_id, "integration.run")


async def test_a_result_of_an_earlier_round_moves_nothing_in_a_later_one() -> None:
    """Approved, stopped, approved again: what the first run reports late is kept, and the second is still awaited."""
    back = {"id": "stop", "from": "ROLLING_OUT", "to": "ANALYZING", "actors": ["automation"]}
    house = a_house(with_transition()(back))
    first = await house.propose()
    await house.engine.answer(an_answer(first, "approve", "dana"), tenant=TENANT)
    [run] = await house.effects(first.instance_id, "integration.run")
    claim = await house.store.claim(run.effect_id, lease=timedelta(seconds=5))
    subject = {"tenant": TENANT, "aggregate_id": first.aggregate_id}
    await house.engine.signal(**subject, signal="stop", actor=ci(), evidence={})
    evidence = {"confidence": 0.9, "blast_radius_score": 0.1}
    again = await house.engine.transition(**subject, transition="submit_analysis", actor=an_agent(), evidence=evidence)
    await house.engine.answer(an_answer(again.request, "approve", "dana"), tenant=TENANT)
    late = await house.engine.settle(run, claim.fence, succeeded=True, detail={})

    assert isinstance(late, Refused)
    assert (late.code, late.instance.state) == ("stale_result", "ROLLING_OUT")
    assert "effect.succeeded" in await house.event_types(first.instance_id)


async def test_no_detour_hides_who_had_a_hand_in_it() -> None:
    """A service acting for dana moves the loop, then an agent submits: dana may still not decide it."""
    enrich = {"id": "enrich", "from": "ANALYZING", "to": "ANALYZING", "actors": ["automation"]}
    house = a_house(with_transition()(enrich))
    await house.engine.start(tenant=TENANT, loop_id="test.change", aggregate_id="D", data=DATA, actor=ci())
    subject = {"tenant": TENANT, "aggregate_id": "D"}
    await house.engine.transition(**subject, transition="enrich", actor=ci("dana"), evidence={})
    evidence = {"confidence": 0.9, "blast_radius_score": 0.1}
    asked = await house.engine.transition(**subject, transition="submit_analysis", actor=an_agent(), evidence=evidence)
    outcome = await house.engine.answer(an_answer(asked.request, "approve", "dana"), tenant=TENANT)

    assert asked.request.proposal.contributors == ("dana",)
    assert outcome.code == "self_approval"


async def test_whoever_is_meant_by_another_name_is_that_person() -> None:
    """Behind the agent stands "Dana", as another system calls her: our dana may not approve it."""
    house = a_house()
    request = await house.propose(behind=" DANA ")
    outcome = await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)

    assert request.proposal.requester.on_behalf_of == "dana"
    assert outcome.code == "self_approval"


async def test_a_part_that_comes_back_is_whole_again() -> None:
    """Handed over and handed back, the first person decides; the second, who only had their part, does not."""
    house = a_house(a_change(reassign="anyone"))
    request = await house.propose()

    async def hand(by: str, to: str, key: str) -> None:
        ask = an_answer(request, "approve", by)
        await house.engine.consult(
            HumanAsk(request_id=request.request_id, by=ask.by, to_person=to, channel={}, key=key), tenant=TENANT
        )

    await hand("dana", "kim", "1")
    await hand("kim", "dana", "2")
    kim = await house.engine.answer(an_answer(request, "approve", "kim"), tenant=TENANT)
    dana = await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)

    assert kim.code == "not_an_approver"
    assert isinstance(dana, Executed)


async def test_a_service_acting_for_somebody_else_is_somebody_else() -> None:
    """Only the very requester takes a request back, not the same service in another person's name."""
    house = a_house()
    request = await house.propose(behind="robin")
    fields = {"tenant": TENANT, "request_id": request.request_id}
    other = await house.engine.withdraw(**fields, actor=ci("sam"))
    same = await house.engine.withdraw(**fields, actor=ci("robin"))

    assert other.code == "not_the_requester"
    assert isinstance(same, Executed)


@pytest.mark.parametrize("metadata", [{"x": float("nan")}, {"x": "y" * 20_000}])
def test_an_actor_the_ledger_cannot_hold_is_no_actor(metadata) -> None:
    """What an actor says of itself is bounded and canonical, wherever it enters."""
    with pytest.raises(ValueError, match="metadata"):
        Automation(id="ci", service_id="ci", metadata=metadata)


@pytest.mark.parametrize("aggregate", ["", "   ", "x" * 300])
async def test_an_id_that_is_none_is_refused_by_name(aggregate) -> None:
    """An empty or endless id is a refusal that names the field, never an exception."""
    house = a_house()
    outcome = await house.engine.start(tenant=TENANT, loop_id=CHANGE["id"], aggregate_id=aggregate, data={}, actor=ci())

    assert isinstance(outcome, Refused)
    assert outcome.code == "bad_request"
    assert "aggregateId" in outcome.message


async def test_a_closed_ledger_does_not_grow_for_ever() -> None:
    """After a hundred refusals on a closed loop the next is answered as ever, and leaves nothing behind."""
    house = a_house()
    request = await house.propose()
    await house.engine.cancel(tenant=TENANT, aggregate_id=request.aggregate_id, actor=ci())
    for _ in range(100):
        await house.engine.answer(an_answer(request, "approve", None), tenant=TENANT)
    before = await house.store.load(TENANT, request.instance_id)
    more = await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    after = await house.store.load(TENANT, request.instance_id)

    assert more.code == "request_closed"
    assert after.instance == before.instance


async def test_evidence_gathered_over_many_moves_stays_bounded() -> None:
    """Small pieces cannot add up to what is refused at once."""
    enrich = {"id": "enrich", "from": "ANALYZING", "to": "ANALYZING", "actors": ["automation"]}
    house = a_house(with_transition()(enrich))
    await house.engine.start(tenant=TENANT, loop_id="test.change", aggregate_id="G", data=DATA, actor=ci())
    outcomes = [
        await house.engine.transition(
            tenant=TENANT, aggregate_id="G", transition="enrich", actor=ci(), evidence={f"k{number}": "x" * 100_000}
        )
        for number in range(3)
    ]

    assert [outcome.outcome for outcome in outcomes] == ["executed", "executed", "refused"]
    assert outcomes[-1].code == "bad_evidence"
