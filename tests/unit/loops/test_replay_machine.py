"""Replay under any sequence of acts: whatever people, agents, systems and time did, judged again it is the same."""

import asyncio

from builders import TENANT, an_agent, person
from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule
from unit.loops.test_governance_machine import ACTORS, AGGREGATES, PEOPLE, Governance

from loops.approvals import HumanAsk
from loops.replay import replay, standing


class Replaying(Governance):
    """All that anybody may try, more of what people may say to each other, and in the end everything judged again."""

    @rule(data=st.data(), by=PEOPLE, text=st.sampled_from(["Why now?", "Who pays?"]))
    def ask(self, data, by, text) -> None:
        """An approver asks something."""
        if self.seen:
            request = data.draw(st.sampled_from(sorted(self.seen)))
            key = f"ask:{data.draw(st.integers())}"
            asking = HumanAsk(
                request_id=request, by=person(by) if by else None, question=text, channel={"slackUserId": "U1"}, key=key
            )
            self.note(self.run(self.house.engine.consult(asking, tenant=TENANT)))

    @rule(data=st.data(), actor=ACTORS)
    def inform(self, data, actor) -> None:
        """Somebody answers a question, or one that nobody asked."""
        if self.seen:
            request = self.seen[data.draw(st.sampled_from(sorted(self.seen)))]
            questions = [each.question_id for each in request.questions] or ["qu_none"]
            told = self.house.engine.inform(
                tenant=TENANT,
                request_id=request.request_id,
                question_id=data.draw(st.sampled_from(questions)),
                text="Because.",
                actor=actor,
            )
            self.note(self.run(told))

    @rule(aggregate=AGGREGATES)
    def fail(self, aggregate) -> None:
        """A system gives a loop up."""
        broken = {"code": "E1", "message": "it broke"}
        self.note(self.run(self.house.engine.fail(tenant=TENANT, aggregate_id=aggregate, actor=an_agent(), **broken)))

    def teardown(self) -> None:
        """In the end, judge every history again."""
        super().teardown()
        for instance_id in sorted(getattr(self, "instances", ())):
            asyncio.run(self.is_the_same_again(instance_id))

    async def is_the_same_again(self, instance_id: str) -> None:
        """One history judged again agrees to its end, and so does the instance the store keeps."""
        loaded = await self.house.store.load(TENANT, instance_id)
        events = await self.house.store.events(TENANT, instance_id)
        replayed = replay(events, loaded.definition)

        assert replayed.deviation is None, [(entry.sequence, entry.type, entry.data) for entry in events]
        assert replayed.events == len(events)
        assert standing(replayed, loaded.instance) == ()
        for entry in events:
            event(f"replayed {entry.type}")


Replaying.TestCase.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)
TestReplaying = Replaying.TestCase
