"""
Chaos: real processes under load while everything that can fail does, and then a checker that reads what is left.

``make chaos`` runs five seeds of five minutes; ``SEED=7 SECONDS_PER_SEED=60 SEEDS=2`` says otherwise. Each seed prints
its figures as one line of JSON, then what it broke, if anything; its processes' logs stay where it says then.
"""

import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.checker import check
from chaos.crowd import Crowd
from chaos.export import export, is_quiet
from chaos.mischief import Mischief
from chaos.plan import plan
from chaos.records import Found
from chaos.world import EXPIRES_S, World

from loops.errors import StoreUnavailable

#: How long everything may take to become quiet once nothing fails any more, beyond the time a silent change waits.
QUIET_WITHIN_S = 90.0


#: Changes proposed a second, and seconds between faults; in a short run more often, so that most kinds have their turn.
RATE, EVERY_S = 1.5, 4.0


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one seed."""

    found: Found
    breaches: list[str]
    figures: dict[str, Any]


def run(seed: int, seconds: float, home: Path) -> Report:
    """Run one seed in *home*. Clicks come over Socket Mode for every other seed, and over HTTP for the others."""
    made = plan(seed, seconds, rate=RATE, every_s=min(EVERY_S, seconds / 16))
    mode = "http" if seed % 2 else "socket"
    with World(home, mode) as world:
        found, figures = asyncio.run(_play(world, made))
    breaches = check(found)
    head = {"seed": seed, "seconds": seconds, "slack": mode, "load average": round(os.getloadavg()[0], 1)}
    return Report(found, breaches, {**head, **figures, "breaches": len(breaches)})


async def _play(world: World, made: Any) -> tuple[Found, dict[str, Any]]:
    patience_s = EXPIRES_S + QUIET_WITHIN_S
    crowd = Crowd(world, made, patience_s)
    mischief = Mischief(world, crowd, made)
    async with asyncio.TaskGroup() as group:
        group.create_task(crowd.run())
        await mischief.run()
        healed = time.monotonic()
    quiet_s = await _until_quiet(world, healed, patience_s)
    await mischief.settle(5.0)
    found = Found(
        acknowledged=crowd.acknowledged,
        injected=mischief.injected,
        surprises=[*crowd.surprises, *mischief.surprises],
    )
    await export(world, found)
    return found, _figures(found, crowd, mischief, quiet_s)


async def _until_quiet(world: World, since: float, patience_s: float) -> float:
    """Wait until nothing is left to do, or *patience_s* are over; return how long it took after *since*."""
    while time.monotonic() - since < patience_s:
        try:
            if await is_quiet(world):
                break
        except StoreUnavailable:
            pass
        await asyncio.sleep(0.5)
    return time.monotonic() - since


def _figures(found: Found, crowd: Crowd, mischief: Mischief, quiet_s: float) -> dict[str, Any]:
    seen = sorted([*crowd.progress, *(call.at for call in found.calls)])
    waits = [_first_after(seen, fault.ended) for fault in found.injected]
    ends = Counter(status for ledger in found.ledgers for status in _ends(ledger.events))
    return {
        "changes": len(found.ledgers),
        "ends": dict(sorted(ends.items())),
        **dict(sorted(crowd.counts.items())),
        "acknowledged": len(found.acknowledged),
        "integration calls": len(found.calls),
        "took place": sum(call.acted for call in found.calls),
        "faults": len(found.injected),
        **dict(sorted(mischief.counts.items())),
        "s to progress after a fault": _spread([wait for wait in waits if wait is not None]),
        "s from a worker's loss until its effects were taken up": _spread(mischief.taken_up),
        "s from a worker's loss until they were done": _spread(mischief.ended),
        "the slowest of those": mischief.slowest[1],
        "quiet after s": round(quiet_s, 1),
    }


def _ends(events: Any) -> list[str]:
    return [event["data"]["status"] for event in events if event["type"] == "approval.closed"]


def _first_after(moments: list[float], moment: float) -> float | None:
    return next((each - moment for each in moments if each >= moment), None)


def _spread(values: list[float]) -> dict[str, float]:
    """Return count, p50, p99 and the largest of *values*."""
    ordered = sorted(values)
    if not ordered:
        return {"n": 0}
    at = {
        name: ordered[min(len(ordered) - 1, int(len(ordered) * share))] for name, share in (("p50", 0.5), ("p99", 0.99))
    }
    return {"n": len(ordered), **{name: round(value, 2) for name, value in at.items()}, "max": round(ordered[-1], 2)}


def main() -> int:
    """Run the seeds the environment asks for; return 1 where a promise was broken."""
    first, seeds = int(os.environ.get("SEED") or 1), int(os.environ.get("SEEDS") or 5)
    seconds = float(os.environ.get("SECONDS_PER_SEED") or 300)
    broken = 0
    for seed in range(first, first + seeds):
        home = Path(tempfile.mkdtemp(prefix="loopgate-chaos-"))
        report = run(seed, seconds, home)
        print(json.dumps(report.figures), flush=True)
        if report.breaches:
            broken += 1
            print(f"seed {seed} broke promises; logs are in {home}\n  " + "\n  ".join(report.breaches), flush=True)
        else:
            shutil.rmtree(home)
    print(f"{seeds - broken} of {seeds} seeds passed", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
