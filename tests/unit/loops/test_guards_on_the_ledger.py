"""Guards as the engine asks them: what they may rely on, and that the ledger says all they said."""

from typing import Any

from builders import ANALYSIS, CHANGE, TENANT, CountingIds, a_house, an_agent, an_answer, ci

from gateway.guards.memory import MemoryPolicyPoint
from gateway.loopfiles import LoadedLoops
from loops.actors import service
from loops.definition import LoopDefinition
from loops.engine import LoopEngine
from loops.guards import PolicyAnswer
from loops.judging import Judge
from loops.outcomes import Executed, Refused


def guarded(**guards: list[dict[str, Any]]) -> LoopDefinition:
    """The test loop with other guards on some of its transitions."""
    moves = [{**move, "guards": guards.get(move["id"], move.get("guards", []))} for move in CHANGE["transitions"]]
    return LoopDefinition.model_validate({**CHANGE, "transitions": moves})


async def test_a_recorded_approval_is_what_later_guards_go_by() -> None:
    """What an automation says of an approval is not believed before there is one, and not needed once there is."""
    claims = {"approved": True}
    early = guarded(no_analysis=[{"id": "approval_obtained"}], rollout_done=[{"id": "approval_obtained"}])
    moves = [
        {**move, "actors": ["automation"]} if move["id"] == "no_analysis" else move
        for move in early.as_json()["transitions"]
    ]
    house = a_house(LoopDefinition.model_validate({**early.as_json(), "transitions": moves}))
    await house.engine.start(tenant=TENANT, loop_id="test.change", aggregate_id="CHG-7", data={}, actor=ci())

    refused = await house.engine.transition(
        tenant=TENANT, aggregate_id="CHG-7", transition="no_analysis", actor=ci(), evidence=claims
    )
    submitted = await house.engine.transition(
        tenant=TENANT, aggregate_id="CHG-7", transition="submit_analysis", actor=an_agent(), evidence=ANALYSIS
    )
    assert submitted.request is not None
    await house.engine.answer(an_answer(submitted.request, "approve", "dana"), tenant=TENANT)
    done = await house.engine.transition(
        tenant=TENANT, aggregate_id="CHG-7", transition="rollout_done", actor=service("deployer"), evidence={}
    )

    assert isinstance(refused, Refused)
    assert [failure.code for failure in refused.failures] == ["approval_not_obtained"]
    assert isinstance(done, Executed)


async def test_an_approving_answer_is_an_approval() -> None:
    """A guard on the approving transition itself knows that a human is approving just now."""
    house = a_house(guarded(approve=[{"id": "approval_obtained"}], reject=[{"id": "approval_obtained"}]))
    request = await house.propose()

    outcome = await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)

    assert isinstance(outcome, Executed)


async def test_an_answer_that_neither_approves_nor_rejects_is_no_approval() -> None:
    """A human exit of its own says nothing of an approval to its guards: what needs one is not taken by it."""
    hold = {"id": "hold", "from": "PENDING_HUMAN_APPROVAL", "to": "ANALYZING", "actors": ["human"]}
    outcomes = {}
    for guard in (
        {"id": "approval_obtained"},
        {"id": "expression", "parameters": {"expression": "!has(evidence.approved)"}},
    ):
        moves = [*CHANGE["transitions"], {**hold, "guards": [guard]}]
        house = a_house(LoopDefinition.model_validate({**CHANGE, "transitions": moves}))
        request = await house.propose()
        outcomes[guard["id"]] = await house.engine.answer(an_answer(request, "hold", "dana"), tenant=TENANT)

    assert isinstance(outcomes["approval_obtained"], Refused)
    assert isinstance(outcomes["expression"], Executed)


async def test_guards_of_an_answer_see_its_reason() -> None:
    """A guard may ask that an approval says why, on top of what the policy asks."""
    asks_why = [
        {"id": "expression", "parameters": {"expression": "evidence.approved && evidence.reason.contains('CHG')"}}
    ]
    house = a_house(guarded(approve=asks_why))
    request = await house.propose()
    without, other, said = [
        await house.engine.answer(an_answer(request, "approve", "dana", reason=reason), tenant=TENANT)
        for reason in (None, "Fine.", "Agreed in CHG-7.")
    ]

    assert [getattr(each, "code", "") for each in (without, other)] == ["guard_failed"] * 2
    assert isinstance(said, Executed)


async def test_the_ledger_says_all_that_guards_said() -> None:
    """Passed or failed: who evaluated it, by which parameters, how long it took, and what the policy point calls it."""
    point = MemoryPolicyPoint(lambda _: PolicyAnswer(allow=True, decision_id="d-7", latency_us=900))
    definition = guarded(
        submit_analysis=[
            {"id": "confidence-threshold"},
            {"id": "budget", "evaluatedBy": "external", "parameters": {"point": "opa"}},
            {
                "id": "expression",
                "severity": "soft",
                "parameters": {"expression": "evidence.blast_radius_score < 0.1", "message": "Not small."},
            },
        ]
    )
    house = a_house(definition)
    ticks = iter(range(0, 10**9, 7_000))
    judge = Judge(points={"opa": point}, timer_ns=lambda: next(ticks))
    definitions = LoadedLoops({definition.id: definition})
    house.engine = LoopEngine(house.store, definitions, house.people, house.clock, CountingIds(), judge)
    request = await house.propose()

    (executed,) = [
        event
        for event in await house.store.events(TENANT, request.instance_id)
        if event.type == "loop.transition.executed"
    ]

    first, second, third = executed.data["guards"]
    assert first == {
        "guardId": "confidence-threshold",
        "severity": "hard",
        "evaluatedBy": "runtime",
        "passed": True,
        "parameters": {"threshold": 0.7},
        "durationUs": 7,
    }
    assert (second["decisionId"], second["latencyUs"], second["parameters"]) == ("d-7", 900, {"point": "opa"})
    assert (third["passed"], third["code"], third["message"]) == (False, "expression_false", "Not small.")
    assert executed.data["softGuardWarnings"] == [third]
    assert point.asked[0]["transition"] == "submit_analysis"
