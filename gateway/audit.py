"""Audit: a ledger read back whole, from its stored bytes, and verified."""

from dataclasses import dataclass

from pydantic import ValidationError

from loops.errors import Rejected
from loops.events import Event
from loops.instance import LoopInstance
from loops.ledger import Broken, Verified, readable, verify_lines
from loops.ports import Loaded, Store

_PAGE = 1_000


class DoesNotHold(Rejected):
    """Something was changed by something else than Loopgate; the message says what."""


@dataclass(frozen=True, slots=True)
class AuditedLedger:
    """
    One instance, the lines of its ledger up to its head, and whether they hold.

    `events` are the lines read for people: all of them, or those before the first that is no event any more.
    """

    loaded: Loaded
    lines: tuple[bytes, ...]
    events: tuple[Event, ...]
    verdict: Verified | Broken

    @property
    def instance(self) -> LoopInstance:
        """The instance whose ledger this is."""
        return self.loaded.instance


async def audit(store: Store, tenant: str, name: str) -> AuditedLedger | None:
    """
    Return the ledger of the instance or, failing that, the aggregate *name*; None where there is neither.

    Raises:
        DoesNotHold: If the instance itself, which says where its ledger ends, was changed beyond reading.
    """
    loaded = await _loaded(store, tenant, name)
    if loaded is None:
        return None
    head = loaded.instance.head
    lines = await _read(store, loaded.instance)
    # Lines of commits made while we read are not this instance's yet.
    kept = tuple(lines[: head.sequence])
    verdict = verify_lines(kept, head)
    events = readable(kept)
    if isinstance(verdict, Verified):
        if events and loaded.definition.digest != events[0].definition_digest:
            verdict = Broken(sequence=1, reason="the pinned definition is not the one the loop was started from")
        elif len(lines) > head.sequence and await _stands(store, loaded.instance):
            verdict = Broken(sequence=head.sequence + 1, reason="an event stands after the instance's head")
    return AuditedLedger(loaded, kept, events, verdict)


async def _loaded(store: Store, tenant: str, name: str) -> Loaded | None:
    try:
        return await store.load(tenant, name) or await store.load_aggregate(tenant, name)
    except ValidationError as error:
        message = f"the instance '{name}' cannot be read; it was changed by something else than Loopgate"
        raise DoesNotHold(message) from error


async def _read(store: Store, instance: LoopInstance) -> list[bytes]:
    """Return the instance's lines, and the one after its head if there is one."""
    lines: list[bytes] = []
    end = instance.head.sequence + 1
    while len(lines) < end:
        wanted = min(_PAGE, end - len(lines))
        found = await store.lines(instance.tenant, instance.instance_id, after=len(lines), limit=wanted)
        if not found:
            break
        lines += found
    return lines


async def _stands(store: Store, instance: LoopInstance) -> bool:
    """Whether the instance is still at the head it was read with, so that no commit explains a longer ledger."""
    again = await store.load(instance.tenant, instance.instance_id)
    return again is not None and again.instance.head == instance.head
