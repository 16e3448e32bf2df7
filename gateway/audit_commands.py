"""
The commands that prove: `loopgate audit show | verify | export | replay | compare | checkpoint`.

Exit codes: 0 it holds, 1 it does not, 2 it could not be checked (nothing there, no store, no such file). What names a
history is a business object (`PO-2001`), an instance id, or the file of a bundle, for which nothing else is opened.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from gateway.terminal import Json, Tenant, fail, out, print_json, print_words, say, settings, with_parts
from loops.errors import LoopgateError

if TYPE_CHECKING:
    from gateway.audit import AuditedLedger
    from gateway.auditing.archived import Archived
    from gateway.auditing.checkpoints import Finding
    from gateway.auditing.exhibits import Exhibit
    from gateway.wiring.parts import Parts

#: Exit codes of a check.
HOLDS, BROKEN, UNCHECKED = 0, 1, 2

#: Checkpoints one command makes at most; each seals thousands of ledgers.
_CHECKPOINTS_MAX = 100

audit_app = typer.Typer(help="Read a ledger back, and prove that nothing in it was changed.", no_args_is_help=True)

Subject = Annotated[str, typer.Argument(help="A business object (PO-2001) or an instance id.", metavar="AGGREGATE")]
History = Annotated[
    str, typer.Argument(help="A business object, an instance id, or the file of a bundle.", metavar="AGGREGATE|BUNDLE")
]


@audit_app.command("show")
def show(aggregate: Subject, tenant: Tenant = "default", as_json: Json = False) -> None:
    """Print the ledger of an aggregate's latest loop instance, and whether it verifies."""
    found = _audited(tenant, aggregate, missing=1, archived=HOLDS)
    if as_json:
        print_json([event.as_json() for event in found.events])
        return
    from gateway.ledger_table import ledger_table

    out.print(ledger_table(found.events))
    _print_verdict(found)


@audit_app.command("verify")
def verify(
    history: Annotated[
        str | None,
        typer.Argument(
            help="A business object, an instance id, or the file of a bundle.", metavar="[AGGREGATE|BUNDLE]"
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Check every ledger of the tenant, and against its checkpoints.")
    ] = False,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """
    Verify a ledger from its stored bytes, or a bundle offline; exit 1 where it does not hold, 2 where it is not there.

    The first bad event is named. A bundle needs no store and no configuration. With --all every ledger of the tenant
    is checked, also for having been cut or deleted since a checkpoint sealed it.
    """
    from gateway.auditing.bundles import is_bundle

    if every == (history is not None):
        raise typer.BadParameter("name a business object, an instance or a bundle; or ask for --all")
    with _checking():
        if history is None:
            _verify_tenant(tenant, as_json=as_json)
        elif is_bundle(history):
            _verify_bundle(Path(history), as_json=as_json)
        else:
            _verify_ledger(tenant, history, as_json=as_json)


@audit_app.command("export")
def export(
    aggregate: Annotated[
        str | None, typer.Argument(help="A business object (PO-2001) or an instance id.", metavar="[AGGREGATE]")
    ] = None,
    instance: Annotated[str | None, typer.Option(help="An instance id, where an object is called the same.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file, or a directory to put it in; - prints it.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Write over a file that is there.")] = False,
    tenant: Tenant = "default",
) -> None:
    """
    Write a ledger as a bundle: one file of JSON Lines with all that is needed to check it.

    The first line is the manifest, with the pinned definition and, where there is one, the proof of a checkpoint; the
    others are the events as stored. `loopgate audit verify FILE` checks it anywhere. It contains everything the ledger
    does: parameters, evidence and names.
    """
    from gateway.auditing.bundles import check_exportable, place_for, write_bundle

    if (aggregate is None) == (instance is None):
        raise typer.BadParameter("name a business object or, with --instance, an instance")
    with _checking():
        found, lines = _bundled(tenant, aggregate or instance or "", exactly=instance)
        check_exportable(found)
        if output == Path("-"):
            sys.stdout.buffer.writelines(lines)
            return
        path = place_for(found, output)
        write_bundle(path, lines, overwrite=force)
    say(f"{path}: {len(found.lines)} events of {found.instance.aggregate_id} ({found.instance.instance_id})")


@audit_app.command("replay")
def replay(history: History, tenant: Tenant = "default", as_json: Json = False) -> None:
    """
    Judge a recorded history again, with its recorded verdicts and pinned definition; exit 1 where it comes out other.

    What verifies was not changed since; what replays is also what this engine would have decided.
    """
    from gateway.auditing.words import replay_words
    from loops.replay import replay as judge_again
    from loops.replay import standing

    with _checking():
        exhibit = _exhibit(history, tenant)
        replayed = judge_again(exhibit.events, exhibit.definition)
        stored = standing(replayed, exhibit.instance) if exhibit.instance and not replayed.deviation else ()
    reproduced = replayed.deviation is None and not stored
    if as_json:
        print_json(
            {
                "reproduced": reproduced,
                "source": exhibit.source,
                "decisions": replayed.steps,
                "events": replayed.events,
                "deviation": replayed.deviation and replayed.deviation.as_json(),
                "stored": [difference.as_json() for difference in stored],
            }
        )
    else:
        print_words(replay_words(exhibit.source, replayed, stored))
    raise typer.Exit(HOLDS if reproduced else BROKEN)


@audit_app.command("compare")
def compare(left: History, right: History, tenant: Tenant = "default", as_json: Json = False) -> None:
    """
    Name the first place where two histories differ; exit 1 where they do.

    Two copies of one history (a bundle and the store) must agree in every byte; two runs in what they were about, who
    acted and what came of it.
    """
    from gateway.auditing.words import comparison_words
    from loops.comparing import compare as compare_events

    with _checking():
        one, other = _exhibit(left, tenant), _exhibit(right, tenant)
    found = compare_events(one.events, other.events)
    if as_json:
        print_json({"left": one.source, "right": other.source, **found.as_json()})
    else:
        print_words(comparison_words(one.source, other.source, found))
    raise typer.Exit(HOLDS if found.divergence is None else BROKEN)


@audit_app.command("checkpoint")
def checkpoint(tenant: Tenant = "default", as_json: Json = False) -> None:
    """
    Seal every ledger of a tenant that moved since the last checkpoint; exit 1 where one does not verify.

    A ledger that is cut together with its head, or deleted, contradicts the checkpoint that sealed it: see
    `loopgate audit verify --all`. Kept elsewhere, the hash this prints proves all of them later.
    """
    from gateway.auditing.checkpoints import seal_tenant
    from gateway.auditing.words import checkpoint_words
    from loops.checkpoint import Checkpoint

    async def make(parts: "Parts") -> tuple[list[Checkpoint], tuple["Finding", ...]]:
        made: list[Checkpoint] = []
        findings: tuple[Finding, ...] = ()
        for _ in range(_CHECKPOINTS_MAX):
            sealed, findings = await seal_tenant(parts.store, parts.checkpoints, tenant, parts.clock.now())
            if sealed is None:
                break
            made.append(sealed)
        return made, findings

    with _checking():
        made, findings = with_parts(make)
    if as_json:
        print_json(
            {
                "checkpoints": [each.statement.as_json() for each in made],
                "findings": [_finding_json(each) for each in findings],
            }
        )
    else:
        for each in made or [None]:
            out.print(checkpoint_words(each))
        for finding in findings:
            out.print(Text.assemble(("not sealed", "red"), f": {finding.instance_id}: {finding.reason}"))
    raise typer.Exit(BROKEN if findings else HOLDS)


def _verify_tenant(tenant: str, *, as_json: bool) -> None:
    from gateway.auditing.archive import check_archived
    from gateway.auditing.checkpoints import audit_tenant
    from gateway.auditing.words import tenant_words

    directory = settings().archive_dir

    def of_file(kept: "Archived") -> str | None:
        return check_archived(kept, directory) if directory else None

    found = with_parts(lambda parts: audit_tenant(parts.store, parts.checkpoints, tenant, parts.archives, of_file))
    if as_json:
        print_json(
            {
                "verified": not found.findings,
                "ledgers": found.ledgers,
                "events": found.events,
                "checkpoints": found.checkpoints,
                "lastCheckpoint": found.last and found.last.as_json(),
                "unsealed": found.unsealed,
                "archived": found.archived,
                "findings": [_finding_json(each) for each in found.findings],
            }
        )
    else:
        print_words(tenant_words(tenant, found))
    raise typer.Exit(BROKEN if found.findings else HOLDS)


def _verify_bundle(path: Path, *, as_json: bool) -> None:
    from gateway.auditing.exhibits import checked_bundle
    from gateway.auditing.words import bundle_words

    bundle = checked_bundle(path)
    if as_json:
        manifest = bundle.manifest
        print_json(
            {
                "verified": bundle.holds,
                "bundle": str(path),
                "sequence": bundle.broken and bundle.broken.sequence,
                "checks": [check.as_json() for check in bundle.checks],
                "manifest": manifest and {k: v for k, v in manifest.as_json().items() if k != "definition"},
            }
        )
    else:
        print_words(bundle_words(str(path), bundle))
    raise typer.Exit(HOLDS if bundle.holds else BROKEN)


def _verify_ledger(tenant: str, name: str, *, as_json: bool) -> None:
    from loops.ledger import Verified

    found = _audited(tenant, name, missing=UNCHECKED)
    holds = isinstance(found.verdict, Verified)
    if as_json:
        print_json({"verified": holds, "instanceId": found.instance.instance_id, **found.verdict.as_json()})
    else:
        _print_verdict(found)
    raise typer.Exit(HOLDS if holds else BROKEN)


def _bundled(tenant: str, name: str, *, exactly: str | None) -> tuple["AuditedLedger", list[bytes]]:
    from importlib.metadata import version

    from gateway.audit import AuditedLedger, audit
    from gateway.auditing.checkpoints import inclusion
    from loops.bundle import bundle_lines, make_manifest

    async def read(parts: "Parts") -> tuple[AuditedLedger, list[bytes]] | None:
        found = await audit(parts.store, tenant, name)
        if found is None or exactly not in {None, found.instance.instance_id}:
            return None
        manifest = make_manifest(
            found.instance,
            found.loaded.definition,
            found.lines,
            exported_at=parts.clock.now(),
            exported_by=f"loopgate {version('loopgate')}",
            checkpoint=await inclusion(parts.checkpoints, tenant, found.instance.instance_id),
        )
        return found, list(bundle_lines(manifest, found.lines))

    read_back: tuple[AuditedLedger, list[bytes]] | None = with_parts(read)
    if read_back is None:
        fail(_nothing_on(tenant, name), UNCHECKED)
    return read_back


def _exhibit(history: str, tenant: str) -> "Exhibit":
    from gateway.auditing.bundles import is_bundle
    from gateway.auditing.exhibits import exhibit_of_bundle, exhibit_of_ledger

    if is_bundle(history):
        return exhibit_of_bundle(Path(history))
    return exhibit_of_ledger(_audited(tenant, history, missing=UNCHECKED))


def _audited(tenant: str, name: str, *, missing: int, archived: int = UNCHECKED) -> "AuditedLedger":
    """Return a stored ledger; end with code *archived* where it is in the archive, *missing* where nowhere."""
    from gateway.audit import AuditedLedger, audit

    async def read(parts: "Parts") -> "AuditedLedger | Archived | None":
        return await audit(parts.store, tenant, name) or await parts.archives.archived(tenant, name)

    found = with_parts(read)
    if found is None:
        fail(_nothing_on(tenant, name), missing)
    if not isinstance(found, AuditedLedger):
        fail(f"{found}; `loopgate audit verify` checks that file", archived)
    return found


def _nothing_on(tenant: str, name: str) -> str:
    return f"there is no loop instance on '{name}' in tenant '{tenant}'; `loopgate loops` lists the open ones"


def _print_verdict(found: "AuditedLedger") -> None:
    from gateway.ledger_table import shown
    from loops.ledger import Broken, Verified

    match found.verdict:
        case Verified(head=head):
            instance = found.instance
            words = f": {head.sequence} events, head {head.hash[:19]}, {instance.status} in {instance.state}"
            out.print(Text.assemble(("verified", "green"), shown(words)))
        case Broken(sequence=sequence, reason=reason):
            out.print(Text.assemble(("broken", "red"), shown(f" at {sequence}: {reason}")))


def _finding_json(finding: "Finding") -> dict[str, Any]:
    return {
        "instanceId": finding.instance_id,
        "aggregateId": finding.aggregate_id,
        "sequence": finding.sequence,
        "reason": finding.reason,
    }


@contextmanager
def _checking() -> Iterator[None]:
    """End the command with exit code 2 where something cannot be checked, so that nobody takes that for a finding."""
    try:
        yield
    except LoopgateError as error:
        from gateway.audit import DoesNotHold

        fail(str(error), BROKEN if isinstance(error, DoesNotHold) else UNCHECKED)
    except OSError as error:
        fail(f"{error.filename or 'the system'}: {error.strerror or error}", UNCHECKED)
