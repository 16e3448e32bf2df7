"""Audit: a ledger read back whole and verified."""

from dataclasses import dataclass

from pydantic import ValidationError

from loops.errors import Rejected
from loops.events import Event
from loops.instance import LoopInstance
from loops.ledger import Broken, Verified, verify
from loops.ports import Loaded, Store

_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class AuditedLedger:
    """One instance, its events in order, and whether they hold up to the instance's head."""

    instance: LoopInstance
    events: tuple[Event, ...]
    verdict: Verified | Broken


async def audit(store: Store, tenant: str, name: str) -> AuditedLedger | None:
    """
    Return the ledger of the instance or, failing that, the aggregate *name*; None where there is neither.

    Raises:
        Rejected: If the instance itself, which says where its ledger ends, was changed beyond reading.
    """
    try:
        loaded = await store.load(tenant, name) or await store.load_aggregate(tenant, name)
    except ValidationError as error:
        raise Rejected(
            f"the instance '{name}' cannot be read; it was changed by something else than Loopgate"
        ) from error
    if loaded is None:
        return None
    instance = loaded.instance
    # Events of commits made while we read are not this instance's yet.
    events, unreadable = await _read(store, tenant, instance.instance_id, instance.head.sequence)
    verdict = _verdict(loaded, events, unreadable)
    if isinstance(verdict, Verified) and await _goes_on(store, loaded):
        verdict = Broken(sequence=verdict.head.sequence + 1, reason="an event stands after the instance's head")
    return AuditedLedger(instance, events, verdict)


async def _goes_on(store: Store, loaded: Loaded) -> bool:
    """Whether the ledger is longer than the instance says, and not for a commit made while we read."""
    instance = loaded.instance
    try:
        is_longer = bool(
            await store.events(instance.tenant, instance.instance_id, after=instance.head.sequence, limit=1)
        )
    except ValidationError:
        is_longer = True
    again = await store.load(instance.tenant, instance.instance_id)
    return is_longer and again is not None and again.instance.head == instance.head


def _verdict(loaded: Loaded, events: tuple[Event, ...], unreadable: int | None) -> Verified | Broken:
    head = loaded.instance.head
    verdict = verify(events, head if unreadable is None else None)
    if isinstance(verdict, Broken):
        return verdict
    if unreadable is not None:
        return Broken(sequence=unreadable, reason="the event cannot be read")
    if events and loaded.definition.digest != events[0].definition_digest:
        return Broken(sequence=1, reason="the pinned definition is not the one the loop was started from")
    return verdict


async def _read(store: Store, tenant: str, instance_id: str, end: int) -> tuple[tuple[Event, ...], int | None]:
    """Return the events up to the sequence *end*, or up to the first that is no event any more, and its place."""
    events: list[Event] = []
    page = _PAGE
    while len(events) < end:
        try:
            found = await store.events(tenant, instance_id, after=len(events), limit=min(page, end - len(events)))
        except ValidationError:
            if page == 1:
                return tuple(events), len(events) + 1
            page = 1
            continue
        if not found:
            break
        events += found
    return tuple(events), None
