"""
Racing clicks: eight people approve or reject one change at the same moment, round after round.

Run as a program (`make races`) for 200 rounds on a stack of its own.
"""

import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
from stack import Stack

CLICKERS = [f"sre{number}" for number in range(1, 9)]


def race(stack: Stack, change: str, client: httpx2.Client, pool: ThreadPoolExecutor) -> str:
    """
    Run one round and return how it was decided.

    Rejections need a reason, so half of the clickers have the modal open before the gun goes off.
    """
    card = stack.propose(change)
    views = {}
    for clicker in CLICKERS[1::2]:
        stack.click(card, "Reject", clicker, client)
        views[clicker] = stack.view(clicker)
    before = {clicker: stack.last_private_word_at(clicker) for clicker in CLICKERS}

    def act(clicker: str) -> dict[str, Any]:
        if clicker in views:
            return stack.submit(clicker, views[clicker], f"no, says {clicker}")
        return stack.click(card, "Approve", clicker, client)

    answers = list(pool.map(act, CLICKERS))
    assert [answer["status"] for answer in answers] == [200] * 8, answers
    events = stack.until(lambda: _settled(stack, change), f"{change} to be completed")

    decided = [event["data"]["decision"] for event in events if event["type"] == "approval.decision.recorded"]
    refused = [event["data"]["by"]["userId"] for event in events if event["type"] == "approval.decision.refused"]
    assert len(decided) == 1
    winner, kind = decided[0]["by"], decided[0]["kind"]
    assert sorted([winner["userId"], *refused]) == CLICKERS
    calls = [call for call in stack.calls()["received"] if call["data"]["aggregateId"] == change]
    assert len(calls) == (1 if kind == "approve" else 0)
    said = {clicker: answer["body"] for clicker, answer in zip(CLICKERS, answers, strict=True)}
    _check_answers(stack, change, winner, before, said)
    return str(kind)


def _settled(stack: Stack, change: str) -> list[dict[str, Any]] | None:
    events = stack.audited(change)
    types = [event["type"] for event in events]
    answered = types.count("approval.decision.recorded") + types.count("approval.decision.refused")
    return events if "loop.completed" in types and answered == len(CLICKERS) else None


def _check_answers(
    stack: Stack, change: str, winner: dict[str, Any], before: dict[str, float], said: dict[str, str]
) -> None:
    """The winner sees their name on the card; every other is told privately who decided, in the modal or beside it."""
    stack.card(change, saying=winner["displayName"])
    for clicker in CLICKERS:
        if clicker == winner["userId"] or winner["displayName"] in said[clicker]:
            continue
        words = stack.until(
            lambda clicker=clicker: stack.private_words(clicker, after=before[clicker]), f"a private word to {clicker}"
        )
        assert winner["displayName"] in words[-1], (clicker, words)


def main(rounds: int) -> None:
    """Run *rounds* rounds and print the figures."""
    started = time.monotonic()
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="loopgate-races-") as home, Stack(Path(home)) as stack:
        with httpx2.Client(timeout=30) as client, ThreadPoolExecutor(8) as pool:
            for number in range(rounds):
                outcomes.append(race(stack, f"RACE-{number}", client, pool))
                print(f"\r{number + 1}/{rounds}", end="", file=sys.stderr)
        acted = stack.calls()["acted"]
    figures = {
        "rounds": rounds,
        "clicks": rounds * len(CLICKERS),
        "approved": outcomes.count("approve"),
        "rejected": outcomes.count("reject"),
        "integration calls": len(acted),
        "seconds": round(time.monotonic() - started, 1),
    }
    assert figures["integration calls"] == figures["approved"]
    print("\n" + json.dumps(figures))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
