"""What `loopgate keys` prints and does, on a real store, as people and programs use it."""

import json
from pathlib import Path

import pytest
from unit.gateway.files import a_file
from unit.gateway.test_cli import Shell

from gateway.api.keys import TOKEN, digest_of
from gateway.storage.connect import connect
from gateway.storage.redis_api_keys import RedisApiKeys


@pytest.fixture
def shell(tmp_path: Path, redis_url: str) -> Shell:
    """A shell with a store."""
    a_file(tmp_path)
    return Shell(tmp_path, {"LOOPGATE_REDIS_URL": redis_url})


async def counts(url: str, token: str) -> str | None:
    """Return the service a token counts for now, as the door would judge it."""
    from gateway.clock import SystemClock

    async with connect(url) as client:
        presented = await RedisApiKeys(client).present(digest_of(token), key_limit=100, tenant_limit=100)
    if presented is None or presented.key.objection(digest_of(token), SystemClock().now()):
        return None
    return str(presented.key.service)


async def test_a_key_lives_from_create_to_revoke(shell: Shell, redis_url: str) -> None:
    """Made, it counts; rotated, both tokens do; revoked, neither: and no listing shows a token."""
    asked = ("--scope", "loops:write", "--scope", "events:read", "--expires", "90d")
    made = shell.run("keys", "create", "ci", *asked)
    first = made.stdout.strip()
    key_id = made.stderr.split()[1]
    was = await counts(redis_url, first)
    second = json.loads(shell.run("keys", "rotate", key_id, "--json").stdout)["token"]
    rotated = [await counts(redis_url, token) for token in (first, second)]
    listed = shell.run("keys", "list", "--json").stdout
    revoked = shell.run("keys", "revoke", key_id)
    after = [await counts(redis_url, token) for token in (first, second)]
    (row,) = json.loads(listed)

    assert TOKEN.fullmatch(first)
    assert made.stderr.endswith("of ci, for loops:write, events:read. Keep the token now: it is not shown again.\n")
    assert (was, rotated, after) == ("ci", ["ci", "ci"], [None, None])
    assert (row["keyId"], row["scopes"], row["standing"]) == (key_id, ["loops:write", "events:read"], "counts")
    assert row["expiresAt"] > row["createdAt"]
    assert row["lastUsedAt"] is not None
    assert first not in listed + revoked.stdout
    assert second not in listed + revoked.stdout
    assert revoked.stdout.startswith(f"{key_id} of ci was revoked at ")


def test_what_cannot_be_is_told_with_what_can(shell: Shell) -> None:
    """A scope there is not, a span that is none, a key nobody has: one message each, an exit code, nothing made."""
    scope = shell.run("keys", "create", "ci", "--scope", "loops:read")
    span = shell.run("keys", "create", "ci", "--expires", "soon")
    unknown = shell.run("keys", "revoke", "ak_none")
    listed = shell.run("keys", "list")

    assert (scope.returncode, span.returncode, unknown.returncode) == (2, 2, 1)
    assert "there is no scope loops:read" in scope.stderr
    assert "'soon' is not a duration" in span.stderr
    assert unknown.stderr == "loopgate: tenant default has no key ak_none; `loopgate keys list` shows which there are\n"
    assert "no keys of tenant default" in listed.stdout
