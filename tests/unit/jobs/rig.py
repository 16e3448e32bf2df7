"""A jobs' house: the engine on a store in memory, a channel, an integration and a provider in memory, one runner."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from builders import ANALYSIS, DATA, TENANT, FrozenClock, House, a_house, an_answer, ci, person

from channels.memory import MemoryChannel, MemoryConfirmer
from gateway.integrations.ports import Integration
from gateway.integrations.recording import MemoryIntegration
from gateway.jobs.handlers import Handlers
from gateway.jobs.lanes import Gates
from gateway.jobs.ports import Claim, EffectRecord
from gateway.jobs.runner import EffectRunner, RetryPolicy
from gateway.storage.memory import MemoryStore
from gateway.storage.memory_lanes import MemoryLanes
from loops.approvals import ApprovalRequest
from loops.definition import LoopDefinition
from loops.effects import Effect, EffectKind
from loops.outcomes import Outcome
from loops.ports import Channel, Provider
from providers.recorded import RecordedProvider, RecordedSubmission, Recording

LEASE = timedelta(seconds=6)

POLICY = RetryPolicy(lease=LEASE, timeout=timedelta(seconds=5), attempts=3, base=timedelta(seconds=1))


def an_analyst(**changes: Any) -> RecordedProvider:
    """Return a provider that submits the analysis of the builders' loop."""
    points = {key: value for key, value in ANALYSIS.items() if key not in {"confidence", "reasoning"}}
    fields: dict[str, Any] = {
        "signal": "submit_analysis",
        "reasoning": ANALYSIS["reasoning"],
        "confidence": ANALYSIS["confidence"],
        "data_points": points,
        "model_id": "claude",
        "provider": "anthropic",
    }
    return RecordedProvider([Recording(submission=RecordedSubmission.model_validate(fields | changes))])


def a_gate(store: MemoryStore, clock: FrozenClock, policy: RetryPolicy) -> Gates:
    """Return the way to every lane, in memory."""
    return Gates(MemoryLanes(store, clock.now), {}, lease=LEASE, timeout=policy.timeout)


@dataclass
class JobsHouse:
    """What tests of jobs look at and move."""

    house: House
    store: MemoryStore
    channel: Channel
    integration: Integration
    providers: Mapping[str, Provider]
    clock: FrozenClock
    policy: RetryPolicy
    instance_id: str = ""
    gates: Gates | None = None
    confirmer: MemoryConfirmer = field(default_factory=lambda: MemoryConfirmer({"UDANA": person("dana")}))
    handlers: Handlers = field(init=False)
    runner: EffectRunner = field(init=False)

    def __post_init__(self) -> None:
        self.handlers = Handlers(
            engine=self.house.engine,
            store=self.store,
            effects=self.store,
            cards=self.store,
            leases=self.store,
            channel=self.channel,
            confirmer=self.confirmer,
            directory=self.house.people,
            providers=self.providers,
            integrations={"deployer": self.integration},
            gates=self.gates or a_gate(self.store, self.clock, self.policy),
        )
        self.runner = EffectRunner(self.store, self.handlers, self.policy)

    def later(self, span: timedelta) -> None:
        """Let time go by, for the store and the engine."""
        self.clock.move(span)
        self.house.clock.move(span)

    async def start(self) -> None:
        """Start the builders' loop; its provider has yet to be asked."""
        outcome = await self.house.engine.start(
            tenant=TENANT, loop_id="test.change", aggregate_id="CHG-7", data=DATA, actor=ci()
        )
        assert outcome.instance is not None
        self.instance_id = outcome.instance.instance_id

    async def propose(self) -> ApprovalRequest:
        """Start the loop and have the analyst answer: an open request whose card is not posted."""
        await self.start()
        await self.run("provider.ask")
        return await self.request()

    async def approved(self) -> ApprovalRequest:
        """Go on to an approval by dana: the integration has yet to be run."""
        request = await self.propose()
        await self.answer(request, "approve")
        return await self.request()

    async def answer(self, request: ApprovalRequest, transition: str, by: str = "dana") -> Outcome:
        """Answer as a person clicks."""
        return await self.house.engine.answer(an_answer(request, transition, by), tenant=TENANT)

    async def request(self) -> ApprovalRequest:
        """Return the loop's latest request as it stands."""
        loaded = await self.store.load(TENANT, self.instance_id)
        assert loaded is not None
        assert loaded.request is not None
        return loaded.request

    async def state(self) -> str:
        """Return the state the loop is in."""
        loaded = await self.store.load(TENANT, self.instance_id)
        assert loaded is not None
        return loaded.instance.state

    async def effect(self, kind: EffectKind) -> Effect:
        """Return the latest effect of *kind*."""
        return (await self.house.effects(self.instance_id, kind))[-1]

    async def record(self, kind: EffectKind) -> EffectRecord:
        """Return how far the latest effect of *kind* got."""
        record = await self.store.effect((await self.effect(kind)).effect_id)
        assert record is not None
        return record

    async def run(self, kind: EffectKind) -> EffectRecord:
        """Make one attempt at the latest effect of *kind*."""
        await self.runner.run((await self.effect(kind)).effect_id)
        return await self.record(kind)

    async def claim(self, kind: EffectKind) -> Claim:
        """Claim the latest effect of *kind*, as a worker of its own would."""
        claim = await self.store.claim((await self.effect(kind)).effect_id, lease=LEASE)
        assert claim is not None
        return claim

    async def events(self) -> list[str]:
        """Return the types on the loop's ledger."""
        return await self.house.event_types(self.instance_id)


def a_jobs_house(
    *definitions: LoopDefinition,
    channel: Channel | None = None,
    integration: Integration | None = None,
    provider: Provider | None = None,
    policy: RetryPolicy = POLICY,
    store: MemoryStore | None = None,
    clock: FrozenClock | None = None,
) -> JobsHouse:
    """Return a jobs' house; *clock* is the one of *store*, where that is given."""
    clock = clock or FrozenClock()
    store = store or MemoryStore(now=clock.now, effect_grace=timedelta(seconds=5))
    return JobsHouse(
        house=a_house(*definitions, store=store),
        store=store,
        channel=channel or MemoryChannel(),
        integration=integration or MemoryIntegration(),
        providers={"analyst": provider or an_analyst()},
        clock=clock,
        policy=policy,
    )
