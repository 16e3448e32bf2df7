"""The job function. RQ finds it by its dotted name, so it stays where it is."""

from typing import NoReturn

#: What the relay enqueues; part of what stands in Redis, so never renamed while jobs wait.
RUN_EFFECT = "gateway.jobs.tasks.run_effect"


def run_effect(effect_id: str) -> NoReturn:
    """
    Say that effects are not carried out this way.

    `gateway.jobs.rq_worker.EffectWorker` takes effects by the id of their job and never calls what a job in Redis
    names; a bare ``rq worker`` does, and has neither the adapters nor the event loop. The effect itself is not lost:
    the sweep queues it again.
    """
    raise RuntimeError(f"{effect_id}: effects are carried out by `loopgate work`, not by a bare RQ worker")
