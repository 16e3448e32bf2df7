"""What tests build their cases from: a clock that stands still, ids that count, people, loops and a wired engine."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from gateway.loopfiles import LoadedLoops
from gateway.storage.memory import MemoryStore
from loops.actors import AiAgent, Automation, Human, folded, human, service
from loops.approvals import ApprovalRequest, HumanAnswer
from loops.definition import LoopDefinition
from loops.effects import Effect, EffectKind
from loops.engine import LoopEngine
from loops.instance import LoopInstance
from loops.judging import Judge
from loops.ports import ChannelIdentity, OnCall, Person, Store

TENANT = "default"
MORNING = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

CHANGE: dict[str, Any] = {
    "id": "test.change",
    "version": "1.0.0",
    "name": "Test change",
    "initialState": "ANALYZING",
    "states": [
        {
            "id": "ANALYZING",
            "provider": {
                "use": "analyst",
                "instruction": "Assess.",
                "signals": ["submit_analysis"],
                "onFailure": "no_analysis",
            },
        },
        {
            "id": "PENDING_HUMAN_APPROVAL",
            "approval": {
                "channel": "sre-approvals",
                "approvers": {"groups": ["sre"]},
                "title": "Roll out {{ data.changeId }}",
                "facts": {"Service": "{{ data.service }}", "Blast radius": "{{ evidence.blast_radius_score }}"},
                "reason": {"approve": "optional", "reject": "required"},
                "expireAfter": "4h",
                "onExpiry": "expire",
            },
        },
        {"id": "ROLLING_OUT"},
        {"id": "COMPLETE", "isTerminal": True},
        {"id": "REJECTED", "isTerminal": True},
        {"id": "FAILED", "isTerminal": True, "isError": True},
    ],
    "transitions": [
        {
            "id": "submit_analysis",
            "from": "ANALYZING",
            "to": "PENDING_HUMAN_APPROVAL",
            "actors": ["ai-agent"],
            "guards": [
                {"id": "confidence-threshold", "parameters": {"threshold": 0.7}},
                {"id": "evidence-required", "parameters": {"requiredFields": ["blast_radius_score"]}},
            ],
        },
        {"id": "no_analysis", "from": "ANALYZING", "to": "PENDING_HUMAN_APPROVAL", "actors": ["system"]},
        {
            "id": "approve",
            "from": "PENDING_HUMAN_APPROVAL",
            "to": "ROLLING_OUT",
            "actors": ["human"],
            "guards": [{"id": "human-only"}],
            "effects": [
                {
                    "integration": "deployer",
                    "action": "rollout",
                    "parameters": {"service": "{{ data.service }}", "replicas": "{{ data.replicas }}"},
                    "onSuccess": "rollout_done",
                    "onFailure": "rollout_failed",
                }
            ],
        },
        {"id": "reject", "from": "PENDING_HUMAN_APPROVAL", "to": "REJECTED", "actors": ["human"]},
        {"id": "expire", "from": "PENDING_HUMAN_APPROVAL", "to": "REJECTED", "actors": ["system"]},
        {"id": "rollout_done", "from": "ROLLING_OUT", "to": "COMPLETE", "actors": ["automation"]},
        {"id": "rollout_failed", "from": "ROLLING_OUT", "to": "FAILED", "actors": ["automation"]},
    ],
    "outcome": {
        "description": "Change applied",
        "valueUnit": "change",
        "businessMetrics": [{"id": "cycle_time_days"}, {"id": "risk"}],
    },
}

DATA = {"changeId": "CHG-7", "service": "checkout", "replicas": 12}
ANALYSIS = {"confidence": 0.87, "blast_radius_score": 0.2, "reasoning": "Rolls back in a minute."}


def a_change(**approval: Any) -> LoopDefinition:
    """Return the test loop, its approval policy changed by *approval*."""
    states = [
        {**state, "approval": {**state["approval"], **approval}} if "approval" in state else state
        for state in CHANGE["states"]
    ]
    return LoopDefinition.model_validate({**CHANGE, "states": states})


def a_person(person_id: str, *groups: str) -> Person:
    """Return a person in *groups*, known in Slack by their id in capitals."""
    return Person(
        person_id=person_id,
        name=person_id.capitalize(),
        roles=(),
        groups=frozenset(groups),
        identities=(ChannelIdentity("slack", "T1", f"U{person_id.upper()}"),),
    )


def an_agent(*, behind: str | None = None, confidence: float = 0.87) -> AiAgent:
    """Return an ai-agent, acting for the person *behind*."""
    return AiAgent(
        id="anthropic:claude", model_id="claude", provider="anthropic", confidence=confidence, on_behalf_of=behind
    )


def ci(behind: str | None = None) -> Automation:
    """Return the service that proposes changes in these tests."""
    return service("ci", "CI", on_behalf_of=behind)


def a_quiet_change(**approval: Any) -> LoopDefinition:
    """Return the test loop with no signal for a failed roll-out: somebody has to see to it."""
    loop = a_change(**approval).as_json()
    for transition in loop["transitions"]:
        for call in transition.get("effects", []):
            del call["onFailure"]
    return LoopDefinition.model_validate(loop)


def an_instance(**changes: Any) -> LoopInstance:
    """Return an active instance in its second state."""
    fields: dict[str, Any] = {
        "tenant": TENANT,
        "instance_id": "li_1",
        "aggregate_id": "CHG-1",
        "loop_id": "test.loop",
        "definition_version": "1.0.0",
        "definition_digest": "sha256:0",
        "state": "WORKING",
        "version": 2,
        "requester": ci(),
        "correlation_id": "c",
        "started_at": MORNING,
        "updated_at": MORNING,
    }
    return LoopInstance(**fields | changes)


class FrozenClock:
    """Stands still until moved."""

    def __init__(self, at: datetime = MORNING) -> None:
        self.at = at

    def now(self) -> datetime:
        """Return where it stands."""
        return self.at

    def move(self, span: timedelta) -> None:
        """Move it on."""
        self.at += span


class CountingIds:
    """Makes ids that count."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def new(self, prefix: str) -> str:
        """Return the next id."""
        return f"{prefix}{next(self._numbers):06d}"


@dataclass
class People:
    """A directory whose people tests may change between two clicks."""

    known: dict[str, Person] = field(default_factory=dict)

    async def behind(self, tenant: str, identity: ChannelIdentity) -> Person | None:
        """Return the person mapped to *identity*."""
        del tenant
        return next((person for person in self.known.values() if identity in person.identities), None)

    async def person(self, tenant: str, person_id: str) -> Person | None:
        """Return the person *person_id*."""
        del tenant
        return self.known.get(person_id)

    async def people(self, tenant: str, person_ids: Collection[str]) -> dict[str, Person]:
        """Return those of *person_ids* who are known."""
        del tenant
        return {each: self.known[each] for each in person_ids if each in self.known}

    async def called(self, tenant: str, name: str) -> Person | None:
        """Return whom another system means by *name*."""
        del tenant
        meant = [p for p in self.known.values() if folded(name) in {folded(p.person_id), folded(p.name)}]
        return meant[0] if len(meant) == 1 else None

    async def everybody(self, tenant: str) -> list[Person]:
        """Return everybody."""
        del tenant
        return list(self.known.values())


@dataclass
class House:
    """An engine with everything around it that tests look at or move."""

    engine: LoopEngine
    store: Store
    clock: FrozenClock
    people: People
    definitions: LoadedLoops

    async def propose(self, aggregate: str = "CHG-7", *, behind: str | None = None) -> ApprovalRequest:
        """Start the test loop and let the agent submit, up to the open request."""
        await self.engine.start(
            tenant=TENANT, loop_id="test.change", aggregate_id=aggregate, data=DATA, actor=ci(behind)
        )
        outcome = await self.engine.transition(
            tenant=TENANT,
            aggregate_id=aggregate,
            transition="submit_analysis",
            actor=an_agent(behind=behind),
            evidence=ANALYSIS,
        )
        assert outcome.request is not None
        return outcome.request

    async def settle(self, instance_id: str, *, error: str | None = None) -> None:
        """Let the integration that was asked, and asked last, come to an end: well, or with *error*."""
        run = (await self.effects(instance_id, "integration.run"))[-1]
        claim = await self.store.claim(run.effect_id, lease=timedelta(seconds=5))  # type: ignore[attr-defined]
        detail = {"error": error} if error else {"deploymentId": "d-1"}
        await self.engine.settle(run, claim.fence, succeeded=error is None, detail=detail)

    async def effects(self, instance_id: str, kind: EffectKind) -> list[Effect]:
        """Return the effects of *kind* that commits of an instance asked for."""
        records = await self.store.effects_of(TENANT, instance_id)  # type: ignore[attr-defined]
        return [record.effect for record in records if record.effect.kind == kind]

    async def event_types(self, instance_id: str) -> list[str]:
        """Return the types on an instance's ledger, in order."""
        return [event.type for event in await self.store.events(TENANT, instance_id)]


def a_house(
    *definitions: LoopDefinition, store: Store | None = None, ids: Any = None, on_call: OnCall | None = None
) -> House:
    """Return a house with dana and sam in sre, robin in sre too, and kim in finance."""
    people = People(
        {
            p.person_id: p
            for p in (
                a_person("dana", "sre"),
                a_person("sam", "sre"),
                a_person("robin", "sre"),
                a_person("kim", "finance"),
            )
        }
    )
    clock = FrozenClock()
    loaded = LoadedLoops({loop.id: loop for loop in definitions or (a_change(),)})
    kept = store or MemoryStore()
    engine = LoopEngine(kept, loaded, people, clock, ids or CountingIds(), Judge(timer_ns=lambda: 0), on_call=on_call)
    return House(engine, kept, clock, people, loaded)


def person(person_id: str) -> Human:
    """Return *person_id* as Slack verified them."""
    return human(person_id, person_id.capitalize(), via="slack")


_clicks = count(1)


def an_answer(request: ApprovalRequest, transition: str, by: str | None, **changes: Any) -> HumanAnswer:
    """Return a click on *request*: each one its own, by the person *by* (None: mapped to nobody)."""
    click = next(_clicks)
    channel: Mapping[str, Any] = {
        "channelConnectionId": "channel.slack",
        "channelKind": "slack",
        "slackTeamId": "T1",
        "slackChannelId": "C1",
        "slackMessageTs": "1.2",
        "slackUserId": f"U{(by or 'ghost').upper()}",
        "slackActionId": transition,
        "decisionSignalId": transition,
    }
    fields: dict[str, Any] = {
        "request_id": request.request_id,
        "request_version": request.version,
        "digest": request.digest,
        "transition_id": transition,
        "by": person(by) if by else None,
        "channel": channel,
        "key": f"slack:{click}",
    }
    return HumanAnswer.model_validate(fields | changes)
