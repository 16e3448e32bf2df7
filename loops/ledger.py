"""The ledger: the hash-chained sequence of a loop instance's events, which anybody can verify offline."""

from collections.abc import Iterable, Mapping
from typing import Any

from loops.canonical import NotCanonical, digest
from loops.events import Event
from loops.values import Value

#: What the first event of every ledger names as its predecessor.
GENESIS = "sha256:" + "0" * 64


class LedgerHead(Value):
    """Where a ledger ends: the last sequence (0 before the first event) and its hash."""

    sequence: int = 0
    hash: str = GENESIS


class Verified(Value):
    """The chain holds up to and including `head`."""

    head: LedgerHead


class Broken(Value):
    """The chain does not hold. `sequence` is the first bad place, counted from 1."""

    sequence: int
    reason: str


def seal(fields: Mapping[str, Any]) -> Event:
    """Return the event made of *fields* with its `hash`."""
    unsealed = Event.model_validate({**fields, "hash": ""})
    return unsealed.model_copy(update={"hash": hash_of(unsealed)})


def hash_of(event: Event) -> str:
    """Return the hash *event* must carry."""
    body = event.as_json()
    del body["hash"]
    return digest(body)


def verify(events: Iterable[Event], head: LedgerHead | None = None) -> Verified | Broken:
    """
    Check a whole ledger from its first event, and against the instance's *head* where that is known.

    An edited, dropped, reordered, inserted or foreign event is found at the first sequence where it shows; a
    truncated end only against *head*.
    """
    last, owner = LedgerHead(), None
    for place, event in enumerate(events, start=1):
        owner = owner or (event.tenant, event.instance_id)
        if reason := _reason_against(event, place, last, owner):
            return Broken(sequence=place, reason=reason)
        last = LedgerHead(sequence=event.sequence, hash=event.hash)
    if head is not None and last != head:
        return Broken(
            sequence=last.sequence + 1,
            reason=f"the ledger ends at {last.sequence}, the instance's head says {head.sequence}",
        )
    return Verified(head=last)


def _reason_against(event: Event, place: int, last: LedgerHead, owner: tuple[str, str]) -> str | None:
    if event.sequence != place:
        return f"sequence {event.sequence} stands at place {place}"
    if (event.tenant, event.instance_id) != owner:
        return f"event {event.event_id} belongs to {event.instance_id}"
    if event.previous_hash != last.hash:
        return "previousHash is not the hash of the event before"
    try:
        if event.hash != hash_of(event):
            return "the event's content does not match its hash"
    except NotCanonical as error:
        return f"the event has no canonical form: {error}"
    return None
