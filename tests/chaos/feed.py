"""What people see: the cards in the channel, followed live over the sandbox's change feed."""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import httpx2
from chaos.records import CardSeen
from stack import CHANNEL

_CHANGE = re.compile(r"CHAOS-\d{5}")
_CARD = "loopgate_card"


class Feed:
    """The cards by change, as they are now, and whoever waits for them to change."""

    def __init__(self, sandbox: str, progressed: Callable[[], None], posted: Callable[[], None]) -> None:
        """*progressed* is called whenever a message comes or changes, *posted* when it is a new card."""
        self._sandbox = sandbox
        self._progressed = progressed
        self._posted = posted
        self._changed = asyncio.Condition()
        self.cards: dict[str, dict[str, Any]] = {}
        #: The same as they were first seen.
        self.first: dict[str, dict[str, Any]] = {}

    async def follow(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                async with (
                    httpx2.AsyncClient(timeout=httpx2.Timeout(10, read=60)) as client,
                    client.stream("GET", f"{self._sandbox}/sandbox/events") as stream,
                ):
                    async for line in stream.aiter_lines():
                        if line.startswith("data: "):
                            await self._heard(client, json.loads(line[6:]))
            except httpx2.TransportError:
                await asyncio.sleep(0.2)

    async def card(self, change: str, when: Callable[[dict[str, Any]], bool], until: float) -> dict[str, Any] | None:
        """Wait until the card of *change* is as *when* says, and return it; None where it is not so in time."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(max(0.0, until - loop.time())), self._changed:
                await self._changed.wait_for(lambda: change in self.cards and when(self.cards[change]))
                return self.cards[change]
        except TimeoutError:
            return None

    async def _heard(self, client: httpx2.AsyncClient, change: Mapping[str, Any]) -> None:
        if change["type"] in {"hello", "reset"}:
            # Read after it has begun to follow, so that nothing comes in between.
            await self._read_all(client)
        elif change["type"] in {"message.posted", "message.changed"}:
            self._progressed()
            if seen := card_of(change["message"]):
                if change["type"] == "message.posted":
                    self._posted()
                await self._keep(seen.change, change["message"])

    async def _read_all(self, client: httpx2.AsyncClient) -> None:
        answer = await client.get(f"{self._sandbox}/sandbox/messages", params={"channel": CHANNEL})
        for message in answer.json()["messages"]:
            if seen := card_of(message):
                await self._keep(seen.change, message)

    async def _keep(self, change: str, message: dict[str, Any]) -> None:
        async with self._changed:
            self.cards[change] = message
            self.first.setdefault(change, message)
            self._changed.notify_all()


def card_of(message: Mapping[str, Any]) -> CardSeen | None:
    """Return what a message shows if it is a card, else None."""
    metadata = message.get("metadata") or {}
    named = _CHANGE.search(message["text"])
    if metadata.get("event_type") != _CARD or named is None or message.get("ephemeral_to"):
        return None
    labels = tuple(element["text"]["text"] for element in buttons(message))
    return CardSeen(named[0], metadata["event_payload"]["request_id"], message["ts"], message["text"], labels)


def buttons(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the buttons of a message."""
    return [
        element
        for block in message["blocks"]
        if block["type"] == "actions"
        for element in block["elements"]
        if element["type"] == "button"
    ]


def is_open(message: Mapping[str, Any]) -> bool:
    """Whether a card still offers to decide."""
    return any(element["text"]["text"] in {"Approve", "Reject"} for element in buttons(message))
