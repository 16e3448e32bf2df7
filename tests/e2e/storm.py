"""
The storm: hundreds of requests into one channel, as many decisions, and a Slack that limits, breaks and hangs.

`make storm` runs a larger one and prints the figures.
"""

import json
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from stack import CHANGE, Stack, slack_id

#: How many times faster than Slack allows: 300 cards at one a second would take five minutes.
PACE = 40.0

#: How long every injected 429 asks to wait. A call that left before the answer arrived could not know of it, and this
#: machine is shared: what comes later than the grace, and before the end, did not heed it.
RETRY_AFTER_S, GRACE_S = 3, 1.0

#: What goes wrong, as (method, kind, how often, every how many calls).
FAULTS = (
    ("chat.postMessage", "429", 3, 70),
    ("chat.postMessage", "reset_after_accept", 8, 31),
    ("chat.postMessage", "5xx", 4, 47),
    ("chat.update", "429", 2, 90),
    ("chat.update", "reset_after_accept", 6, 37),
    ("chat.update", "drop", 6, 29),
    ("conversations.history", "429", 1, 3),
)

#: Every so manieth request is rejected, with a reason; the others are approved and carried out.
REJECTED_EVERY = 10

DECIDERS = ("dana", "sam", *(f"sre{number}" for number in range(1, 9)))
_TURNS = {name: threading.Lock() for name in DECIDERS}
_CHANGE = re.compile(r"STORM-\d{4}")
#: What a card says as long as it can be decided.
_OPEN = '"text": "Approve"'


@dataclass
class Storm:
    """What became of a storm."""

    size: int
    cards: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    decided: dict[str, str] = field(default_factory=dict)
    calls: list[dict[str, Any]] = field(default_factory=list)
    acted: int = 0
    posted_s: float = 0.0
    settled_s: float = 0.0

    def wrong(self) -> dict[str, str]:
        """Return the changes whose cards are not one, with the face of what was decided, and no button to decide."""
        changes = [change_id(number) for number in range(self.size)]
        return {change: why for change in changes if (why := self._why_wrong(change))}

    def too_early(self) -> list[tuple[str, float, float]]:
        """Return calls that did not wait out a 429 that their caller could know of."""
        early = [(call["method"], call["too_early"]) for call in self.calls if call["too_early"]]
        return [(method, each["since_s"], each["early_s"]) for method, each in early if each["since_s"] > GRACE_S]

    def figures(self) -> dict[str, Any]:
        """Return what to print."""
        statuses = Counter((call["method"], call["status"]) for call in self.calls if call["method"] != "users.info")
        return {
            "requests": self.size,
            "cards posted after s": round(self.posted_s, 1),
            "all faces right after s": round(self.settled_s, 1),
            "integration calls": self.acted,
            "calls": {f"{method} {status}": count for (method, status), count in sorted(statuses.items())},
            "calls while a 429 held": sum(1 for call in self.calls if call["too_early"]),
            "calls that did not heed it": len(self.too_early()),
        }

    def _why_wrong(self, change: str) -> str:
        cards = self.cards.get(change, [])
        if len(cards) != 1:
            return f"{len(cards)} cards"
        shown = json.dumps(cards[0], ensure_ascii=False)
        wanted = "Rejected" if self.decided.get(change) == "reject" else "Approved and executed"
        if wanted not in shown:
            return f"not {wanted}: {cards[0]['text']}"
        return "has a button to decide" if _OPEN in shown else ""


def change_id(number: int) -> str:
    """Return the id of a change."""
    return f"STORM-{number:04}"


def storm(stack: Stack, size: int, patience_s: float) -> Storm:
    """Let a storm go over *stack*, started with a pace of `PACE`, and return what it left."""
    found = Storm(size)
    for method, kind, count, every in FAULTS:
        for number in range(count):
            fault = {"method": method, "kind": kind, "skip": every * (number + 1), "retry_after_s": RETRY_AFTER_S}
            stack.http.post(f"{stack.sandbox}/sandbox/faults", json=fault)
    started = time.monotonic()
    end = started + patience_s
    with httpx2.Client(timeout=30, limits=httpx2.Limits(max_connections=16)) as client, ThreadPoolExecutor(6) as pool:
        proposing = [pool.submit(_propose, stack, number) for number in range(size)]
        while time.monotonic() < end:
            found.cards = _cards(stack)
            if len(found.cards) == size and not found.posted_s:
                found.posted_s = time.monotonic() - started
            fresh = [change for change in found.cards if change not in found.decided]
            kinds = pool.map(lambda change: _decide(stack, client, change, found.cards[change][0]), fresh)
            found.decided |= {change: kind for change, kind in zip(fresh, kinds, strict=True) if kind}
            if len(found.decided) == size and not found.wrong():
                break
            time.sleep(0.5)
        assert [status for each in proposing if (status := each.result()) != 202] == []
    found.settled_s = time.monotonic() - started
    found.calls = list(stack.http.get(f"{stack.sandbox}/sandbox/calls").json()["calls"])
    found.acted = len(stack.calls()["acted"])
    return found


def _propose(stack: Stack, number: int) -> int:
    data = {**CHANGE, "changeId": change_id(number), "requestedBy": "lee"}
    return stack.deliver({"type": "change.proposed", "data": data}).status_code


def _cards(stack: Stack) -> dict[str, list[dict[str, Any]]]:
    cards: dict[str, list[dict[str, Any]]] = {}
    for message in stack.cards():
        if message.get("thread_ts") in {None, "", message["ts"]} and (named := _CHANGE.search(json.dumps(message))):
            cards.setdefault(named[0], []).append(message)
    return cards


def _decide(stack: Stack, client: httpx2.Client, change: str, card: dict[str, Any]) -> str:
    """Return how *change* was decided; nothing where no answer came in time, and the person presses again later."""
    number = int(change[-4:])
    kind = "approve" if number % REJECTED_EVERY else "reject"
    if _OPEN not in json.dumps(card, ensure_ascii=False):
        return kind  # the answer was late, and the decision counts
    if kind == "approve":
        return kind if _is_taken(stack.click(card, "Approve", DECIDERS[number % len(DECIDERS)], client)) else ""
    return kind if _reject(stack, client, change, card, DECIDERS[number // REJECTED_EVERY % len(DECIDERS)]) else ""


def _reject(stack: Stack, client: httpx2.Client, change: str, card: dict[str, Any], by: str) -> bool:
    """
    Reject in a modal; says whether that was taken in time.

    A person has one modal in front, so they give one answer at a time. One that opens late, for a press that was given
    up, may take the place of this one: then nothing is submitted here.
    """
    with _TURNS[by]:
        if not _is_taken(stack.click(card, "Reject", by, client)):
            return False
        views = client.get(f"{stack.sandbox}/sandbox/views", params={"user": slack_id(by)}).json()["views"]
        if not views or change not in json.dumps(views[-1]) or all(b["type"] != "input" for b in views[-1]["blocks"]):
            return False
        return _is_taken(stack.submit(by, views[-1], f"no {change}"))


def _is_taken(answer: Mapping[str, Any]) -> bool:
    """Whether the gateway acknowledged; what the person could not do any more (the modal is gone) was never sent."""
    return answer.get("status") == 200


def main(size: int) -> None:
    """Run a storm of *size* and print the figures."""
    with tempfile.TemporaryDirectory(prefix="loopgate-storm-") as home, Stack(Path(home), pace=PACE) as stack:
        stack.start_worker()
        found = storm(stack, size, patience_s=size * 2.0)
    print(json.dumps(found.figures(), indent=2))
    assert found.wrong() == {}
    assert found.too_early() == []


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
