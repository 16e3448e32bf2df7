"""
Bundles: one ledger with everything needed to check it, for somebody who has neither our store nor our word.

A bundle is JSON Lines, each line canonical JSON (RFC 8785): the manifest first, then the ledger's lines as stored.
So ``head -n 1 FILE`` is the manifest, ``tail -n +2 FILE | sha256sum`` gives its `events.digest`, and each event's hash
is SHA-256 over its line without ``hash``. Pure: files are `gateway.auditing.bundles`.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import ValidationError

from loops.canonical import NotCanonical, canonical_json, digest, read_json
from loops.checkpoint import Inclusion, contradiction, reason_against
from loops.definition import LoopDefinition
from loops.events import Event
from loops.instance import LoopInstance
from loops.ledger import Broken, LedgerHead, Verified, readable, verify_lines
from loops.values import Instant, JsonObject, Value

#: The format this module writes and reads. A later one gets another number, and a reader beside this one.
FORMAT: Literal["loopgate-bundle/1"] = "loopgate-bundle/1"


class Part(Value):
    """The event lines: how many, and SHA-256 over all of them, each with its line end."""

    count: int
    digest: str


class Manifest(Value):
    """
    What a bundle holds and where it comes from.

    `definition` is the pinned definition in full, in the newer spelling. `head` is where the instance said its ledger
    ends. `checkpoint` proves that a head of it was sealed. `digest` is SHA-256 over the canonical JSON of the rest.
    """

    format: Literal["loopgate-bundle/1"]
    tenant: str
    instance_id: str
    aggregate_id: str
    loop_id: str
    definition_version: str
    definition_digest: str
    definition: JsonObject
    head: LedgerHead
    events: Part
    checkpoint: Inclusion | None = None
    exported_at: Instant
    exported_by: str
    digest: str


#: What is checked of a bundle, in this order.
Checked = Literal["manifest", "definition", "events", "chain", "checkpoint"]


class Check(Value):
    """One thing that was checked. `detail` says what was found; `sequence` is the first bad event, where one is."""

    what: Checked
    holds: bool
    detail: str
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class CheckedBundle:
    """A bundle as read, and what was checked of it. `manifest` is None where there is none that can be read."""

    manifest: Manifest | None
    definition: LoopDefinition | None
    events: tuple[Event, ...]
    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        """Whether everything holds."""
        return all(check.holds for check in self.checks)

    @property
    def broken(self) -> Check | None:
        """The first check that does not hold."""
        return next((check for check in self.checks if not check.holds), None)


def make_manifest(
    instance: LoopInstance,
    definition: LoopDefinition,
    lines: Sequence[bytes],
    *,
    exported_at: datetime,
    exported_by: str,
    checkpoint: Inclusion | None = None,
) -> Manifest:
    """Return the manifest over the *lines* of the whole ledger of *instance*."""
    manifest = Manifest(
        format=FORMAT,
        tenant=instance.tenant,
        instance_id=instance.instance_id,
        aggregate_id=instance.aggregate_id,
        loop_id=instance.loop_id,
        definition_version=instance.definition_version,
        definition_digest=instance.definition_digest,
        definition=definition.as_digested(),
        head=instance.head,
        events=_part(lines),
        checkpoint=checkpoint,
        exported_at=exported_at,
        exported_by=exported_by,
        digest="",
    )
    return manifest.changed(digest=manifest_digest(manifest))


def manifest_digest(manifest: Manifest) -> str:
    """Return the digest a manifest must carry. Raises NotCanonical."""
    body = manifest.as_json()
    del body["digest"]
    return digest(body)


def bundle_lines(manifest: Manifest, lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of the bundle, each with its line end."""
    yield canonical_json(manifest.as_json()) + b"\n"
    for line in lines:
        yield line + b"\n"


def check_bundle(lines: Iterable[bytes]) -> CheckedBundle:
    """
    Check a whole bundle from its *lines*, without their line ends. Never raises for what they say.

    Every changed byte of any line is found. What a bundle alone cannot show is a history made up from the start; its
    `checkpoint`, compared with a hash somebody noted, can.
    """
    first, *rest = [*lines] or [b""]
    try:
        manifest = _read_manifest(first)
    except (ValueError, RecursionError) as error:
        return CheckedBundle(None, None, (), (Check(what="manifest", holds=False, detail=str(error)),))
    definition, of_definition = _definition(manifest)
    verdict = verify_lines(rest, manifest.head)
    events = readable(rest)
    checks = [_manifest(manifest), of_definition, _parts(manifest, rest), _chain(manifest, verdict, events)]
    if manifest.checkpoint:
        checks.append(_checkpoint(manifest, manifest.checkpoint, events))
    return CheckedBundle(manifest, definition, events, tuple(checks))


def _read_manifest(line: bytes) -> Manifest:
    try:
        manifest = Manifest.model_validate(read_json(line))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "all of it"
        raise ValueError(f"not a manifest: {where}: {first['msg']}") from error
    except NotCanonical as error:
        raise ValueError(f"not a manifest: {error}") from error
    if canonical_json(manifest.as_json()) != line:
        raise ValueError("the manifest is not spelled canonically")
    return manifest


def _manifest(manifest: Manifest) -> Check:
    holds = manifest.digest == manifest_digest(manifest)
    made = f"exported {manifest.exported_at:%Y-%m-%d %H:%M:%S} by {manifest.exported_by}, {manifest.digest}"
    return Check(
        what="manifest", holds=holds, detail=made if holds else "the manifest's content does not match its digest"
    )


def _definition(manifest: Manifest) -> tuple[LoopDefinition | None, Check]:
    def bad(detail: str) -> tuple[None, Check]:
        return None, Check(what="definition", holds=False, detail=detail)

    if digest(manifest.definition) != manifest.definition_digest:
        return bad("the definition's content does not match its digest")
    try:
        definition = LoopDefinition.model_validate(manifest.definition)
    except ValidationError as error:
        return bad(f"the definition is none this version reads: {error.errors(include_url=False)[0]['msg']}")
    if (definition.id, definition.version) != (manifest.loop_id, manifest.definition_version):
        return bad(f"the definition is {definition.id} {definition.version}, not the one the manifest names")
    detail = f"{definition.id} {definition.version}, {manifest.definition_digest}"
    return definition, Check(what="definition", holds=True, detail=detail)


def _parts(manifest: Manifest, lines: Sequence[bytes]) -> Check:
    found, said = _part(lines), manifest.events
    if found.count != said.count:
        detail = f"{found.count} events, the manifest says {said.count}"
        return Check(what="events", holds=False, detail=detail, sequence=min(found.count, said.count) + 1)
    if found.digest != said.digest:
        return Check(what="events", holds=False, detail="the events' bytes do not match their digest")
    return Check(what="events", holds=True, detail=f"{found.count} events, {found.digest}")


def _chain(manifest: Manifest, verdict: Verified | Broken, events: Sequence[Event]) -> Check:
    match verdict:
        case Broken(sequence=sequence, reason=reason):
            return Check(what="chain", holds=False, detail=reason, sequence=sequence)
        case Verified(head=head):
            for event in events:
                if foreign := _foreign(manifest, event):
                    return Check(what="chain", holds=False, detail=foreign, sequence=event.sequence)
            return Check(what="chain", holds=True, detail=f"{head.sequence} events, head {head.hash}")


def _foreign(manifest: Manifest, event: Event) -> str | None:
    for name in ("tenant", "instance_id", "aggregate_id", "loop_id", "definition_version", "definition_digest"):
        if getattr(event, name) != getattr(manifest, name):
            return f"the event's {name} is not the manifest's"
    return None


def _checkpoint(manifest: Manifest, proof: Inclusion, events: Sequence[Event]) -> Check:
    number = proof.statement.sequence
    reason = reason_against(proof)
    if reason is None and (proof.statement.tenant, proof.head.instance_id) != (manifest.tenant, manifest.instance_id):
        reason = "it is about another ledger"
    if reason is None:
        reason = contradiction(proof.head, [event.hash for event in events], number)
    sealed = f"checkpoint {number} of {proof.statement.at:%Y-%m-%d %H:%M:%S} sealed {proof.head.sequence} events"
    return Check(what="checkpoint", holds=reason is None, detail=reason or f"{sealed}, {proof.statement.hash}")


def _part(lines: Iterable[bytes]) -> Part:
    hashed, count = hashlib.sha256(), 0
    for line in lines:
        hashed.update(line + b"\n")
        count += 1
    return Part(count=count, digest=f"sha256:{hashed.hexdigest()}")
