"""
The story: plays the whole of the demo without a person, over HTTP, and believes nothing.

Every step is checked where it must show: on the ledger (read back from the store), at the receiver that plays the
deployer, and in the local Slack. The first thing that does not hold ends the story.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import httpx2
from pydantic import SecretStr
from rich.console import Console
from rich.text import Text

from gateway.audit import AuditedLedger, audit
from gateway.demo.cast import ALEX, DANA, ROBIN, Member
from gateway.demo.ci import Ci
from gateway.demo.scenarios import OWN_CHANGE
from gateway.demo.supervisor import Demo, DemoFailed
from gateway.demo.watch import TENANT
from gateway.ledger_table import ledger_table
from gateway.standard_webhooks import new_secret
from gateway.storage.connect import connect
from gateway.storage.redis_store import RedisStore
from loops.errors import LoopgateError
from loops.events import Event, EventType
from loops.ledger import Broken, Verified

#: Seconds any one thing may take before the story fails.
PATIENCE_S = 15.0
#: Seconds in which Slack wants a click acknowledged. Source: facts/slack, "Ack".
ACK_S = 3.0

_POLL_S = 0.05
_LABEL_WIDTH = 12
#: Columns that the whole table of the ledger needs.
_TABLE_WIDTH = 115
#: The state in which the scenario's loop waits for a human, and the one it ends in.
_WAITING, _DONE = "PENDING_HUMAN_APPROVAL", "COMPLETE"

T = TypeVar("T")
Json = Mapping[str, Any]


class DidNotHappen(Exception):  # noqa: N818 - what became of the story
    """A step of the story did not take place; the message says what was expected and what was there instead."""


class _Stopped(Exception):  # noqa: N818 - what became of the story
    pass


def tell(console: Console, demo: Demo, stop: threading.Event) -> bool | None:
    """Play the story on the running *demo*; True if all of it happened, False if not, None if *stop* was set."""
    try:
        asyncio.run(_told(console, demo, stop))
    except _Stopped:
        return None
    except (DidNotHappen, DemoFailed, LoopgateError, httpx2.HTTPError) as error:
        console.print(Text(f"✗ {str(error) or type(error).__name__}", "red"), soft_wrap=True)
        return False
    return True


async def _told(console: Console, demo: Demo, stop: threading.Event) -> None:
    redis = connect(demo.store_url)
    try:
        async with httpx2.AsyncClient(timeout=PATIENCE_S, trust_env=False) as http:
            await _Story(console, demo, stop, http, RedisStore(redis)).tell()
    finally:
        await redis.aclose()


class _Story:
    def __init__(
        self, console: Console, demo: Demo, stop: threading.Event, http: httpx2.AsyncClient, store: RedisStore
    ) -> None:
        self._console = console
        self._demo = demo
        self._stop = stop
        self._http = http
        self._store = store
        self._aggregate = ""
        self._card: tuple[str, str] = ("", "")
        self._button = ""

    async def tell(self) -> None:
        """Play every step in order."""
        began = time.monotonic()
        self._console.print()
        await self._a_forged_webhook_is_refused()
        await self._an_agent_proposes()
        await self._the_submission_is_judged()
        await self._a_card_is_posted()
        await self._is_refused(ALEX, "unmapped_identity", "a stranger's click")
        await self._is_refused(ROBIN, "self_approval", "the click of the person behind the agent")
        delivery = await self._a_human_approves()
        effect_id = await self._the_deployer_is_called_once()
        await self._the_loop_completes()
        await self._the_click_again_changes_nothing(delivery, effect_id)
        await self._the_learning_signal_is_there()
        await self._the_ledger_verifies(effect_id)
        self._console.print(
            Text.assemble("\nAll of it happened, in ", (f"{time.monotonic() - began:.1f} s", "bold"), ".")
        )

    async def _a_forged_webhook_is_refused(self) -> None:
        forger = Ci(self._http, f"{self._demo.addresses.gateway}/webhooks/ci", SecretStr(new_secret()))
        delivery = await forger.propose(OWN_CHANGE)
        self._expect(delivery.status == 401, f"a webhook with another signature got {delivery.status}, not 401")
        found = await self._store.load_aggregate(TENANT, delivery.aggregate_id)
        self._expect(found is None, "a webhook with another signature started a loop")
        self._step("forgery", "a webhook signed with another secret was refused: 401, nothing written")

    async def _an_agent_proposes(self) -> None:
        status, answer = await self._post(f"{self._demo.addresses.stage}/propose", {"scenario": OWN_CHANGE.id})
        self._expect(status == 201 and answer["status"] == 202, f"the proposal was not taken: {answer}")
        self._aggregate = answer["aggregateId"]
        event = await self._event("loop.started")
        actor = event.data["actor"]
        self._expect(actor.get("onBehalfOf") == ROBIN.person, f"nobody is known to be behind the agent: {actor}")
        self._step(
            "started",
            f"{self._aggregate}: {OWN_CHANGE.data['summary']}, proposed by {OWN_CHANGE.agent} through a signed webhook",
        )

    async def _the_submission_is_judged(self) -> None:
        event = await self._event("loop.transition.executed")
        actor, guards = event.data["actor"], event.data["guards"]
        self._expect(
            actor["type"] == "ai-agent" and event.data["toState"] == _WAITING,
            f"the first move was {actor['type']} to {event.data['toState']}, not the agent's to {_WAITING}",
        )
        self._expect(bool(guards) and all(guard["passed"] for guard in guards), f"guards objected: {guards}")
        self._expect(len(actor.get("promptHash", "")) == 64, "the prompt's hash is not on the ledger")
        names = ", ".join(guard["guardId"] for guard in guards)
        self._step(
            "submission", f"{actor['modelId']} ({actor['provider']}), confidence {actor['confidence']}; passed {names}"
        )

    async def _a_card_is_posted(self) -> None:
        event = await self._event("approval.card.posted")
        self._card = (event.data["channel"], event.data["ts"])
        approve = _button(await self._message(), "Approve")
        self._expect(approve is not None, "the card in Slack has no Approve button")
        self._button = str(approve)
        self._step("card posted", f"in #{OWN_CHANGE.room.name}, with Approve, Reject and Details")

    async def _is_refused(self, member: Member, code: str, whose: str) -> None:
        await self._click(member)
        event = await self._event("approval.decision.refused", lambda event: event.data["code"] == code)
        told = await self._until(f"Slack tells {member.name}", lambda: self._told_privately(member))
        channel = event.data.get("channel") or {}
        self._expect(channel.get("slackUserId") == member.slack, f"the refusal names another user: {channel}")
        self._expect(not await self._calls(), "the deployer was called by a refused click")
        await self._expect_state("active", _WAITING)
        self._step("refused", f"{whose} ({member.name}): {code}; told privately: “{told}”")

    async def _a_human_approves(self) -> str:
        answer = await self._click(DANA)
        ack_ms = float(answer["ack_ms"])
        self._expect(ack_ms < ACK_S * 1000, f"the click was acknowledged after {ack_ms:.0f} ms")
        event = await self._event("approval.decision.recorded")
        decision = event.data["decision"]
        by = decision["by"]
        self._expect(decision["kind"] == "approve" and by["userId"] == DANA.person, f"recorded was {decision}")
        self._expect(bool(by.get("authenticatedBy")), "no channel vouches for the person")
        self._step("approved", f"by {by['displayName']} in Slack, acknowledged in {ack_ms:.0f} ms")
        return str(answer["delivery_id"])

    async def _the_deployer_is_called_once(self) -> str:
        event = await self._event("effect.succeeded", lambda event: event.data["kind"] == "integration.run")
        effect_id = str(event.data["effectId"])
        call = await self._expect_one_call(effect_id)
        self._step(
            "called once", f"{call['system']}: {call['action']} of {call['parameters']['service']} ({effect_id})"
        )
        return effect_id

    async def _the_loop_completes(self) -> None:
        event = await self._event("loop.completed")
        self._expect(event.data["finalState"] == _DONE, f"the loop ended in {event.data['finalState']}")
        await self._expect_state("completed", _DONE)

        async def card_says_so() -> str | None:
            message = await self._message()
            text = str(message["text"])
            return text if _button(message, "Approve") is None and DANA.name in text and "executed" in text else None

        said = await self._until("the card says that it was approved by Dana and executed", card_says_so)
        self._step("completed", f"in {_DONE} after {event.data['durationMs'] / 1000:.1f} s; the card: “{said}”")

    async def _the_click_again_changes_nothing(self, delivery_id: str, effect_id: str) -> None:
        again = {"delivery_id": delivery_id, "count": 4}
        _, answer = await self._post(f"{self._demo.addresses.sandbox}/sandbox/replay", again)
        taken = [delivery.get("status") for delivery in answer.get("deliveries", [])]
        self._expect(taken == [401] * 4, f"the same signed click, sent four more times, was answered {taken or answer}")
        await self._expect_one_call(effect_id)
        decisions = [event for event in await self._events() if event.type == "approval.decision.recorded"]
        self._expect(len(decisions) == 1, f"{len(decisions)} decisions are on the ledger, not one")
        self._step("replayed", "the same signed click was sent four more times: refused, nothing ran again")

    async def _the_learning_signal_is_there(self) -> None:
        event = await self._event("loop.learning.recorded")
        who = ", ".join(f"{each['transitionCount']} by {each['actorType']}" for each in event.data["actorSummary"])
        self._step("learning", f"signal recorded: {event.data['transitionCount']} transitions, {who}")

    async def _the_ledger_verifies(self, effect_id: str) -> None:
        audited = await self._audited()
        self._console.print()
        table = ledger_table(audited.events)
        for column in table.columns:
            column.no_wrap = column.header != "what"
        if self._console.width < _TABLE_WIDTH:
            table.columns = [column for column in table.columns if column.header not in {"time (UTC)", "what"}]
        self._console.print(table)
        self._console.print()
        match audited.verdict:
            case Broken(sequence=sequence, reason=reason):
                raise DidNotHappen(f"the ledger is broken at {sequence}: {reason}")
            case Verified(head=head):
                self._step("verified", f"{head.sequence} events, every hash recomputed; head {head.hash}")
        await self._expect_one_call(effect_id)

    # Acting and looking

    async def _click(self, member: Member) -> Json:
        channel, ts = self._card
        click = {"user": member.slack, "channel": channel, "ts": ts, "action_id": self._button}
        status, answer = await self._post(f"{self._demo.addresses.sandbox}/sandbox/act/click", click)
        self._expect(status == 200 and answer["status"] == 200, f"{member.name}'s click was answered {answer}")
        self._expect(not answer["warning"], f"{member.name}'s click: {answer['warning']}")
        return answer

    async def _message(self) -> Json:
        channel, ts = self._card
        answer = await self._get(f"{self._demo.addresses.sandbox}/sandbox/messages?channel={channel}")
        found = [message for message in answer["messages"] if message["ts"] == ts]
        self._expect(len(found) == 1, f"Slack has {len(found)} messages where the ledger says the card is")
        message: Json = found[0]
        return message

    async def _told_privately(self, member: Member) -> str | None:
        answer = await self._get(f"{self._demo.addresses.sandbox}/sandbox/ephemerals?user={member.slack}")
        return str(answer["messages"][-1]["text"]) if answer["messages"] else None

    async def _calls(self) -> list[Json]:
        answer = await self._get(f"{self._demo.addresses.stage}/calls")
        return [call for call in answer["calls"] if call["aggregateId"] == self._aggregate]

    async def _expect_one_call(self, effect_id: str) -> Json:
        calls = await self._calls()
        summary = [(call["id"], call["performed"], call["repeats"]) for call in calls]
        self._expect(summary == [(effect_id, 1, 0)], f"the deployer says (id, performed, repeats): {summary}")
        return calls[0]

    async def _expect_state(self, status: str, state: str) -> None:
        instance = (await self._audited()).instance
        there = (instance.status, instance.state)
        self._expect(there == (status, state), f"the loop is {there[0]} in {there[1]}, not {status} in {state}")

    async def _audited(self) -> AuditedLedger:
        audited = await audit(self._store, TENANT, self._aggregate)
        if audited is None:
            raise DidNotHappen(f"there is no loop on {self._aggregate}")
        return audited

    async def _events(self) -> tuple[Event, ...]:
        return (await self._audited()).events

    async def _event(self, kind: EventType, fits: Callable[[Event], bool] = lambda _: True) -> Event:
        """Return the first fitting event of the loop, waiting for it."""

        async def find() -> Event | None:
            return next((event for event in await self._events() if event.type == kind and fits(event)), None)

        return await self._until(f"{kind} on the ledger of {self._aggregate}", find)

    async def _until(self, what: str, look: Callable[[], Awaitable[T | None]]) -> T:
        until = time.monotonic() + PATIENCE_S
        while (found := await look()) is None:
            if self._stop.is_set():
                raise _Stopped
            self._demo.check()
            if time.monotonic() > until:
                raise DidNotHappen(f"waited {PATIENCE_S:.0f} s for: {what}")
            await asyncio.sleep(_POLL_S)
        return found

    async def _get(self, url: str) -> Json:
        answer: Json = (await self._http.get(url)).json()
        return answer

    async def _post(self, url: str, body: Json) -> tuple[int, Json]:
        response = await self._http.post(url, json=body)
        return response.status_code, response.json()

    def _expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise DidNotHappen(otherwise)

    def _step(self, label: str, words: str) -> None:
        self._console.print(Text.assemble(("✓ ", "green"), (f"{label:<{_LABEL_WIDTH}}", "bold"), words), soft_wrap=True)


def _button(message: Json, text: str) -> str | None:
    """Return the action id of the message's button that reads *text*."""
    for block in message["blocks"]:
        for element in block.get("elements", []):
            if element.get("type") == "button" and element["text"]["text"] == text:
                return str(element["action_id"])
    return None
