"""Checkpoints of a store: making one, and checking every ledger of a tenant against them."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from gateway.audit import DoesNotHold, audit
from gateway.auditing.archived import Archived
from gateway.auditing.ports import Archives, Checkpoints
from loops.checkpoint import (
    BadCheckpoint,
    Checkpoint,
    Inclusion,
    SealedHead,
    Statement,
    contradiction,
    follow,
    make_checkpoint,
    prove,
    read_checkpoint,
    reason_alone,
)
from loops.errors import Rejected, Unavailable
from loops.instance import LoopInstance
from loops.ledger import Broken
from loops.ports import Store

#: Heads one checkpoint seals at most; more make several.
HEADS_MAX = 10_000
_PAGE = 200
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not hold. `sequence` is the first bad event, or checkpoint where there is no instance."""

    instance_id: str | None
    aggregate_id: str | None
    sequence: int
    reason: str


@dataclass(frozen=True, slots=True)
class TenantAudit:
    """
    What became of checking all ledgers of a tenant.

    `unsealed` counts instances with events that no checkpoint has sealed yet: those could still be cut unseen.
    """

    checkpoints: int
    last: Statement | None
    ledgers: int
    events: int
    unsealed: int
    findings: tuple[Finding, ...]
    archived: int = 0


async def seal_tenant(
    store: Store, checkpoints: Checkpoints, tenant: str, now: datetime
) -> tuple[Checkpoint | None, tuple[Finding, ...]]:
    """
    Seal every head of *tenant* that moved since the last checkpoint.

    Only ledgers that verify are sealed; the others are returned as findings and stay to be sealed.

    Returns:
        The checkpoint, or None where nothing moved; and the ledgers that do not hold.

    Raises:
        Unavailable: If other processes kept making checkpoints at the same time.
        DoesNotHold: If the last checkpoint was changed.
    """
    for _ in range(_ROUNDS):
        heads, findings = [], []
        for instance_id in await checkpoints.moved(tenant, limit=HEADS_MAX):
            found = await _head_of(store, tenant, instance_id)
            if isinstance(found, SealedHead):
                heads.append(found)
            else:
                findings.append(found)
        if not heads:
            return None, tuple(findings)
        made = make_checkpoint(tenant, heads, await _last(checkpoints, tenant), now)
        if await checkpoints.save_checkpoint(made):
            return made, tuple(findings)
    raise Unavailable("somebody else keeps making checkpoints; try again", retry_after=1)


async def _head_of(store: Store, tenant: str, instance_id: str) -> SealedHead | Finding:
    try:
        audited = await audit(store, tenant, instance_id)
    except Rejected as error:
        return Finding(instance_id, None, 1, str(error))
    if audited is None or audited.instance.instance_id != instance_id:
        return Finding(instance_id, None, 1, "the instance is gone; its ledger has events")
    if isinstance(audited.verdict, Broken):
        return _finding(audited.instance, audited.verdict.sequence, audited.verdict.reason)
    head = audited.instance.head
    return SealedHead(instance_id=audited.instance.instance_id, sequence=head.sequence, hash=head.hash)


async def _last(checkpoints: Checkpoints, tenant: str) -> Statement | None:
    line = await checkpoints.latest_checkpoint(tenant)
    if line is None:
        return None
    try:
        checkpoint = read_checkpoint(line)
        reason = reason_alone(checkpoint)
    except ValueError as error:
        raise DoesNotHold(f"the last checkpoint of tenant '{tenant}' was changed: {error}") from error
    if reason:
        raise DoesNotHold(f"the last checkpoint of tenant '{tenant}' was changed: {reason}")
    return checkpoint.statement


async def audit_tenant(
    store: Store,
    checkpoints: Checkpoints,
    tenant: str,
    archives: Archives | None = None,
    of_file: Callable[[Archived], str | None] = lambda _: None,
) -> TenantAudit:
    """
    Check every ledger of *tenant*, open or closed: its chain, its head, and what the checkpoints sealed of it.

    What *archives* says left the store must be what was sealed last; *of_file* says what is wrong with its file.

    A ledger that was cut together with its head, or deleted with its instance, contradicts the checkpoint that sealed
    it. Reads everything; memory grows with the number of instances, not with their events.
    """
    sealed, last, findings = await _sealed(checkpoints, tenant)
    ledgers = events = 0
    seen: set[str] = set()
    async for instance in _instances(store, tenant):
        if instance.instance_id in seen:
            continue
        seen.add(instance.instance_id)
        ledgers += 1
        found, count = await _check(store, tenant, instance.instance_id, sealed.get(instance.instance_id))
        events += count
        findings += found
    archived = 0
    for instance_id in sorted(sealed.keys() - seen):
        if archives and (kept := await archives.archived(tenant, instance_id)) and kept.instance_id == instance_id:
            archived += 1
            if reason := _against(kept, *sealed[instance_id]) or of_file(kept):
                findings.append(Finding(instance_id, kept.aggregate_id, kept.head.sequence, reason))
            continue
        found, count = await _check(store, tenant, instance_id, sealed[instance_id])
        ledgers += 1
        events += count
        findings += found
        if not found:
            findings.append(Finding(instance_id, None, 1, "the instance is in none of the indexes"))
    unsealed = len(await checkpoints.moved(tenant, limit=HEADS_MAX))
    return TenantAudit(last.sequence if last else 0, last, ledgers, events, unsealed, tuple(findings), archived)


def _against(kept: Archived, head: SealedHead, checkpoint: int) -> str | None:
    if (kept.head.sequence, kept.head.hash) == (head.sequence, head.hash):
        return None
    return f"it is archived with {kept.head.sequence} events, checkpoint {checkpoint} sealed another head"


async def inclusion(checkpoints: Checkpoints, tenant: str, instance_id: str) -> Inclusion | None:
    """Return the proof of the last head of *instance_id* that was sealed; None where none was, or the chain is bad."""
    proof = None
    try:
        async for checkpoint in followed(checkpoints, tenant):
            proof = prove(checkpoint, instance_id) or proof
    except BadCheckpoint:
        return None
    return proof


async def _check(
    store: Store, tenant: str, instance_id: str, sealed: tuple[SealedHead, int] | None
) -> tuple[list[Finding], int]:
    try:
        audited = await audit(store, tenant, instance_id)
    except Rejected as error:
        return [Finding(instance_id, None, 1, str(error))], 0
    if audited is None or audited.instance.instance_id != instance_id:
        number = f"checkpoint {sealed[1]} sealed {sealed[0].sequence} events of it" if sealed else "it was listed"
        return [Finding(instance_id, None, 1, f"the instance is gone; {number}")], 0
    if isinstance(audited.verdict, Broken):
        return [_finding(audited.instance, audited.verdict.sequence, audited.verdict.reason)], len(audited.lines)
    if sealed:
        head, number_of = sealed
        reason = contradiction(head, [event.hash for event in audited.events], number_of)
        if reason:
            first = min(len(audited.events) + 1, head.sequence)
            return [_finding(audited.instance, first, reason)], len(audited.lines)
    return [], len(audited.lines)


def _finding(instance: LoopInstance, sequence: int, reason: str) -> Finding:
    return Finding(instance.instance_id, instance.aggregate_id, sequence, reason)


async def _sealed(
    checkpoints: Checkpoints, tenant: str
) -> tuple[dict[str, tuple[SealedHead, int]], Statement | None, list[Finding]]:
    sealed: dict[str, tuple[SealedHead, int]] = {}
    last: Statement | None = None
    try:
        async for checkpoint in followed(checkpoints, tenant):
            last = checkpoint.statement
            sealed |= {head.instance_id: (head, checkpoint.sequence) for head in checkpoint.heads}
    except BadCheckpoint as error:
        return sealed, last, [Finding(None, None, error.sequence, f"checkpoint {error.sequence}: {error}")]
    return sealed, last, []


async def followed(checkpoints: Checkpoints, tenant: str) -> AsyncIterator[Checkpoint]:
    """Yield every checkpoint of *tenant*, each proven to follow the one before. Raises BadCheckpoint."""
    last: Statement | None = None
    while lines := await checkpoints.checkpoint_lines(tenant, after=last.sequence if last else 0, limit=20):
        for checkpoint in follow(lines, tenant, last):
            last = checkpoint.statement
            yield checkpoint


async def _instances(store: Store, tenant: str) -> AsyncIterator[LoopInstance]:
    for closed in (False, True):
        cursor = None
        while True:
            try:
                page, cursor = await store.instances(tenant, cursor=cursor, limit=_PAGE, closed=closed)
            except ValidationError as error:
                raise DoesNotHold(
                    "an instance cannot be read; it was changed by something else than Loopgate"
                ) from error
            for instance in page:
                yield instance
            if cursor is None:
                break
