"""The commands that connect a workspace: `loopgate slack manifest` and `loopgate doctor`."""

import asyncio
import os
import sys
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.terminal import Json, out, print_json, settings
from loops.errors import LoopgateError

if TYPE_CHECKING:
    from gateway.doctor.findings import Finding

#: How a finding looks on a terminal.
_MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red"), "skipped": ("-", "dim")}

slack_app = typer.Typer(help="Connect a Slack workspace.", no_args_is_help=True)


@slack_app.command("manifest")
def manifest(
    url: Annotated[
        str | None,
        typer.Option(
            help="Where Slack reaches this gateway by https, for example https://loopgate.example.com; by default "
            "slack.publicUrl of loopgate.yaml. Not for Socket Mode."
        ),
    ] = None,
    socket: Annotated[
        bool | None,
        typer.Option(
            "--socket/--http",
            help="Whether Slack delivers over connections that the gateway opens. Without it LOOPGATE_SLACK_MODE says.",
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="The app's name in Slack.")] = "Loopgate",
    as_json: Json = False,
) -> None:
    """
    Print the app manifest to paste into Slack's "Create an app from a manifest".

    For an app that Slack reaches by https: loopgate slack manifest --url https://loopgate.example.com. For one that
    needs no address of its own, because the gateway connects to Slack: loopgate slack manifest --socket. Printed again
    after an update of Loopgate it holds every scope that update needs; `loopgate doctor` says if one is missing.
    """
    from ruamel.yaml import YAML

    from channels.slack.manifest import manifest as manifest_of

    is_socket = settings().slack_mode == "socket" if socket is None else socket
    if is_socket and url:
        raise typer.BadParameter("an app in Socket Mode has no address; leave out --url, or say --http")
    address = None if is_socket else url or _configured_url()
    if not is_socket and address is None:
        raise typer.BadParameter(
            "name the address Slack reaches this gateway at: --url https://loopgate.example.com, or slack.publicUrl in "
            "loopgate.yaml. Without an address use --socket"
        )
    try:
        made = manifest_of(name, address)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if as_json:
        print_json(made)
    else:
        YAML().dump(made, sys.stdout)


def _configured_url() -> str | None:
    """Return the address the configuration names; None before there is one, as an app is created first."""
    from gateway.configuration import load_configuration

    path = settings().config
    return load_configuration(path).slack.public_url if path.exists() else None


def doctor(as_json: Json = False) -> None:
    """
    Look at everything a gateway needs, and say what to do about what is missing; exit 1 if anything fails.

    Run it in the shell that starts `loopgate serve` and `loopgate work`, as it reads the same variables. It changes
    nothing, posts nothing and prints no secret. A check that needs what another found missing is skipped (-).
    """
    findings = _findings()
    sound = not any(each.status == "fail" for each in findings)
    if as_json:
        print_json({"ok": sound, "findings": [asdict(each) for each in findings]})
    else:
        _print_findings(findings)
    if not sound:
        raise typer.Exit(1)


def _findings() -> "list[Finding]":
    from gateway.clock import SystemClock
    from gateway.doctor.examination import examine
    from gateway.doctor.patient import open_patient
    from gateway.wiring.store import store_url

    known, url, storeless = settings(), None, ""

    async def look() -> "list[Finding]":
        async with open_patient(known, SystemClock(), os.environ, url, storeless) as patient:
            return await examine(patient)

    with ExitStack() as stack:
        if known.redis_url is None and not (known.data_dir / "store").exists():
            # Looking must not bring about what is looked for.
            storeless = f"there is no embedded store in {known.data_dir} yet"
            return asyncio.run(look())
        try:
            url = stack.enter_context(store_url(known))
        except LoopgateError as error:
            storeless = str(error)
        return asyncio.run(look())


def _print_findings(findings: "list[Finding]") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for each in findings:
        mark, style = _MARKS[each.status]
        said = Text(each.says)
        if each.next_step:
            said.append(f"\n→ {each.next_step}", "bold")
        table.add_row(Text(mark, style), Text(each.check), said)
    out.print(table)
    counted = {status: sum(each.status == status for each in findings) for status in _MARKS}
    told = [f"{count} {status}" for status, count in counted.items() if count]
    out.print(", ".join(told), style="red" if counted["fail"] else "green")
