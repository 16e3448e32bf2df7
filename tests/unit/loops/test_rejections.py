"""A rejection that runs something: shown before it is given, covered by the digest, and nothing else runs by it."""

from typing import Any

import pytest
from builders import CHANGE, DATA, House, a_house, a_person, an_answer

from gateway.jobs.grants import check_grant
from loops.definition import LoopDefinition
from loops.effects import Effect
from loops.errors import Rejected

TELL = {"integration": "deployer", "action": "hold_back", "parameters": {"service": "{{ data.service }}"}}


def a_loop(*, also: dict[str, Any] | None = None) -> LoopDefinition:
    """Return the test loop, its rejection telling the deployer, and with another human exit where *also* says so."""
    transitions = [{**each, "effects": [TELL]} if each["id"] == "reject" else each for each in CHANGE["transitions"]]
    return LoopDefinition.model_validate({**CHANGE, "transitions": [*transitions, *([also] if also else [])]})


async def rejected(house: House) -> Effect:
    request = await house.propose()
    outcome = await house.engine.answer(an_answer(request, "reject", "dana", reason="No"), tenant="default")
    assert outcome.outcome == "executed", outcome
    (run,) = await house.effects(request.instance_id, "integration.run")
    return run


async def test_what_a_rejection_runs_is_shown_and_runs() -> None:
    """The proposal says what a rejection runs, and a rejection runs that and nothing of the approval's."""
    house = a_house(a_loop())
    request = await house.propose()
    run = await rejected(a_house(a_loop()))

    assert [(each.integration, each.action) for each in request.proposal.if_rejected] == [("deployer", "hold_back")]
    assert run.payload["action"] == "hold_back"
    assert run.payload["parameters"] == {"service": DATA["service"]}


async def test_what_a_rejection_runs_is_in_the_digest() -> None:
    """Another rejection is another proposal; one that runs nothing has the digest it always had."""
    with_effect, without = [(await a_house(loop).propose()).proposal for loop in (a_loop(), a_loop())]
    bare = with_effect.changed(if_rejected=())

    assert with_effect.digest == without.digest
    assert bare.digest != with_effect.digest
    assert "ifRejected" not in bare.as_digested()


@pytest.mark.parametrize("changes", [{"action": "rollout"}, {"parameters": {"service": "other"}}])
async def test_a_rejection_grants_nothing_but_what_it_shows(changes: dict[str, Any]) -> None:
    """A worker carries out by a rejection what the rejection showed, and refuses what the approval would have run."""
    house = a_house(a_loop())
    run = await rejected(house)
    loaded = await house.store.load_request("default", run.grant.request_id)
    check_grant(run, loaded.definition, loaded.request)

    with pytest.raises(Rejected, match="does not stand for"):
        check_grant(run.changed(payload={**run.payload, **changes}), loaded.definition, loaded.request)


async def test_another_exit_with_effects_is_not_offered() -> None:
    """Beside one approval and one rejection nothing runs by a click: what no card shows nobody can choose."""
    also = {
        "id": "patch_and_go",
        "from": "PENDING_HUMAN_APPROVAL",
        "to": "ROLLING_OUT",
        "actors": ["human"],
        "effects": [TELL],
    }
    house = a_house(a_loop(also=also))
    request = await house.propose()
    refused = await house.engine.answer(an_answer(request, "patch_and_go", "dana"), tenant="default")

    assert {offered.transition_id for offered in request.answers} == {"approve", "reject"}
    assert refused.outcome == "refused"
    assert refused.code == "answer_not_offered"


async def test_what_a_rejection_runs_needs_no_approvals() -> None:
    """A rejection is no quorum: what it runs is carried out, also where who rejected has left the approvers since."""
    house = a_house(a_loop())
    run = await rejected(house)
    house.people.known["dana"] = a_person("dana")
    found = await house.engine.entitlement("default", run.grant.request_id)

    assert found.is_enough
