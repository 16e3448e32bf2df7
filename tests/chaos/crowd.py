"""The crowd: senders who deliver until they are acknowledged, and people who click until they are heard."""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx2
from chaos.feed import Feed, buttons, is_open
from chaos.plan import GATEWAYS, Plan, Story
from chaos.records import Acknowledged
from chaos.world import World
from stack import CHANGE, CHANNEL, slack_id

#: How long a sender waits for an answer before it sends again, through the other gateway.
_SENDER_TIMEOUT_S = 4.0
_AGAIN_S = 0.7

#: How long people wait for the card of what may have been withdrawn before there was one.
_NO_CARD_S = 10.0


class Crowd:
    """Plays the stories of a plan against a world, and writes down what it was promised."""

    def __init__(self, world: World, plan: Plan, patience_s: float) -> None:
        """Nobody sends or clicks later than *patience_s* after the plan is over."""
        self._world = world
        self._plan = plan
        self._patience_s = patience_s
        self._http = httpx2.AsyncClient(timeout=15, limits=httpx2.Limits(max_connections=64))
        self._hands: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.acknowledged: list[Acknowledged] = []
        self.surprises: list[str] = []
        self.progress: list[float] = []
        self.counts: Counter[str] = Counter()
        self._armed: dict[str, Callable[[], None]] = {}
        self.feed = Feed(world.sandbox, self.progressed, lambda: self._reached("card posted, answer on its way"))
        self._until = 0.0
        self._began = 0.0

    async def run(self) -> None:
        """Play every story to its end."""
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        self._until = self._began + self._plan.seconds + self._patience_s
        following = asyncio.create_task(self.feed.follow())
        try:
            async with asyncio.TaskGroup() as group:
                for story in self._plan.stories:
                    group.create_task(self._play(story))
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await self._http.aclose()

    def arm(self, point: str, strike: Callable[[], None]) -> None:
        """Have *strike* called the next time *point* is reached."""
        self._armed[point] = strike

    def disarm(self, point: str) -> None:
        """Forget what was armed."""
        self._armed.pop(point, None)

    def progressed(self) -> None:
        """Note that something got on that can be seen from outside."""
        self.progress.append(time.time())

    def _reached(self, point: str) -> None:
        if strike := self._armed.pop(point, None):
            strike()

    async def _play(self, story: Story) -> None:
        await asyncio.sleep(max(0.0, self._began + story.at - asyncio.get_running_loop().time()))
        data = {**CHANGE, "changeId": story.change, "requestedBy": "lee"}
        await self._deliver(story, "proposed", {"type": "change.proposed", "data": data})
        async with asyncio.TaskGroup() as group:
            if story.kind == "withdraw":
                group.create_task(self._withdraw(story))
            if story.people:
                group.create_task(self._answer(story))
        if story.late:
            await self._come_late(story, story.late)

    async def _withdraw(self, story: Story) -> None:
        await asyncio.sleep(story.withdrawn_after_s)
        data = {"changeId": story.change, "requestedBy": "lee"}
        await self._deliver(story, "dropped", {"type": "change.dropped", "data": data})

    async def _answer(self, story: Story) -> None:
        # What was withdrawn at once asks nobody.
        soon = asyncio.get_running_loop().time() + _NO_CARD_S
        until = min(soon, self._until) if story.kind == "withdraw" else self._until
        card = await self.feed.card(story.change, lambda _: True, until)
        if card is None:
            return
        await asyncio.sleep(story.pause_s)
        clicks = 2 if story.kind == "double" else 1
        async with asyncio.TaskGroup() as group:
            for person in story.people:
                for _ in range(clicks):
                    decide = self._reject if person in story.rejects else self._approve
                    group.create_task(decide(story.change, card, person))

    async def _come_late(self, story: Story, person: str) -> None:
        first = self.feed.first.get(story.change)
        if first is None:
            return
        over = await self.feed.card(story.change, lambda card: not is_open(card), self._until)
        if over is not None:
            await self._approve(story.change, first, person)

    async def _approve(self, change: str, card: Mapping[str, Any], person: str) -> None:
        """Click Approve as it stood on *card*, until that is acknowledged or nobody could click it any more."""
        while self._has_time():
            answer = await self._click(card, "Approve", person)
            if answer is None:
                return
            if answer.get("status") == 200:
                self._acknowledge(change, "approve", person)
                self._reached("click acknowledged")
                return
            await asyncio.sleep(_AGAIN_S)

    async def _reject(self, change: str, card: Mapping[str, Any], person: str) -> None:
        """Click Reject and give a reason in the modal, until that is acknowledged."""
        async with self._hands[person]:
            while self._has_time():
                answer = await self._click(card, "Reject", person)
                if answer is None:
                    return
                if await self._give_reason(change, person):
                    self._acknowledge(change, "reject", person)
                    return
                current = self.feed.cards.get(change)
                if current is not None and not is_open(current):
                    return
                await asyncio.sleep(_AGAIN_S)

    async def _give_reason(self, change: str, person: str) -> bool:
        """Answer in the modal about *change*; one that opened late may be about what the person pressed before."""
        asked = {"user": slack_id(person)}
        views = (await self._sandbox_get("views", asked))["views"]
        ours = [view for view in views[-1:] if change in json.dumps(view)]
        inputs = [block for view in ours for block in view["blocks"] if block["type"] == "input"]
        try:
            if not inputs:
                return False
            values = {inputs[0]["block_id"]: {inputs[0]["element"]["action_id"]: "not now"}}
            self.counts["clicks"] += 1
            answer = await self._act("submit", {**asked, "view_id": views[-1]["id"], "values": values})
            return answer is not None and answer.get("status") == 200 and not answer.get("errors")
        finally:
            if views:
                await self._act("close", {**asked, "all": True})

    async def _click(self, card: Mapping[str, Any], button: str, person: str) -> dict[str, Any] | None:
        """Click; return what came of the delivery, or None where there is no such button (any more)."""
        found = [element for element in buttons(card) if element["text"]["text"] == button]
        if not found:
            return None
        self.counts["clicks"] += 1
        where = {"channel": CHANNEL, "ts": card["ts"], "action_id": found[0]["action_id"]}
        return await self._act("click", {"user": slack_id(person), **where})

    async def _act(self, what: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
        answer = await self._http.post(f"{self._world.sandbox}/sandbox/act/{what}", json=dict(body))
        return dict(answer.json()) if answer.status_code == 200 else None

    async def _sandbox_get(self, what: str, params: Mapping[str, str]) -> dict[str, Any]:
        return dict((await self._http.get(f"{self._world.sandbox}/sandbox/{what}", params=dict(params))).json())

    async def _deliver(self, story: Story, what: str, body: Mapping[str, Any]) -> None:
        """Send one webhook under one delivery id, through one gateway and then the other, until it is acknowledged."""
        payload, delivery, number = json.dumps(body), f"{story.change}-{what}", story.gateway
        self.counts["webhooks"] += 1
        while self._has_time():
            answer = await self._send(payload, delivery, number)
            if answer is not None and answer.is_success:
                self._acknowledge(story.change, what)
                self._reached("webhook acknowledged")
                return
            if answer is not None and 400 <= answer.status_code < 500 and answer.status_code not in {401, 429}:
                if what == "dropped" and answer.status_code == 409:
                    return  # it was over already
                self.surprises.append(
                    f"{what} of {story.change} was answered {answer.status_code}: {answer.text[:200]}"
                )
                return
            self.counts["webhooks sent again"] += 1
            number = 1 - number
            await asyncio.sleep(_AGAIN_S)
        self.surprises.append(f"{what} of {story.change} was never acknowledged")

    async def _send(self, payload: str, delivery: str, number: int) -> httpx2.Response | None:
        url = f"{self._world.gateway(number % len(GATEWAYS))}/webhooks/ci"
        headers = self._world.signed(payload, delivery, datetime.now(UTC))
        try:
            return await self._http.post(url, content=payload.encode(), headers=headers, timeout=_SENDER_TIMEOUT_S)
        except httpx2.TransportError:
            return None

    def _acknowledge(self, change: str, what: str, person: str = "") -> None:
        self.acknowledged.append(Acknowledged(change, what, time.time(), person))
        self.progressed()

    def _has_time(self) -> bool:
        return asyncio.get_running_loop().time() < self._until
