"""The command line of API keys: made, listed, rotated, revoked. A token is shown once."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from rich.table import Table

from gateway.terminal import Json, Tenant, fail, out, print_json, say, with_parts

if TYPE_CHECKING:
    from gateway.api.keys import ApiKey
    from gateway.wiring.parts import Parts

keys_app = typer.Typer(help="API keys: who may call /api/v1, and for what.", no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(help="The key's id, as `loopgate keys list` prints it.")]


@keys_app.command("create")
def create(
    service: Annotated[str, typer.Argument(help="The service that will use it: the actor on the ledger.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="loops:write, approvals:request, events:read or admin. Repeatable."),
    ] = None,
    expires: Annotated[str | None, typer.Option(help="When it stops counting, such as 90d.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Requests a minute; the setting's by default.")] = None,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Make a key for SERVICE and print its token, which nobody can read again."""
    from gateway.api.keys import ApiKey, Scope, digest_of, new_token

    scopes = tuple(dict.fromkeys(scope or ["approvals:request"]))
    known = get_args(Scope)
    if unknown := [each for each in scopes if each not in known]:
        raise typer.BadParameter(f"there is no scope {', '.join(unknown)}; there are {', '.join(known)}")
    token, span = new_token(), _span(expires)

    async def write(parts: "Parts") -> ApiKey:
        now = parts.clock.now()
        key = ApiKey.model_validate(
            {
                "key_id": parts.ids.new("ak_"),
                "tenant": tenant,
                "service": service,
                "scopes": scopes,
                "token_digest": digest_of(token),
                "created_at": now,
                "expires_at": now + span if span else None,
                "limit": limit,
            }
        )
        await parts.api_keys.save(key)
        return key

    _print_token(with_parts(write), token, as_json=as_json)


@keys_app.command("list")
def list_keys(tenant: Tenant = "default", as_json: Json = False) -> None:
    """List the keys of a tenant, revoked and expired ones too. Tokens are not kept, so none is shown."""

    async def read(parts: "Parts") -> list[dict[str, Any]]:
        now = parts.clock.now()
        return [
            {
                "keyId": each.key.key_id,
                "service": each.key.service,
                "scopes": list(each.key.scopes),
                "standing": each.key.objection(each.key.token_digest, now) or "counts",
                "createdAt": each.key.created_at.isoformat(),
                "expiresAt": each.key.expires_at.isoformat() if each.key.expires_at else None,
                "lastUsedAt": each.last_used_at.isoformat() if each.last_used_at else None,
            }
            for each in await parts.api_keys.all(tenant)
        ]

    rows = with_parts(read)
    if as_json:
        print_json(rows)
        return
    table = Table("key", "service", "scopes", "standing", "expires", "last used", box=None, header_style="bold")
    for row in rows:
        expires, used = ((row[name] or "never")[:16] for name in ("expiresAt", "lastUsedAt"))
        table.add_row(row["keyId"], row["service"], ", ".join(row["scopes"]), row["standing"], expires, used)
    out.print(table if rows else f"no keys of tenant {tenant}; `loopgate keys create SERVICE` makes one")


@keys_app.command("rotate")
def rotate(key_id: KeyId, tenant: Tenant = "default", as_json: Json = False) -> None:
    """Give a key a new token and print it. The one before goes on counting for 24 hours."""
    from gateway.api.keys import new_token

    token = new_token()

    async def write(parts: "Parts") -> "ApiKey":
        key = await _found(parts, tenant, key_id)
        if why := key.objection(key.token_digest, parts.clock.now()):
            fail(f"{key_id}: {why}; make another with `loopgate keys create {key.service}`")
        changed = key.rotated(token, parts.clock.now())
        await parts.api_keys.save(changed)
        return changed

    _print_token(with_parts(write), token, as_json=as_json)


@keys_app.command("revoke")
def revoke(key_id: KeyId, tenant: Tenant = "default") -> None:
    """Revoke a key: from now on neither of its tokens counts."""

    async def write(parts: "Parts") -> "ApiKey":
        key = await _found(parts, tenant, key_id)
        revoked = key.changed(revoked_at=key.revoked_at or parts.clock.now())
        await parts.api_keys.save(revoked)
        return revoked

    key = with_parts(write)
    out.print(f"{key.key_id} of {key.service} was revoked at {key.revoked_at:%Y-%m-%d %H:%M:%S} UTC", highlight=False)


async def _found(parts: "Parts", tenant: str, key_id: str) -> "ApiKey":
    key = await parts.api_keys.key(tenant, key_id)
    if key is None:
        fail(f"tenant {tenant} has no key {key_id}; `loopgate keys list` shows which there are")
    return key


def _span(text: str | None) -> timedelta | None:
    from loops.durations import parse_duration

    if text is None:
        return None
    try:
        span: timedelta = parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(f"--expires: {error}") from error
    return span


def _print_token(key: "ApiKey", token: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"keyId": key.key_id, "service": key.service, "scopes": list(key.scopes), "token": token})
        return
    out.print(token, highlight=False, markup=False)
    say(f"{key.key_id} of {key.service}, for {', '.join(key.scopes)}. Keep the token now: it is not shown again.")
