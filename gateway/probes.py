"""Probes: what operators ask a process: whether it runs, whether it can record what becomes of things, its metrics."""

from collections.abc import Awaitable, Callable, Sequence

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.admission import standing
from gateway.jobs.queues import QUEUE_OF
from gateway.metrics import CONTENT_TYPE
from gateway.storage.health import Verdict
from gateway.wiring.parts import Parts
from gateway.wiring.work import lanes
from loops.errors import StoreUnavailable

log = structlog.stdlib.get_logger()


def probe_routes(parts: Parts, chores: Sequence[str] = ()) -> list[Route]:
    """Return the routes that are for operators, not for the internet; of *chores* it is told whether they are held."""
    return [
        Route("/healthz", _healthy),
        Route("/readyz", _readiness(parts)),
        Route("/metrics", _scraped(parts, chores)),
    ]


async def _healthy(_: Request) -> Response:
    """Say that the process runs; nothing more."""
    return JSONResponse({"status": "ok"})


def _readiness(parts: Parts) -> Callable[[Request], Awaitable[Response]]:
    async def ready(_: Request) -> Response:
        """Say whether what is sent here can be recorded: 503 with the reasons where it cannot."""
        try:
            verdict = await standing(parts)
            standings = await parts.lanes.standing(sorted(lanes(parts.configuration)))
        except StoreUnavailable as error:
            # Where the store is, is for our log: anybody may ask this.
            log.warning("store.away", error=str(error))
            verdict, standings = Verdict(troubled=("the store does not answer",)), []
        allowed = verdict.unfit if parts.settings.unfit_store else ()
        if problems := [each for each in (*verdict.unfit, *verdict.troubled) if each not in allowed]:
            return JSONResponse({"status": "unready", "error": "; ".join(problems)}, 503, {"Retry-After": "2"})
        # A system of record that is down is no reason to send people elsewhere: what is recorded here waits for it.
        let_be = [standing.name for standing in standings if standing.circuit != "closed"]
        warnings = {"warnings": allowed} if allowed else {}
        loops = sorted(parts.definitions.all())
        return JSONResponse({"status": "ready", "loops": loops, "openCircuits": let_be, **warnings})

    return ready


def _scraped(parts: Parts, chores: Sequence[str]) -> Callable[[Request], Awaitable[Response]]:
    async def scraped(_: Request) -> Response:
        """Answer a scrape; a store that is away is a figure too."""
        metrics = parts.metrics
        try:
            backlog = await parts.effects.backlog()
            standings = await parts.lanes.standing(sorted(lanes(parts.configuration)))
            for chore in chores:
                metrics.chores.labels(chore).set(await parts.leases.is_held(chore))
        except StoreUnavailable as error:
            log.warning("store.away", error=str(error))
            metrics.store_up.set(0)
        else:
            metrics.store_up.set(1)
            metrics.outbox.set(backlog.outbox)
            for heap in backlog.heaps:
                labels = (QUEUE_OF[heap.kind], heap.kind, heap.state)
                metrics.effects.labels(*labels).set(heap.count)
                metrics.oldest.labels(*labels).set(heap.oldest.total_seconds())
            for lane in standings:
                metrics.circuits.labels(lane.name).set(lane.circuit != "closed")
                metrics.lanes.labels(lane.name, "inside").set(lane.inside)
                metrics.lanes.labels(lane.name, "waiting").set(lane.waiting)
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    return scraped
