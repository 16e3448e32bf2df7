"""
The promises under any sequence of acts: a state machine that does what people, agents, systems and time might do.

Closed instances never move and no quorum is met by fewer people than it says; in the end no request was decided twice,
nothing runs without a matching approval, and every ledger verifies up to its head.
"""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from builders import DATA, TENANT, a_change, a_house, a_person, an_agent, an_answer, ci, person
from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from loops.approvals import ApprovalRequest, HumanAnswer, HumanAsk
from loops.instance import LoopInstance
from loops.ledger import Verified, verify
from loops.outcomes import Executed, Outcome, Refused

T = TypeVar("T")

AGGREGATES = st.sampled_from(["A", "B"])
PEOPLE = st.sampled_from(["dana", "sam", "robin", "kim", "nobody", None])
ACTORS = st.sampled_from([ci(), ci("robin"), an_agent(), an_agent(behind="robin"), person("dana"), person("kim")])
NAMES = st.sampled_from(
    ["submit_analysis", "no_analysis", "approve", "reject", "expire", "rollout_done", "rollout_failed", "nonsense"]
)
CONFIDENCE = st.sampled_from([0.9, 0.7, 0.69, 0, 1, True, "0.9", [1], 5, -1, None])
STAGES = [
    {"needs": [{"groups": ["sre"], "quorum": 1}]},
    {"needs": [{"groups": ["sre"], "quorum": 1}, {"groups": ["finance"], "quorum": 1}]},
]
#: Policies, and how many people each one needs.
POLICIES = st.sampled_from(
    [
        ({"approvers": {"groups": ["sre"]}}, 1),
        ({"approvers": {"groups": ["sre"]}, "quorum": 2}, 2),
        ({"approvers": {}, "stages": STAGES}, 3),
    ]
)
COMMON = {"editable": {"replicas": {"type": "integer", "minimum": 1, "maximum": 20}}, "reassign": "anyone"}


class Governance(RuleBasedStateMachine):
    """What anybody may try, in any order."""

    @initialize(chosen=POLICIES)
    def open_house(self, chosen) -> None:
        """Begin with an empty store and one of the policies."""
        policy, self.quorum = chosen
        self.house = a_house(a_change(**policy, **COMMON))
        self.closed: dict[str, LoopInstance] = {}
        self.seen: dict[str, ApprovalRequest] = {}
        self.instances: set[str] = set()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run one act to its end."""
        return asyncio.run(work)

    def note(self, outcome: Outcome) -> None:
        """Remember what an act came to. Its instance is what validation would have made of it."""
        if outcome.instance:
            assert LoopInstance.model_validate(outcome.instance.model_dump()) == outcome.instance
            self.instances.add(outcome.instance.instance_id)
        if outcome.request:
            self.seen[outcome.request.request_id] = outcome.request

    @rule(aggregate=AGGREGATES, actor=ACTORS)
    def start(self, aggregate, actor) -> None:
        """Somebody starts a loop."""
        self.note(
            self.run(
                self.house.engine.start(
                    tenant=TENANT, loop_id="test.change", aggregate_id=aggregate, data=DATA, actor=actor
                )
            )
        )

    @rule(aggregate=AGGREGATES, actor=ACTORS, name=NAMES, confidence=CONFIDENCE, signal=st.booleans())
    def transition(self, aggregate, actor, name, confidence, signal) -> None:
        """Somebody asks for a transition, or sends a signal, with more or less evidence."""
        ask = self.house.engine.signal if signal else self.house.engine.transition
        named = {"signal": name} if signal else {"transition": name}
        evidence = {"confidence": confidence, "blast_radius_score": 0.1}
        self.note(self.run(ask(tenant=TENANT, aggregate_id=aggregate, actor=actor, evidence=evidence, **named)))

    @rule(aggregate=AGGREGATES, behind=st.sampled_from([None, "robin"]))
    def propose(self, aggregate, behind) -> None:
        """A service starts a loop, if there is none, and an agent submits properly: there is something to decide."""
        self.start(aggregate, ci(behind))
        self.transition(aggregate, an_agent(behind=behind), "submit_analysis", 0.9, signal=False)

    @rule(by=st.sampled_from(["dana", "sam", "kim"]), others=st.lists(st.sampled_from(["dana", "sam", "robin", "kim"])))
    def approve_latest(self, by, others) -> None:
        """People approve what they see, one after the other."""
        for each in [by, *others[:3]]:
            requests = [request for request in self.seen.values() if request.is_open]
            if requests:
                self.give(an_answer(requests[-1], "approve", each))

    @rule(
        data=st.data(), by=PEOPLE, answer=st.sampled_from(["approve", "reject", "expire"]), replicas=st.integers(0, 25)
    )
    def answer(self, data, by, answer, replicas) -> None:
        """Somebody answers a request they once saw, perhaps with an edit."""
        if not self.seen:
            return
        request = self.seen[data.draw(st.sampled_from(sorted(self.seen)))]
        edits = {"replicas": replicas} if replicas % 5 == 0 else {}
        self.give(an_answer(request, answer, by, reason="so", edits=edits))

    def give(self, click: HumanAnswer) -> None:
        """Give an answer, and check what it came to."""
        outcome = self.run(self.house.engine.answer(click, tenant=TENANT))
        if isinstance(outcome, Executed) and outcome.transition_id == "approve":
            assert len({decision.by.user_id for decision in outcome.request.approvals}) >= self.quorum
            event(f"approved by {self.quorum}")
        if click.by is None or click.by.user_id == "nobody":
            assert isinstance(outcome, Refused)
        event(outcome.code if isinstance(outcome, Refused) else outcome.outcome)
        self.note(outcome)

    @rule(data=st.data(), by=PEOPLE, to=st.sampled_from(["dana", "sam", "kim", "zoe"]))
    def hand_over(self, data, by, to) -> None:
        """An approver hands their part to somebody."""
        if self.seen:
            request = data.draw(st.sampled_from(sorted(self.seen)))
            ask = {"request_id": request, "by": person(by) if by else None, "to_person": to, "channel": {}}
            key = f"hand:{len(self.seen)}:{data.draw(st.integers())}"
            self.note(self.run(self.house.engine.consult(HumanAsk(**ask, key=key), tenant=TENANT)))

    @rule(data=st.data(), actor=ACTORS)
    def withdraw(self, data, actor) -> None:
        """Somebody takes a request back."""
        if self.seen:
            request = data.draw(st.sampled_from(sorted(self.seen)))
            self.note(self.run(self.house.engine.withdraw(tenant=TENANT, request_id=request, actor=actor)))

    @rule(aggregate=AGGREGATES, what=st.sampled_from(["cancel", "suspend", "resume"]))
    def administer(self, aggregate, what) -> None:
        """Somebody cancels, suspends or resumes."""
        act = getattr(self.house.engine, what)
        self.note(self.run(act(tenant=TENANT, aggregate_id=aggregate, actor=person("dana"))))

    @rule(who=st.sampled_from(["dana", "sam"]), leaves=st.booleans())
    def change_group(self, who, leaves) -> None:
        """Somebody leaves or joins the group that may decide."""
        self.house.people.known[who] = a_person(who) if leaves else a_person(who, "sre")

    @rule(hours=st.sampled_from([1, 5]))
    def time_passes(self, hours) -> None:
        """Time passes, and what is due takes effect."""
        self.house.clock.move(timedelta(hours=hours))
        for deadline in self.run(self.house.store.due(self.house.clock.now())):
            self.note(self.run(self.house.engine.fall_due(deadline)))

    @rule(succeeded=st.booleans())
    def effects_end(self, succeeded) -> None:
        """What integrations were asked comes to an end."""
        for instance_id in sorted(self.instances):
            for effect in self.run(self.house.effects(instance_id, "integration.run")):
                claim = self.run(self.house.store.claim(effect.effect_id, lease=timedelta(seconds=5)))
                if claim:
                    self.note(self.run(self.house.engine.settle(effect, claim.fence, succeeded=succeeded, detail={})))

    @invariant()
    def no_closed_instance_moves(self) -> None:
        """State, status and evidence of a closed instance stay as they were."""
        for instance_id in self.instances:
            now = self.run(self.house.store.load(TENANT, instance_id)).instance
            before = self.closed.get(instance_id)
            if before:
                assert (now.state, now.status, now.evidence) == (before.state, before.status, before.evidence)
            elif now.status in {"completed", "failed", "cancelled"}:
                self.closed[instance_id] = now

    def teardown(self) -> None:
        """At the end, read every ledger and every effect."""
        if hasattr(self, "house"):
            self.every_history_verifies()
            self.nothing_is_decided_twice_or_runs_unapproved()

    def every_history_verifies(self) -> None:
        """Every ledger verifies up to its instance's head."""
        for instance_id in self.instances:
            loaded = self.run(self.house.store.load(TENANT, instance_id))
            events = self.run(self.house.store.events(TENANT, instance_id))
            assert isinstance(verify(events, loaded.instance.head), Verified)

    def nothing_is_decided_twice_or_runs_unapproved(self) -> None:
        """A request closes once; each run rests on an approved request with the very digest it was granted."""
        for instance_id in self.instances:
            events = self.run(self.house.store.events(TENANT, instance_id))
            closed = [entry.data["requestId"] for entry in events if entry.type == "approval.closed"]
            assert len(closed) == len(set(closed))
            runs = self.run(self.house.effects(instance_id, "integration.run"))
            assert len(runs) <= 1
            for run in runs:
                request = self.run(self.house.store.load_request(TENANT, run.grant.request_id)).request
                assert request.status == "approved"
                assert (request.version, request.digest) == (run.grant.request_version, run.grant.digest)
                assert run.payload["parameters"] == request.proposal.runs[0].parameters


Governance.TestCase.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)
TestGovernance = Governance.TestCase
