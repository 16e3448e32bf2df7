"""
The archive: closed instances as bundles in a directory, each checked there before it leaves the store.

First the file is written, synced and read back; then the store trims, in one step, what still stands as it was
written. A crash between the two leaves a file that the next round finds, checks and uses.
"""

import asyncio
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from gateway.audit import AuditedLedger, DoesNotHold, audit
from gateway.auditing.archived import Archived
from gateway.auditing.bundles import SUFFIX, read_bundle, write_bundle
from gateway.auditing.checkpoints import Finding, followed
from gateway.auditing.ports import Archives, Checkpoints
from loops.bundle import Manifest, bundle_lines, check_bundle, make_manifest
from loops.checkpoint import Inclusion, prove
from loops.errors import Rejected
from loops.events import Event
from loops.ledger import Broken
from loops.ports import Store

#: Instances looked at together: the checkpoints are read once for all of them.
_BATCH = 200


@dataclass
class Round:
    """What became of one round: how many were archived and left, and what does not hold."""

    archived: int = 0
    left: int = 0
    findings: list[Finding] = field(default_factory=list)


async def archive_closed(
    store: Store,
    checkpoints: Checkpoints,
    archives: Archives,
    tenant: str,
    *,
    directory: Path,
    closed_before: datetime,
    now: datetime,
    by: str,
) -> Round:
    """
    Archive and trim what of *tenant* was closed before *closed_before* and is sealed to its end.

    What has work left (a dead effect somebody may try again) or events that no checkpoint sealed is left for later; a
    ledger that does not hold stays where it is, for people to look at.

    Raises:
        StoreUnavailable: If the store is away.
        OSError: If the directory cannot be written.
    """
    done, after = Round(), ""
    while places := await archives.closed_before(tenant, closed_before, after=after, limit=_BATCH):
        after, ids = places[-1][0], [instance_id for _, instance_id in places]
        proofs = await _proofs(checkpoints, tenant, frozenset(ids))
        for instance_id in ids:
            try:
                found = await audit(store, tenant, instance_id)
                if found is None or found.instance.instance_id != instance_id:
                    continue
                # In a thread: disks take their time, and cards are drawn on this loop.
                kept = await asyncio.to_thread(_kept, found, proofs.get(instance_id), directory, now, by)
            except Rejected as error:
                done.findings.append(Finding(instance_id, None, 1, str(error)))
                continue
            if kept is not None and await archives.trim(kept, list(_requests(found.events))):
                done.archived += 1
            else:
                done.left += 1
    return done


def check_archived(archived: Archived, directory: Path) -> str | None:
    """Return why the file of *archived* below *directory* is not what left the store, or None."""
    path = directory / archived.file
    try:
        manifest = _checked(path)
    except (OSError, Rejected) as error:
        return f"its file in the archive does not hold: {error}"
    if (manifest.digest, manifest.head) != (archived.digest, archived.head):
        return f"the archive's {archived.file} is not the bundle that was written"
    return None


async def _proofs(checkpoints: Checkpoints, tenant: str, ids: frozenset[str]) -> Mapping[str, Inclusion]:
    proofs: dict[str, Inclusion] = {}
    async for checkpoint in followed(checkpoints, tenant):
        for head in checkpoint.heads:
            if head.instance_id in ids and (proof := prove(checkpoint, head.instance_id)):
                proofs[head.instance_id] = proof
    return proofs


def _kept(found: AuditedLedger, proof: Inclusion | None, directory: Path, now: datetime, by: str) -> Archived | None:
    """Have the bundle of *found* in *directory*, checked; return what the store shall keep, None where too early."""
    instance = found.instance
    if isinstance(found.verdict, Broken):
        raise DoesNotHold(f"{found.verdict.reason}, at {found.verdict.sequence}; it is not archived")
    if not instance.is_over or instance.closed_at is None or proof is None or proof.head.hash != instance.head.hash:
        return None
    file = _file(instance.tenant, instance.instance_id, instance.closed_at)
    path = directory / file
    manifest = _written(path, found)
    if manifest is None:
        made = make_manifest(
            instance, found.loaded.definition, found.lines, exported_at=now, exported_by=by, checkpoint=proof
        )
        _write(path, bundle_lines(made, found.lines))
        manifest = _checked(path)
        if manifest.digest != made.digest:
            raise DoesNotHold(f"{path} does not hold what was written to it")
    return Archived(
        tenant=instance.tenant,
        instance_id=instance.instance_id,
        aggregate_id=instance.aggregate_id,
        loop_id=instance.loop_id,
        state=instance.state,
        status=instance.status,
        version=instance.version,
        head=instance.head,
        file=file,
        digest=manifest.digest,
        checkpoint=proof.statement.sequence,
        closed_at=instance.closed_at,
        archived_at=now,
    )


def _written(path: Path, found: AuditedLedger) -> Manifest | None:
    """Return the manifest of a bundle that an earlier round wrote, if it is whole, of this head, and proven."""
    try:
        manifest = _checked(path)
    except (OSError, Rejected):
        return None
    is_it = manifest.instance_id == found.instance.instance_id and manifest.head == found.instance.head
    return manifest if is_it and manifest.checkpoint is not None else None


def _checked(path: Path) -> Manifest:
    bundle = check_bundle(read_bundle(path))
    if bundle.manifest is None or bundle.broken:
        raise DoesNotHold(f"{path}: {bundle.broken.detail if bundle.broken else 'no manifest'}")
    return bundle.manifest


def _write(path: Path, lines: Iterable[bytes]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_bundle(path, lines, overwrite=True)
    # The file's name is in its directory, which is synced on its own.
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _file(tenant: str, instance_id: str, closed_at: datetime) -> str:
    # No tenant or id, whatever it is, leaves the directory: dots are quoted, too.
    name = quote(instance_id, safe="").replace(".", "%2E")[:200]
    return f"{quote(tenant, safe='').replace('.', '%2E')}/{closed_at:%Y-%m}/{name}{SUFFIX}"


def _requests(events: Iterable[Event]) -> Iterator[str]:
    seen: set[str] = set()
    for event in events:
        request_id = event.data.get("requestId")
        if isinstance(request_id, str) and request_id not in seen:
            seen.add(request_id)
            yield request_id
