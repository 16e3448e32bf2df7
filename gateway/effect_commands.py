"""The command line of effects: what is not done with, what went wrong, and having it tried again or let be."""

import getpass
import json
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from rich.table import Table

from gateway.terminal import Json, Tenant, fail, out, print_json, with_parts

if TYPE_CHECKING:
    from gateway.jobs.ports import EffectRecord, LaneStanding
    from gateway.wiring.parts import Parts
    from loops.actors import Automation
    from loops.outcomes import Executed, Recorded, Refused

effects_app = typer.Typer(help="What commits asked the world to do, and how far it got.", no_args_is_help=True)

As = Annotated[str | None, typer.Option("--as", help="Who you are, for the record; by default your login here.")]
EffectId = Annotated[str, typer.Argument(metavar="EFFECT", help="The effect's id, ef_...")]

#: Effects looked through for one page, where a filter leaves most of them out.
LOOKED_THROUGH = 5_000


@effects_app.command("list")
def list_effects(
    state: Annotated[
        list[str] | None, typer.Option(help="pending, claimed, failed (tried again) or dead. Repeatable.")
    ] = None,
    integration: Annotated[str | None, typer.Option(help="Only those of this integration.")] = None,
    instance: Annotated[
        str | None, typer.Option(help="All of this loop instance or business object, done ones too.")
    ] = None,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """List effects that are not done with, oldest first, and integrations and providers that are let be."""
    from gateway.jobs.ports import LISTED, EffectState
    from gateway.wiring.work import lanes

    known = get_args(EffectState) if instance else LISTED
    if unknown := sorted({*(state or ())} - {*known}):
        raise typer.BadParameter(f"there is no state {', '.join(unknown)} to list; there are {', '.join(known)}")
    states = tuple(each for each in known if not state or each in state)

    def fits(record: "EffectRecord") -> bool:
        effect = record.effect
        return (
            effect.tenant == tenant
            and record.state in states
            and integration in {None, effect.payload.get("integration")}
        )

    async def read(parts: "Parts") -> tuple[list["EffectRecord"], str | None, Sequence["LaneStanding"]]:
        standings = await parts.lanes.standing(sorted(lanes(parts.configuration)))
        if instance:
            found = await parts.store.load_aggregate(tenant, instance) or await parts.store.load(tenant, instance)
            if found is None:
                fail(f"there is no loop on {instance}, and no instance of that id")
            records = await parts.effects.effects_of(tenant, found.instance.instance_id)
            return [record for record in records if fits(record)], None, standings
        kept: list[EffectRecord] = []
        after, looked = cursor, 0
        while len(kept) < limit and looked < LOOKED_THROUGH:
            # No more than still fit, so that the cursor stands behind the last one shown.
            page, after = await parts.effects.listed(states, cursor=after, limit=limit - len(kept))
            looked += len(page)
            kept += [record for record in page if fits(record)]
            if after is None:
                break
        return kept, after, standings

    records, following, standings = with_parts(read)
    let_be = [standing for standing in standings if standing.circuit != "closed"]
    if as_json:
        circuits = {each.name: each.circuit for each in standings}
        print_json({"effects": [_as_json(record) for record in records], "cursor": following, "circuits": circuits})
        return
    out.print(_table(records) if records else "no such effects")
    for each in let_be:
        until = f"until {each.open_until:%H:%M:%S} UTC" if each.open_until else ""
        out.print(f"{each.name} is let be {until}: {each.failures} failures in a row, {each.waiting} effects wait")
    if following:
        out.print(f"there are more: --cursor {following}", style="dim", soft_wrap=True)


@effects_app.command("show")
def show(effect_id: EffectId, tenant: Tenant = "default", as_json: Json = False) -> None:
    """Show one effect: what it does, for what, how far it got, and what went wrong last."""
    record = with_parts(lambda parts: _found(parts, tenant, effect_id))
    if as_json:
        print_json(_as_json(record) | {"effect": record.effect.as_json()})
        return
    from gateway.ledger_table import shown

    table = Table(show_header=False, box=None)
    for name, value in _as_json(record).items():
        table.add_row(name, shown("" if value is None else str(value)))
    for name, value in record.effect.payload.items():
        if name not in {"integration", "action", "use"}:
            table.add_row(shown(name), shown(value if isinstance(value, str) else json.dumps(value)))
    out.print(table)


@effects_app.command("retry")
def retry(effect_id: EffectId, by: As = None, tenant: Tenant = "default", as_json: Json = False) -> None:
    """Have a dead effect tried again, with all its tries, on the record."""

    async def tried(parts: "Parts") -> Any:
        record = await _found(parts, tenant, effect_id)
        key = f"operator:{secrets.token_hex(8)}"
        return await parts.engine.retry(record.effect, record.state, by=_operator(by), channel={}, key=key)

    _say(with_parts(tried), f"{effect_id} is tried again", as_json=as_json)


@effects_app.command("abandon")
def abandon(
    effect_id: EffectId,
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    by: As = None,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """
    Have an effect not take place any more, on the record; its loop takes onFailure where it still waits.

    One that is being carried out must end first. A system that was called before may have acted: look there.
    """
    if not reason.strip():
        raise typer.BadParameter("say why: it stands on the record", param_hint="--reason")

    async def let_be(parts: "Parts") -> Any:
        record = await _found(parts, tenant, effect_id)
        return await parts.engine.abandon(record.effect, record.state, by=_operator(by), reason=reason.strip())

    _say(with_parts(let_be), f"{effect_id} will not take place", as_json=as_json)


async def _found(parts: "Parts", tenant: str, effect_id: str) -> "EffectRecord":
    record = await parts.effects.effect(effect_id)
    if record is None or record.effect.tenant != tenant:
        fail(f"there is no effect {effect_id} of tenant {tenant}")
    return record


def _operator(name: str | None) -> "Automation":
    """Return who acts: a tool in somebody's hands. An automation decides no approval, whoever it is."""
    from loops.actors import service

    person = name or getpass.getuser()
    return service("operator", f"{person}, on the command line", on_behalf_of=person)


def _say(outcome: "Executed | Recorded | Refused", done: str, *, as_json: bool) -> None:
    if as_json:
        print_json(outcome.as_json())
        raise typer.Exit(1 if outcome.outcome == "refused" else 0)
    if outcome.outcome == "refused":
        fail(f"refused: {outcome.message}")
    out.print(done)


def _as_json(record: "EffectRecord") -> dict[str, Any]:
    effect = record.effect
    return {
        "effectId": effect.effect_id,
        "kind": effect.kind,
        "integration": effect.payload.get("integration") or effect.payload.get("use"),
        "action": effect.payload.get("action"),
        "aggregateId": effect.aggregate_id,
        "instanceId": effect.instance_id,
        "state": record.state,
        "attempts": record.attempts,
        "nextAt": record.next_at.isoformat() if record.next_at else None,
        "why": record.why,
        "createdAt": effect.created_at.isoformat(),
    }


def _table(records: Sequence["EffectRecord"]) -> Table:
    from gateway.ledger_table import shown

    table = Table("effect", "does", "for", "state", "tries", "again at, UTC", "why", box=None, header_style="bold")
    for record in records:
        effect = record.effect
        what = ": ".join(str(effect.payload[key]) for key in ("integration", "action") if key in effect.payload)
        # What waits for nothing but a worker is due at once; only a wait that somebody set is worth telling.
        waits = record.next_at and record.state in {"pending", "failed"} and record.why
        at = f"{record.next_at:%m-%d %H:%M:%S}" if waits else ""
        cells = (effect.effect_id, what or effect.kind, effect.aggregate_id, record.state, str(record.attempts), at)
        table.add_row(*map(shown, (*cells, record.why or "")))
    return table
