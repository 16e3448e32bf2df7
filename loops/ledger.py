"""
The ledger: the hash-chained sequence of a loop instance's events, which anybody can verify offline.

An event has one spelling, its *line*: the canonical JSON (RFC 8785) of all its fields. Stores keep lines, exports are
lines, and a line that reads as an event but is spelled otherwise (``1.0`` for ``1``, another order of keys, an escape,
a space, a key twice) is not accepted. So whoever changes a stored byte changes an event, and the chain shows it.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, Self

from pydantic import ValidationError

from loops.canonical import NotCanonical, canonical_fields, canonical_json, encoded, quoted, read_json
from loops.events import Event, EventType
from loops.values import INSTANT, Value

#: What the first event of every ledger names as its predecessor.
GENESIS = "sha256:" + "0" * 64


class BadLine(ValueError):  # noqa: N818 - reads as what was found
    """The bytes are not the line of an event; the message says why."""


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
    """Return the event made of *fields*, by the names of our own, with its `hash`."""
    unsealed = Event.model_validate({**fields, "hash": ""})
    return unsealed.model_copy(update={"hash": hash_of(unsealed)})


class Sealed(NamedTuple):
    """
    An event as it was written: its line, and what the rest of its commit needs to know about it.

    `data` is what it was written from, which is not JSON yet; `event` is what anybody will read in the line.
    """

    type: EventType
    sequence: int
    hash: str
    line: bytes
    data: Mapping[str, Any]

    @classmethod
    def of(cls, event: Event) -> Self:
        """Return *event* as it is written. Raises NotCanonical."""
        return cls(event.type, event.sequence, event.hash, line_of(event), event.data)

    @property
    def event(self) -> Event:
        """The event, read back from its line."""
        return event_in(self.line)


class Letterhead(NamedTuple):
    """
    What every event of one instance has in common, written once for as long as the instance is.

    The keys stand in the order RFC 8785 gives them, here as in `Envelope`; a test holds what comes out against the
    general way of `seal` above.
    """

    to_cause: str
    to_event_id: str
    to_instant: str
    to_type: str

    @classmethod
    def of(
        cls,
        *,
        tenant: str,
        loop_id: str,
        aggregate_id: str,
        instance_id: str,
        definition_version: str,
        definition_digest: str,
    ) -> Self:
        """Return that of the instance with these fields."""
        return cls(
            to_cause=f'{{"aggregateId":{quoted(aggregate_id)}',
            to_event_id=f',"definitionDigest":{quoted(definition_digest)}'
            f',"definitionVersion":{quoted(definition_version)},"eventId":',
            to_instant=f'"instanceId":{quoted(instance_id)},"loopId":{quoted(loop_id)},"occurredAt":"',
            to_type=f',"tenant":{quoted(tenant)},"type":"',
        )


class Envelope:
    """What every event of one commit has in common, written once: `seal` then writes only what differs."""

    __slots__ = ("_letterhead", "_to_data", "_to_previous")

    def __init__(
        self, letterhead: Letterhead, *, occurred_at: datetime, correlation_id: str, causation_id: str | None
    ) -> None:
        cause = "" if causation_id is None else f',"causationId":{quoted(causation_id)}'
        self._letterhead = letterhead
        self._to_data = f'{letterhead.to_cause}{cause},"correlationId":{quoted(correlation_id)},"data":'
        self._to_previous = f'{letterhead.to_instant}{INSTANT.dump_python(occurred_at, mode="json")}","previousHash":"'

    def seal(self, event_id: str, kind: EventType, data: Mapping[str, Any], previous: LedgerHead | Sealed) -> Sealed:
        """
        Return the event that comes after *previous*.

        Among *data* are values of ours, in their JSON form; what is None is left out. Raises NotCanonical.
        """
        sequence, letterhead = previous.sequence + 1, self._letterhead
        before = f"{self._to_data}{canonical_fields(data)}{letterhead.to_event_id}{quoted(event_id)},"
        after = f'{self._to_previous}{previous.hash}","sequence":{sequence}{letterhead.to_type}{kind}"}}'
        own = _hash(encoded(before + after))
        return Sealed(kind, sequence, own, encoded(f'{before}"hash":"{own}",{after}'), data)


def hash_of(event: Event) -> str:
    """Return the hash *event* must carry: SHA-256 over its line without `hash`. Raises NotCanonical."""
    return _hash(b",".join(_around_hash(event.as_json())))


def line_of(event: Event) -> bytes:
    """Return the line of *event*, without a line end. Raises NotCanonical."""
    before, after = _around_hash(event.as_json())
    return b"".join((before, b',"hash":', canonical_json(event.hash), b",", after))


def read_line(line: bytes) -> Event:
    """
    Return the event whose line is *line*, whether or not its hash is right.

    Raises:
        BadLine: If these are not exactly the bytes `line_of` gives for an event.
    """
    event = event_in(line)
    try:
        own = line_of(event)
    except (ValueError, RecursionError) as error:
        raise BadLine(f"the event has no canonical form: {error}") from error
    if own != line:
        place = next((i for i, (ours, theirs) in enumerate(zip(own, line, strict=False)) if ours != theirs), len(own))
        raise BadLine(f"not spelled canonically at byte {min(place, len(line)) + 1}")
    return event


def event_in(line: bytes) -> Event:
    """
    Return the event that *line* reads as, however it is spelled: to show what a store keeps, not to prove it.

    Raises:
        BadLine: If it does not read as an event.
    """
    try:
        return Event.model_validate(read_json(line))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise BadLine(f"not an event: {where}: {first['msg']}") from error
    except NotCanonical as error:
        raise BadLine(str(error)) from error


def readable(lines: Iterable[bytes]) -> tuple[Event, ...]:
    """Return the events of *lines*, up to the first that is none: what can be shown of a ledger, whole or not."""
    events: list[Event] = []
    for line in lines:
        try:
            events.append(event_in(line))
        except BadLine:
            break
    return tuple(events)


def verify(events: Iterable[Event], head: LedgerHead | None = None) -> Verified | Broken:
    """
    Check a whole ledger from its first event, and against the instance's *head* where that is known.

    An edited, dropped, reordered, inserted or foreign event is found at the first sequence where it shows; a
    truncated end only against *head*.
    """
    chain = _Chain()
    for event in events:
        if broken := chain.add(event):
            return broken
    return chain.end(head)


def verify_lines(lines: Iterable[bytes], head: LedgerHead | None = None) -> Verified | Broken:
    """Check a ledger like `verify`, from its stored or exported lines: any changed byte of any line is found."""
    chain = _Chain()
    for line in lines:
        try:
            event = read_line(line)
        except BadLine as error:
            return Broken(sequence=chain.place + 1, reason=str(error))
        if broken := chain.add(event):
            return broken
    return chain.end(head)


class _Chain:
    """Checks events one after the other."""

    def __init__(self) -> None:
        self.place = 0
        self._last = LedgerHead()
        self._owner: tuple[str, str] | None = None

    def add(self, event: Event) -> Broken | None:
        """Return why *event* does not come next, or None."""
        self.place += 1
        self._owner = self._owner or (event.tenant, event.instance_id)
        if reason := _reason_against(event, self.place, self._last, self._owner):
            return Broken(sequence=self.place, reason=reason)
        self._last = LedgerHead(sequence=event.sequence, hash=event.hash)
        return None

    def end(self, head: LedgerHead | None) -> Verified | Broken:
        """Return what became of the chain, its end compared with *head*."""
        if head is None or self._last == head:
            return Verified(head=self._last)
        if self._last.sequence == head.sequence:
            reason = "the last event's hash is not the one the instance's head has"
            return Broken(sequence=max(1, head.sequence), reason=reason)
        first = min(self._last.sequence, head.sequence) + 1
        reason = f"the ledger ends at {self._last.sequence}, the instance's head says {head.sequence}"
        return Broken(sequence=first, reason=reason)


def _around_hash(body: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Return the canonical JSON of an event's *body* before and after the place of `hash`, whose key is left out."""
    before = canonical_json({key: value for key, value in body.items() if key < "hash"})
    after = canonical_json({key: value for key, value in body.items() if key > "hash"})
    return before[:-1], after[1:]


def _hash(unhashed: bytes) -> str:
    return "sha256:" + hashlib.sha256(unhashed).hexdigest()


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
    except (ValueError, RecursionError) as error:
        return f"the event has no canonical form: {error}"
    return None
