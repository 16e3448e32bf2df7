"""The job function. RQ finds it by its dotted name, so it stays where it is."""

import asyncio
from typing import ClassVar

from gateway.jobs.runner import EffectRunner

#: What the relay enqueues; part of what stands in Redis, so never renamed while jobs wait.
RUN_EFFECT = "gateway.jobs.tasks.run_effect"


class Bench:
    """Where this process carries out effects: one runner on one event loop that lives as long as the process."""

    current: ClassVar["Bench | None"] = None

    def __init__(self, loop: asyncio.AbstractEventLoop, runner: EffectRunner) -> None:
        self.loop = loop
        self.runner = runner


def run_effect(effect_id: str) -> None:
    """
    Make one attempt at an effect. Called by RQ in the worker's main thread.

    RQ's own time-out interrupts the wait; the attempt is then cancelled on the loop.
    """
    bench = Bench.current
    if bench is None:
        raise RuntimeError("effects are carried out by `loopgate work`, not by a bare RQ worker")
    attempt = asyncio.run_coroutine_threadsafe(bench.runner.run(effect_id), bench.loop)
    try:
        attempt.result()
    except BaseException:
        attempt.cancel()
        raise
