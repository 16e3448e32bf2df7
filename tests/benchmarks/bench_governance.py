"""
How fast the governance runtime decides, beside what it could not be faster than.

One in-memory transition with three hard guards (evidence-required of three fields, confidence 0.8, human-only): two
events built, chained, hashed and spelled. See the README beside this file for how to read the figures.
"""

import asyncio
import gc
import hashlib
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from builders import DATA, MORNING, TENANT, CountingIds, a_house, ci, person

from gateway.storage.frozen import frozen
from loops import decide
from loops.definition import LoopDefinition
from loops.evidence import accept
from loops.guards import GuardContext
from loops.judging import Judge
from loops.ports import Loaded
from loops.redaction import RedactionRules, redact
from loops.requests import TransitionRequest

LOOP = LoopDefinition.model_validate(
    {
        "id": "bench.loop",
        "version": "1.0.0",
        "initialState": "HERE",
        "states": [{"id": "HERE"}, {"id": "THERE"}, {"id": "END", "isTerminal": True}],
        "transitions": [
            {
                "id": name,
                "from": before,
                "to": after,
                "actors": ["human"],
                "guards": [
                    {"id": "evidence-required", "parameters": {"requiredFields": ["service", "reason", "ticket"]}},
                    {"id": "confidence-threshold", "parameters": {"threshold": 0.8}},
                    {"id": "human-only"},
                ],
            }
            for name, before, after in (("go", "HERE", "THERE"), ("back", "THERE", "HERE"), ("end", "THERE", "END"))
        ],
    }
)
EVIDENCE = {"service": "checkout", "reason": "sale", "ticket": "OPS-7", "confidence": 0.9}

#: Calls in one batch, and batches; the best batch counts, as the others were disturbed: so batches are short.
CALLS, BATCHES = 100, 150


def best(call: Callable[[], object]) -> float:
    """Return the CPU seconds of one *call*, in the best batch."""
    found = []
    for _ in range(BATCHES):
        gc.collect()
        began = time.process_time()
        for _ in range(CALLS):
            call()
        found.append((time.process_time() - began) / CALLS)
    return min(found)


async def best_async(call: Callable[[], Awaitable[object]]) -> float:
    """Return the CPU seconds of one awaited *call*, in the best batch."""
    found = []
    for _ in range(BATCHES):
        gc.collect()
        began = time.process_time()
        for _ in range(CALLS):
            await call()
        found.append((time.process_time() - began) / CALLS)
    return min(found)


async def measure() -> dict[str, float]:
    """Return seconds by what was measured."""
    house = a_house(LOOP)
    started = await house.engine.start(tenant=TENANT, loop_id=LOOP.id, aggregate_id="B", data=DATA, actor=ci())
    assert started.instance is not None
    loaded = Loaded(frozen(started.instance), LOOP, None)
    asked = TransitionRequest(name="go", actor=person("dana"), evidence=EVIDENCE)
    accepted = TransitionRequest(name="go", actor=person("dana"), evidence=accept(EVIDENCE))
    rules = LOOP.exits("HERE")[0].guards
    context = GuardContext(actor=asked.actor, evidence=asked.evidence, instance=loaded.instance, now=MORNING)
    judge, ids, rules_of_secrets = Judge(), CountingIds(), RedactionRules()
    verdicts = await judge.judge(rules, context)
    commit = decide.decide(loaded, asked, verdicts, MORNING, ids).commit
    assert commit is not None
    lines = [each.line for each in commit.sealed]
    bodies = [json.loads(line) for line in lines]

    turn = 0

    async def through_the_engine() -> object:
        nonlocal turn
        turn += 1
        name = "go" if turn % 2 else "back"
        return await house.engine.transition(
            tenant=TENANT, aggregate_id="B", transition=name, actor=person("dana"), evidence=EVIDENCE
        )

    assert (await through_the_engine()).outcome == "executed"  # type: ignore[attr-defined]
    return {
        "floor: SHA-256 of the two events' bytes": best(lambda: [hashlib.sha256(line).digest() for line in lines]),
        "floor: json.dumps of the two events": best(lambda: [json.dumps(body, sort_keys=True) for body in bodies]),
        "part: three guards judged": await best_async(lambda: judge.judge(rules, context)),
        "part: the request, validated": best(
            lambda: TransitionRequest(name="go", actor=asked.actor, evidence=EVIDENCE)
        ),
        "part: evidence accepted": best(lambda: accept(EVIDENCE)),
        "part: evidence looked through for secrets": best(lambda: redact(EVIDENCE, rules_of_secrets)),
        "part: an actor seen before, made anew, and its canonical JSON": best(lambda: person("dana").canonical),
        "part: a transition's instance frozen for keeping": best(lambda: frozen(commit.instance, loaded.instance)),
        "decide: pure, events built, chained and hashed": best(
            lambda: decide.decide(loaded, asked, verdicts, MORNING, ids)
        ),
        "decide: the same, its evidence accepted before, as the engine has it": best(
            lambda: decide.decide(loaded, accepted, verdicts, MORNING, ids)
        ),
        "engine + in-memory store, with ledger": await best_async(through_the_engine),
    }


def main() -> None:
    """Measure and print."""
    figures = asyncio.run(measure())
    table = Table("what", "us", "per second of one core", box=None, header_style="bold")
    for what, seconds in figures.items():
        table.add_row(what, f"{seconds * 1e6:.1f}", f"{1 / seconds:,.0f}")
    Console(width=110).print(table)
    ratios: dict[str, Any] = {what: round(seconds * 1e6, 1) for what, seconds in figures.items()}
    print(json.dumps(ratios))


if __name__ == "__main__":
    main()
