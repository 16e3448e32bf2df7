"""What was shown is what runs: the worker checks once more before it acts, and does nothing where something differs."""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from builders import MORNING, TENANT, ci, human
from unit.jobs.rig import LEASE, JobsHouse, a_jobs_house

from channels.slack.faces import face_of
from gateway.integrations.recording import MemoryIntegration
from gateway.jobs.grants import check_grant
from gateway.jobs.ports import Claim
from loops.actors import system
from loops.definition import LoopDefinition
from loops.effects import Effect, Grant
from loops.errors import Rejected, Unavailable
from loops.outcomes import Outcome
from loops.replay import replay
from loops.submission import Ask, Submission

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


async def test_an_approval_in_one_loop_grants_nothing_in_another() -> None:
    """The same proposal on the same business object, in a later run: an approval is of the run it was given in."""
    jobs = a_jobs_house()
    request = await jobs.approved()
    effect = await jobs.effect("integration.run")

    with pytest.raises(Rejected, match="does not stand for"):
        check_grant(effect.changed(instance_id="li_later"), await _definition(jobs), request)


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


def called_off(jobs: JobsHouse, how: str) -> Awaitable[Outcome]:
    """Have the loop cancelled, or failed from outside."""
    engine, dana = jobs.house.engine, human("dana", via="slack")
    if how == "cancelled":
        return engine.cancel(tenant=TENANT, aggregate_id="CHG-7", actor=dana)
    return engine.fail(tenant=TENANT, aggregate_id="CHG-7", actor=dana, code="gone", message="the cluster is gone")


@pytest.mark.parametrize("how", ["cancelled", "failed"])
@pytest.mark.parametrize("lost", [0, 2])
async def test_what_a_loop_called_off_had_not_begun_ends_cancelled_without_alarm(how: str, lost: int) -> None:
    """Called off between claim and call, by whichever claim: not called, on the ledger as cancelled, nobody alarmed."""
    integration = MemoryIntegration()
    jobs = a_jobs_house(integration=integration)
    await jobs.approved()
    for _ in range(lost):
        await jobs.claim("integration.run")
        jobs.later(LEASE)
    claim = await jobs.claim("integration.run")
    await called_off(jobs, how)
    await jobs.handlers.carry_out(claim)
    record = await jobs.record("integration.run")
    events = await jobs.store.events(TENANT, jobs.instance_id)
    loaded = await jobs.store.load(TENANT, jobs.instance_id)
    assert loaded is not None
    assert loaded.request is not None

    assert (record.state, integration.runs) == ("cancelled", [])
    assert events[-1].type == "effect.cancelled"
    assert events[-1].data["status"] == how
    assert "effect.failed" not in await jobs.events()
    assert await jobs.house.effects(jobs.instance_id, "effect.alarm") == []
    assert face_of(loaded, loaded.request) == "cancelled"
    assert replay(events, loaded.definition).deviation is None


@pytest.mark.parametrize("how", ["cancelled", "failed"])
async def test_what_may_have_acted_when_its_loop_was_called_off_is_told_of(how: str) -> None:
    """The answer of an attempt was lost, then the loop called off: not tried again, and whoever runs this must look."""
    integration = MemoryIntegration()
    jobs = a_jobs_house(integration=integration)
    await jobs.approved()
    integration.fail_next([Unavailable("the answer was lost")])
    first = await jobs.run("integration.run")
    await called_off(jobs, how)
    waits = await jobs.record("integration.run")
    jobs.later(timedelta(minutes=1))
    record = await jobs.run("integration.run")
    alarm = await jobs.effect("effect.alarm")

    assert (first.state, waits.state, record.state) == ("failed", "failed", "dead")
    assert record.why == f"the loop was {how}; whether an earlier attempt took place is not known"
    assert alarm.payload["error"] == record.why
    assert len(integration.runs) == 1


async def test_what_a_provider_did_not_say_of_a_cancelled_loop_alarms_nobody() -> None:
    """Asked, cancelled, and given up or looked at again: on the ledger, and nobody misses it."""
    for provider in (None, FailingProvider()):
        jobs = a_jobs_house(provider=provider)
        await jobs.start()
        claim = await jobs.claim("provider.ask")
        if provider is None:
            await called_off(jobs, "cancelled")
            await jobs.handlers.carry_out(claim)
        else:
            with pytest.raises(Rejected):
                await jobs.handlers.carry_out(claim)
            await called_off(jobs, "cancelled")
            await jobs.handlers.give_up(claim, "no such model")
        record = await jobs.record("provider.ask")

        assert record.state == ("cancelled" if provider is None else "dead")
        assert await jobs.house.effects(jobs.instance_id, "effect.alarm") == []


class FailingProvider:
    """Refuses whatever it is asked."""

    async def submit(self, ask: Ask) -> Submission:
        """Refuse."""
        raise Rejected("no such model")


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


def told_by(*transitions: dict[str, Any]) -> tuple[Effect, LoopDefinition]:
    """Return an effect that names no approval, and the loop in which each of *transitions* asks for it."""
    call = NOTIFY["transitions"][0]["effects"]
    ask = {"id": "ask", "from": "NEW", "to": "PENDING_HUMAN_OK", "actors": ["automation"]}
    reject = {"id": "reject", "from": "PENDING_HUMAN_OK", "to": "DONE", "actors": ["human"]}
    telling = [{"to": "DONE", "effects": call, **each} for each in transitions]
    states = [*NOTIFY["states"], {"id": "PENDING_HUMAN_OK"}]
    effect = Effect(
        effect_id="ef_1",
        kind="integration.run",
        tenant=TENANT,
        instance_id="li_1",
        aggregate_id="N-1",
        created_at=MORNING,
        payload={"integration": "deployer", "action": "tell", "parameters": {"note": "x"}},
    )
    return effect, LoopDefinition.model_validate({**NOTIFY, "states": states, "transitions": [ask, reject, *telling]})


APPROVE = {"id": "approve", "from": "PENDING_HUMAN_OK", "actors": ["human"]}
POLICY_OF_ONE = {"channel": "sre-approvals", "approvers": {"groups": ["sre"]}}


@pytest.mark.parametrize(
    "transition",
    [
        pytest.param(APPROVE, id="by a human's answer"),
        pytest.param({**APPROVE, "actors": ["human", "automation"]}, id="which no service gives in their place"),
        pytest.param({"id": "go", "from": "NEW", "actors": ["ai-agent"], "approval": POLICY_OF_ONE}, id="parked"),
    ],
)
def test_what_always_needs_an_approval_never_runs_without_one(transition: dict[str, Any]) -> None:
    """However the loop has humans decide: an effect whose grant somebody took away runs nothing."""
    effect, definition = told_by(transition)

    with pytest.raises(Rejected, match="needs an approval"):
        check_grant(effect, definition, None)


@pytest.mark.parametrize(
    "transition",
    [
        pytest.param({"id": "go", "from": "NEW", "actors": ["automation"]}, id="by a service"),
        pytest.param({"id": "go", "from": "NEW", "actors": ["human"]}, id="by a human who is not asked"),
        pytest.param(
            {"id": "go", "from": "NEW", "actors": ["ai-agent", "human"], "approval": POLICY_OF_ONE},
            id="by a human where an agent has to ask",
        ),
    ],
)
def test_what_may_be_done_without_an_approval_needs_none(transition: dict[str, Any]) -> None:
    """Where one of the transitions that ask for it may be taken without one, an effect without a grant runs."""
    check_grant(*told_by(transition, APPROVE), None)


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
