"""The command line of the archive: `loopgate archive run | list`."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from gateway.terminal import Json, Tenant, fail, out, print_json, with_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.auditing.archive import Round
    from gateway.auditing.archived import Archived
    from gateway.wiring.parts import Parts

archive_app = typer.Typer(help="Closed instances, moved from the store into a directory.", no_args_is_help=True)


@archive_app.command("run")
def run(as_json: Json = False) -> None:
    """
    Archive now what closed longer than LOOPGATE_RETENTION_DAYS ago, of every tenant; exit 1 where a ledger is broken.

    Each bundle is written to LOOPGATE_ARCHIVE_DIR, read back and checked before its instance leaves the store.
    """
    from gateway.archiving import ARCHIVING, ARCHIVING_LEASE
    from gateway.identifiers import process_name
    from gateway.jobs.leases import holding
    from gateway.wiring.work import archivist

    async def archived(parts: "Parts") -> "Round":
        archives = archivist(parts)
        if archives is None:
            fail("no archive is configured; set LOOPGATE_ARCHIVE_DIR to a directory")
        holder = process_name()
        async with holding(parts.leases, ARCHIVING, holder, ARCHIVING_LEASE) as is_ours:
            if not is_ours:
                fail("another process is archiving now; run this again when it is done")
            try:
                return await archives.round()
            finally:
                await parts.leases.let_go(ARCHIVING, holder)

    done: Round = with_parts(archived)
    found = [{"instanceId": each.instance_id, "reason": each.reason} for each in done.findings]
    if as_json:
        print_json({"archived": done.archived, "left": done.left, "findings": found})
    else:
        out.print(f"{done.archived} archived; {done.left} left, with work to do or events no checkpoint has sealed")
        for each in found:
            out.print(f"not archived: {each['instanceId']}: {each['reason']}", markup=False, highlight=False)
    raise typer.Exit(1 if found else 0)


@archive_app.command("list")
def list_archived(
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """List what is archived, last closed first."""
    from gateway.ledger_table import shown

    async def read(parts: "Parts") -> "tuple[Sequence[Archived], str | None]":
        return await parts.archives.archive(tenant, cursor=cursor, limit=limit)

    found, following = with_parts(read)
    if as_json:
        print_json({"archived": [each.as_json() for each in found], "nextCursor": following})
        return
    table = Table("aggregate", "loop", "ended", "closed", "events", "file", box=None, header_style="bold")
    for each in found:
        ended, closed = f"{each.status} in {each.state}", f"{each.closed_at:%Y-%m-%d}"
        cells = (each.aggregate_id, each.loop_id, ended, closed, each.head.sequence, each.file)
        table.add_row(*map(shown, cells))
    out.print(table if found else "nothing is archived")
    if following:
        out.print(f"more: --cursor {following}", style="dim", soft_wrap=True)
