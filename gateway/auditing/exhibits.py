"""Exhibits: a history to be looked into, whether it comes from a bundle or from the store."""

from dataclasses import dataclass
from pathlib import Path

from gateway.audit import AuditedLedger, DoesNotHold
from gateway.auditing.bundles import read_bundle
from loops.bundle import CheckedBundle, check_bundle
from loops.definition import LoopDefinition
from loops.events import Event
from loops.instance import LoopInstance
from loops.ledger import Broken


@dataclass(frozen=True, slots=True)
class Exhibit:
    """
    One history that verifies. `source` says where it is from.

    `instance` is the stored instance; a bundle has none.
    """

    source: str
    definition: LoopDefinition
    events: tuple[Event, ...]
    instance: LoopInstance | None


def checked_bundle(path: Path) -> CheckedBundle:
    """Return the bundle at *path*, checked. Raises Rejected for what is no text in lines, OSError where unreadable."""
    return check_bundle(read_bundle(path))


def exhibit_of_bundle(path: Path) -> Exhibit:
    """Return the history in the bundle at *path*. Raises DoesNotHold where it does not hold."""
    bundle = checked_bundle(path)
    if bundle.broken or bundle.definition is None:
        found = bundle.broken
        at = f" at {found.sequence}" if found and found.sequence else ""
        raise DoesNotHold(
            f"{path}: {found.what if found else 'definition'} does not hold{at}: {found and found.detail}"
        )
    return Exhibit(f"bundle {path}", bundle.definition, bundle.events, None)


def exhibit_of_ledger(audited: AuditedLedger) -> Exhibit:
    """Return the history on a stored ledger. Raises DoesNotHold where it does not hold."""
    instance = audited.instance
    source = f"{instance.aggregate_id} ({instance.instance_id}, tenant {instance.tenant})"
    if isinstance(audited.verdict, Broken):
        raise DoesNotHold(f"{source} is broken at {audited.verdict.sequence}: {audited.verdict.reason}")
    return Exhibit(source, audited.loaded.definition, audited.events, instance)
