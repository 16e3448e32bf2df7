"""
The command line: `loopgate demo | serve | work | check | loops | metrics | audit | intake | keys | mcp | doctor |
slack`.

Tables for people by default, `--json` for programs. Every command imports what it needs when it runs, so that
`--help` answers at once.
"""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from gateway.api_commands import keys_app
from gateway.archive_commands import archive_app
from gateway.audit_commands import audit_app
from gateway.connect_commands import doctor, slack_app
from gateway.effect_commands import effects_app
from gateway.intake_commands import intake_app
from gateway.leash import say_refused
from gateway.mcp_commands import mcp
from gateway.metrics_commands import metrics
from gateway.terminal import Json, Tenant, err, out, print_json, say, settings, with_parts
from loops.errors import LoopgateError, Unavailable

if TYPE_CHECKING:
    from gateway.loopfiles import LoopFile
    from gateway.seat import Seat
    from gateway.wiring.parts import Parts


#: What the help groups commands by, in this order.
BEGIN, RUN, WRITE, LOOK, PROGRAMS = "Begin", "Run", "Write", "Look", "Let programs in"

app = typer.Typer(
    name="loopgate",
    help="A Slack-first human approval gateway: agents propose, a governed loop judges, humans decide, work runs once.",
    epilog="See it: `loopgate demo`. Connect a workspace: `loopgate slack manifest`, and the README. "
    "If something does not work: `loopgate doctor`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        out.print(f"loopgate {version('loopgate')}", highlight=False)
        raise typer.Exit


@app.callback()
def begin(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """Take what comes before a command."""
    del version


def main() -> None:
    """Run the command line; what goes wrong is said in words, with exit code 1."""
    try:
        app()
    except LoopgateError as error:
        say(str(error))
        if not isinstance(error, Unavailable):
            say_refused()
        sys.exit(1)
    except OSError as error:
        say(f"{error.filename or 'the system'}: {error.strerror or error}")
        sys.exit(1)


@app.command(rich_help_panel=BEGIN)
def demo(
    scripted: Annotated[
        bool, typer.Option("--scripted", help="Play the whole story without a person and exit.")
    ] = False,
    port: Annotated[int | None, typer.Option(help="Where the one page is served; a free port by default.")] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """
    Start everything locally and show it on one page; Ctrl-C stops it.

    A real store, a local Slack, the gateway, a worker and a small deployer, all on this machine's loopback. With
    ANTHROPIC_API_KEY set Claude assesses the proposals; without it a recording does.
    """
    from gateway.demo import run

    raise typer.Exit(run(scripted=scripted, port=port, open_browser=browser))


@app.command(rich_help_panel=RUN)
def serve(
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=64,
            help="So many gateway processes behind the one address, watched: who dies is replaced. "
            "One for each core that clicks may have; else LOOPGATE_SERVE_PROCESSES.",
        ),
    ] = None,
    seat: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """
    Take Slack's deliveries and webhooks until SIGTERM.

    Reads loopgate.yaml (LOOPGATE_CONFIG) and listens on LOOPGATE_HOST:LOOPGATE_PORT. Without LOOPGATE_REDIS_URL a
    server of its own is started in LOOPGATE_DATA_DIR. Effects are carried out by `loopgate work`.

    Slack posts to /slack/events. With LOOPGATE_SLACK_MODE=socket two connections to Slack are opened instead, so that
    Slack need not reach this machine. `loopgate doctor` says what is missing.

    Without --processes this process is the one gateway, and whoever started it must start it again should it die. One
    process uses one core.
    """
    said = settings()
    if seat is None and (wanted := processes or said.serve_processes):
        from gateway.gateways import serve_many

        raise typer.Exit(serve_many(said, wanted))
    from gateway.asgi import serve as serve_http

    serve_http(said, _seat(seat))


def _seat(said: str | None) -> "Seat | None":
    """Return the seat that a pool hands to a process in it; None for a process alone."""
    from gateway.seat import Seat

    try:
        return Seat.parse(said) if said else None
    except ValueError as error:
        raise typer.BadParameter("--seat is what a pool says to its processes; say --processes") from error


@app.command(rich_help_panel=RUN)
def work(
    queue: Annotated[
        list[str] | None,
        typer.Option(help="Serve only this queue: people, cards, threads, integrations or providers. Repeatable."),
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, max=256, help="So many worker processes, watched: who dies is replaced.")
    ] = None,
    seat: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """
    Carry out effects (people, cards, providers, integrations) until SIGTERM; what is in hand is finished first.

    Without --processes this process is the one worker, and whoever started it must start it again should it die. With
    LOOPGATE_WORKER_PORT it answers /healthz, /readyz and /metrics there.
    """
    from gateway.jobs.queues import QUEUES

    unknown = [name for name in queue or () if name not in QUEUES]
    if unknown:
        raise typer.BadParameter(f"there is no queue {', '.join(unknown)}; there are {', '.join(QUEUES)}")
    if processes is not None:
        from gateway.workers import work_many

        raise typer.Exit(work_many(settings(), queue or [], processes))
    from gateway.worker import work as work_queues

    work_queues(settings(), [name for name in QUEUES if not queue or name in queue], _seat(seat))


@app.command(rich_help_panel=WRITE)
def check(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Loop files, or directories of them.", metavar="FILE...")
    ] = None,
    as_graph: Annotated[bool, typer.Option("--graph", help="Print the loop in FILE as a Mermaid flowchart.")] = False,
    as_schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of loop files, for editors.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check loop files; exit 1 if any has an error. Each problem names file, line, code and what to do."""
    if as_schema:
        from loops.file_schema import file_schema_json

        sys.stdout.write(file_schema_json())
        return
    from gateway.guards.entry_points import load_guards
    from gateway.loopfiles import loop_files_at, read_loop_file
    from loops.runtime_guards import RUNTIME_GUARDS

    if not files:
        raise typer.BadParameter("name loop files, or directories of them")
    guards = {**RUNTIME_GUARDS, **load_guards()}
    read = [read_loop_file(path, guards=guards) for path in loop_files_at(files)]
    if as_graph:
        _print_graph(read)
    elif as_json:
        print_json([_checked(file) for file in read])
    else:
        for file in read:
            _print_checked(file)
    if not read:
        say("no loop files there; they end in .yaml, .yml or .json")
    if not read or any(file.definition is None for file in read):
        raise typer.Exit(1)


@app.command(rich_help_panel=LOOK)
def loops(
    state: Annotated[str | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """List the open loop instances, newest first."""

    from gateway.ledger_table import shown

    async def read(parts: "Parts") -> tuple[list[dict[str, Any]], bool]:
        found, more = await parts.store.instances(tenant, state=state, limit=limit)
        return [instance.as_json() for instance in found], more is not None

    rows, more = with_parts(read)
    if as_json:
        print_json(rows)
        return
    table = Table("aggregate", "loop", "state", "asked by", "started", "instance", box=None, header_style="bold")
    for row in rows:
        requester = row["requester"].get("displayName") or row["requester"]["id"]
        cells = (row["aggregateId"], row["loopId"], row["state"], requester, row["startedAt"][:19], row["instanceId"])
        table.add_row(*map(shown, cells))
    out.print(table if rows else "no open loops")
    if more:
        out.print(f"more than {limit}; ask with --limit or --state", style="dim")


# After the commands above, so that the help begins with what people begin with.
app.command("doctor", rich_help_panel=BEGIN)(doctor)
app.add_typer(slack_app, name="slack", rich_help_panel=BEGIN)
app.add_typer(intake_app, name="intake", rich_help_panel=WRITE)
app.command("metrics", rich_help_panel=LOOK)(metrics)
app.add_typer(audit_app, name="audit", rich_help_panel=LOOK)
app.add_typer(effects_app, name="effects", rich_help_panel=LOOK)
app.add_typer(archive_app, name="archive", rich_help_panel=LOOK)
app.command("mcp", rich_help_panel=PROGRAMS)(mcp)
app.add_typer(keys_app, name="keys", rich_help_panel=PROGRAMS)


def _print_checked(file: "LoopFile") -> None:
    from gateway.timetable import timetable

    for found in file.problems:
        out.print(str(found), highlight=False, markup=False, soft_wrap=True)
    if file.definition:
        loop = file.definition
        out.print(
            f"{file.path}: ok: {loop.id} {loop.version}, {_count(len(loop.states), 'state')}, "
            f"{_count(len(loop.transitions), 'transition')}, {loop.digest[:19]}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        for line in timetable(loop):
            out.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _print_graph(files: "list[LoopFile]") -> None:
    """Print one loop as a diagram; what is wrong with its file goes to the error output."""
    from loops.graph import mermaid

    if len(files) > 1:
        raise typer.BadParameter("--graph draws one file")
    for file in files:
        for found in file.problems:
            err.print(str(found), highlight=False, markup=False, soft_wrap=True)
        if file.definition:
            sys.stdout.write(mermaid(file.definition))


def _checked(file: "LoopFile") -> dict[str, Any]:
    return {
        "path": file.path,
        "ok": file.definition is not None,
        "problems": [{"line": found.line, **asdict(found.problem)} for found in file.problems],
    }


if __name__ == "__main__":
    main()
