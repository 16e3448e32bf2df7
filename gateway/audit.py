"""Audit: a ledger read back whole and verified."""

from dataclasses import dataclass

from loops.events import Event
from loops.instance import LoopInstance
from loops.ledger import Broken, Verified, verify
from loops.ports import Store

_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class AuditedLedger:
    """One instance, its events in order, and whether they hold up to the instance's head."""

    instance: LoopInstance
    events: tuple[Event, ...]
    verdict: Verified | Broken


async def audit(store: Store, tenant: str, name: str) -> AuditedLedger | None:
    """Return the ledger of the instance or, failing that, the aggregate *name*; None where there is neither."""
    loaded = await store.load(tenant, name) or await store.load_aggregate(tenant, name)
    if loaded is None:
        return None
    events: list[Event] = []
    while page := await store.events(tenant, loaded.instance.instance_id, after=len(events), limit=_PAGE):
        events += page
    head = loaded.instance.head
    # Events of commits made while we read are not this instance's yet.
    kept = [event for event in events if event.sequence <= head.sequence]
    return AuditedLedger(loaded.instance, tuple(kept), verify(kept, head))
