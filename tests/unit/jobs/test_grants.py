"""What was shown is what runs: the worker checks once more before it acts, and does nothing where something differs."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from builders import TENANT, ci, human
from unit.jobs.rig import JobsHouse, a_jobs_house

from gateway.integrations.recording import MemoryIntegration
from gateway.jobs.grants import check_grant
from gateway.jobs.ports import Claim
from loops.actors import system
from loops.definition import LoopDefinition
from loops.effects import Effect, Grant
from loops.errors import Rejected

NOTIFY: dict[str, Any] = {
    "id": "notify",
    "version": "1.0.0",
    "initialState": "NEW",
    "states": [{"id": "NEW"}, {"id": "DONE", "isTerminal": True}],
    "transitions": [
        {
            "id": "tell",
            "from": "NEW",
            "to": "DONE",
            "actors": ["automation"],
            "effects": [{"integration": "deployer", "action": "tell", "parameters": {"note": "{{ data.note }}"}}],
        }
    ],
}

Tampering = Callable[[Effect], Effect]


def _granted(effect: Effect, **changes: Any) -> Effect:
    assert effect.grant is not None
    return effect.changed(grant=effect.grant.changed(**changes))


def _payload(effect: Effect, **changes: Any) -> Effect:
    return effect.changed(payload={**effect.payload, **changes})


@pytest.mark.parametrize(
    "tamper",
    [
        pytest.param(lambda e: _granted(e, digest="sha256:" + "0" * 64), id="another digest"),
        pytest.param(lambda e: _granted(e, request_version=2), id="another version of the request"),
        pytest.param(lambda e: _granted(e, request_id="ar_none"), id="a request there is none of"),
        pytest.param(lambda e: _payload(e, parameters={"service": "checkout", "replicas": 900}), id="more replicas"),
        pytest.param(lambda e: _payload(e, action="delete"), id="another action"),
        pytest.param(lambda e: e.changed(grant=None), id="no grant"),
        pytest.param(lambda e: _payload(e, action="delete").changed(grant=None), id="no grant, another action"),
        pytest.param(lambda e: e.changed(instance_id="li_other"), id="another loop's approval"),
    ],
)
async def test_an_effect_that_is_not_what_was_approved_does_not_run(tamper: Tampering) -> None:
    """Whoever changed the effect in the store gets nothing done by it."""
    integration = MemoryIntegration()
    jobs = a_jobs_house(integration=integration)
    await jobs.approved()
    claim = await jobs.claim("integration.run")
    with pytest.raises(Rejected):
        await jobs.handlers.carry_out(Claim(tamper(claim.effect), claim.fence, claim.attempt))

    assert integration.runs == []


async def test_an_approval_whose_proposal_was_changed_grants_nothing() -> None:
    """The proposal is hashed again: an edited one no longer has the digest that was approved, whatever it claims."""
    jobs = a_jobs_house()
    request = await jobs.approved()
    effect = await jobs.effect("integration.run")
    forged = request.changed(proposal=request.proposal.changed(parameters={"replicas": 900}))

    check_grant(effect, await _definition(jobs), request)
    with pytest.raises(Rejected, match="does not stand for"):
        check_grant(effect, await _definition(jobs), forged)


async def test_a_request_nobody_has_answered_grants_nothing() -> None:
    """An effect with the grant of an open request is refused."""
    jobs = a_jobs_house()
    request = await jobs.propose()
    grant = Grant(request_id=request.request_id, request_version=request.version, digest=request.digest)
    effect = Effect(
        effect_id="ef_forged",
        kind="integration.run",
        tenant=TENANT,
        instance_id=jobs.instance_id,
        aggregate_id="CHG-7",
        created_at=jobs.clock.now(),
        payload=request.proposal.runs[0].as_json() if request.proposal.runs else _planned(),
        grant=grant,
    )

    with pytest.raises(Rejected, match="does not stand for"):
        check_grant(effect, await _definition(jobs), request)


async def test_a_request_that_expired_grants_nothing() -> None:
    """Closed without anybody's decision is not approved."""
    jobs = a_jobs_house()
    request = await jobs.approved()
    effect = await jobs.effect("integration.run")

    with pytest.raises(Rejected, match="does not stand for"):
        check_grant(effect, await _definition(jobs), request.changed(closed_by=None, status="expired"))


async def test_a_cancelled_loop_runs_nothing_more() -> None:
    """Cancelled between the claim and the call: the worker looks once more, and the integration is not called."""
    integration = MemoryIntegration()
    jobs = a_jobs_house(integration=integration)
    await jobs.approved()
    claim = await jobs.claim("integration.run")
    await jobs.house.engine.cancel(tenant=TENANT, aggregate_id="CHG-7", actor=human("dana", via="slack"))
    with pytest.raises(Rejected, match="the loop was cancelled before this ran"):
        await jobs.handlers.carry_out(claim)

    assert integration.runs == []


async def test_an_attempt_whose_answer_was_lost_is_not_said_not_to_have_run() -> None:
    """Its loop was cancelled between two attempts: the first may have taken place, and nobody may say it did not."""
    integration = MemoryIntegration()
    jobs = a_jobs_house(integration=integration)
    await jobs.approved()
    claim = await jobs.claim("integration.run")
    await jobs.house.engine.cancel(tenant=TENANT, aggregate_id="CHG-7", actor=human("dana", via="slack"))
    with pytest.raises(Rejected, match="whether an earlier attempt took place is not known"):
        await jobs.handlers.carry_out(replace(claim, attempt=2))

    assert integration.runs == []


async def test_what_nobody_has_to_approve_needs_no_grant() -> None:
    """An effect of a transition that no human takes runs without an approval, empty values and all."""
    integration = MemoryIntegration()
    jobs = a_jobs_house(LoopDefinition.model_validate(NOTIFY), integration=integration)
    outcome = await jobs.house.engine.start(
        tenant=TENANT, loop_id="notify", aggregate_id="N-1", data={"note": None}, actor=ci()
    )
    assert outcome.instance is not None
    jobs.instance_id = outcome.instance.instance_id
    await jobs.house.engine.transition(tenant=TENANT, aggregate_id="N-1", transition="tell", actor=ci(), evidence={})
    record = await jobs.run("integration.run")

    assert record.state == "succeeded"
    assert [run.action for run in integration.runs] == ["tell"]


async def test_an_approved_effect_with_missing_values_runs() -> None:
    """Parameters whose template found nothing are approved as nothing, and compare as such after the store."""
    integration = MemoryIntegration()
    jobs = a_jobs_house(integration=integration)
    outcome = await jobs.house.engine.start(
        tenant=TENANT, loop_id="test.change", aggregate_id="CHG-8", data={"service": "checkout"}, actor=ci()
    )
    assert outcome.instance is not None
    jobs.instance_id = outcome.instance.instance_id
    await jobs.house.engine.transition(
        tenant=TENANT, aggregate_id="CHG-8", transition="no_analysis", actor=system("test"), evidence={}
    )
    await jobs.answer(await jobs.request(), "approve")
    record = await jobs.run("integration.run")

    assert record.state == "succeeded", json.dumps(record.detail)


async def test_an_integration_that_is_not_configured_is_refused_by_name() -> None:
    """A name that means nothing here is said, and tried no more."""
    jobs = a_jobs_house()
    await jobs.approved()
    claim = await jobs.claim("integration.run")
    with pytest.raises(Rejected, match=r"no integration 'elsewhere'; name it in loopgate\.yaml"):
        await jobs.handlers.carry_out(
            Claim(_payload(claim.effect, integration="elsewhere"), claim.fence, claim.attempt)
        )


async def _definition(jobs: JobsHouse) -> LoopDefinition:
    loaded = await jobs.store.load(TENANT, jobs.instance_id)
    assert loaded is not None
    return loaded.definition


def _planned() -> dict[str, Any]:
    return {"integration": "deployer", "action": "rollout", "parameters": {}}
