"""The command line of intake: try a source on a payload, see which presets there are."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from gateway.terminal import Json, fail, out, print_json, with_parts

if TYPE_CHECKING:
    from gateway.intake.foreseeing import Foreseen
    from gateway.wiring.parts import Parts

_UNCHECKED = "not checked: no headers were given"

intake_app = typer.Typer(help="How other systems' webhooks come in.", no_args_is_help=True)


@intake_app.command("presets")
def presets(as_json: Json = False) -> None:
    """List the vendors whose webhooks need no rules of your own."""
    from gateway.intake.presets import preset, preset_names

    if as_json:
        print_json({name: preset(name) for name in preset_names()})
        return
    table = Table("preset", "verifier", "starts", box=None, header_style="bold")
    for name in preset_names():
        said = preset(name)
        table.add_row(name, said["verifier"], said.get("loop", "the source's `loop`"))
    out.print(table)


@intake_app.command("test")
def try_source(
    source: Annotated[str, typer.Argument(help="A source of loopgate.yaml.")],
    file: Annotated[Path, typer.Option(help="The body of a delivery, as it was sent.")],
    header: Annotated[
        list[str] | None, typer.Option(help="A header it came with, 'X-Hub-Signature-256: sha256=...'. Repeatable.")
    ] = None,
    form: Annotated[bool, typer.Option("--form", help="The body is a form, not JSON.")] = False,
    as_json: Json = False,
) -> None:
    """
    Show what a delivery to SOURCE would mean and what would become of it now; nothing is written.

    Without headers the signature is not checked. Exit code 1 where the sender would be refused.
    """
    body = file.read_bytes()
    headers = _headers(header or [])

    async def read(parts: "Parts") -> dict[str, Any]:
        return await _tried(parts, source, body, headers, form=form)

    found = with_parts(read)
    if as_json:
        print_json(found)
    else:
        _print(found)
    if found["answer"] == "refused":
        raise typer.Exit(1)


def _headers(lines: Sequence[str]) -> list[tuple[str, str]]:
    out: list[tuple[str, str]] = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise typer.BadParameter(f"--header {line!r} is not 'Name: value'")
        out.append((name.strip().lower(), value.strip()))
    return out


async def _tried(
    parts: "Parts", name: str, body: bytes, headers: list[tuple[str, str]], *, form: bool
) -> dict[str, Any]:
    import os

    from gateway.intake.foreseeing import foresee
    from gateway.intake.mapping import Ignored, Problems, delivery_id, interpret
    from gateway.intake.payload import Malformed, read_payload
    from gateway.intake.sources import open_sources
    from gateway.intake.verify import Unverified
    from loops.problems import suggestion

    configs = parts.configuration.sources
    if name not in configs:
        near = suggestion(name, list(configs)) or f"; there are {', '.join(configs) or 'none'}"
        fail(f"there is no source '{name}' in {parts.settings.config}{near}")
    opened = open_sources({name: configs[name]}, os.environ)[name]
    told = {"source": name, "verifier": _named(opened.config.verifier), "signature": _UNCHECKED}
    scheme_id = None
    if headers:
        try:
            scheme_id = opened.verifier.verify(headers, body, datetime.now(UTC))
        except Unverified as error:
            return {**told, "signature": f"refused: {error}", "answer": "refused", "why": str(error)}
        told["signature"] = "verified"
    try:
        payload = read_payload(body, "form" if form else "json")
    except Malformed as error:
        return {**told, "answer": "refused", "why": str(error)}
    meaning = interpret(opened.config, payload, dict(headers))
    if not isinstance(meaning, Ignored):
        named = delivery_id(opened.config, scheme_id, payload, dict(headers), body)
        told["deliveryId"] = "(the sender's, signed)" if not headers and scheme_id is None else str(named)
        meaning = named if isinstance(named, Problems) else meaning
    aggregate_id = getattr(meaning, "aggregate_id", None)
    subject = await parts.store.load_aggregate(opened.config.tenant, aggregate_id) if aggregate_id else None
    foreseen: Foreseen = foresee(opened.config, meaning, parts.definitions.all(), subject)
    return {**told, "answer": foreseen.status, "why": foreseen.why, "given": dict(foreseen.given)}


def _named(verifier: Any) -> str:
    return verifier if isinstance(verifier, str) else str(verifier.kind)


def _print(found: dict[str, Any]) -> None:
    import json

    from gateway.ledger_table import shown

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for key, value in found.items():
        text = json.dumps(value, ensure_ascii=False, indent=2) if isinstance(value, dict) else str(value)
        table.add_row(key, Text("\n").join(map(shown, text.split("\n"))))
    out.print(table)
