"""Measuring: the metrics of a tenant's loops, read from its ledgers page by page."""

from dataclasses import dataclass

from loops.errors import Rejected
from loops.events import Event
from loops.metrics import LoopMetrics, RunMeasured, measured, metrics
from loops.ports import Store

_PAGE = 200
_EVENTS = 1_000


@dataclass(frozen=True, slots=True)
class TenantMeasured:
    """
    The figures, over how many ledgers; `more` says that there are older ones that were not read.

    `unreadable` are instances whose ledgers cannot be read; `loopgate audit verify` says why.
    """

    loops: tuple[LoopMetrics, ...]
    ledgers: int
    more: bool
    unreadable: tuple[str, ...]


async def measure(store: Store, tenant: str, *, loop_id: str | None = None, limit: int = 1000) -> TenantMeasured:
    """Return the metrics of *tenant*, all loops or one, over the last *limit* open and the last *limit* closed ones."""
    runs: list[RunMeasured] = []
    unreadable: list[str] = []
    more = False
    for closed in (False, True):
        ids, goes_on = await _latest(store, tenant, loop_id, closed=closed, limit=limit)
        more = more or goes_on
        for instance_id in ids:
            try:
                runs.append(measured(await _events(store, tenant, instance_id)))
            except (Rejected, ValueError, KeyError, TypeError):
                unreadable.append(instance_id)
    return TenantMeasured(metrics(runs), len(runs), more, tuple(unreadable))


async def _latest(
    store: Store, tenant: str, loop_id: str | None, *, closed: bool, limit: int
) -> tuple[list[str], bool]:
    ids: list[str] = []
    cursor = None
    while True:
        page, cursor = await store.instances(tenant, cursor=cursor, limit=_PAGE, closed=closed)
        ids += [each.instance_id for each in page if loop_id in {None, each.loop_id}]
        if cursor is None or len(ids) > limit:
            return ids[:limit], len(ids) > limit


async def _events(store: Store, tenant: str, instance_id: str) -> list[Event]:
    events: list[Event] = []
    while page := await store.events(tenant, instance_id, after=len(events), limit=_EVENTS):
        events += page
    return events
