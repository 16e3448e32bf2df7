"""
API keys: who a caller is, what they may do, until when.

A token is ``le_`` and 32 hexadecimal digits, made once, shown once; kept is its SHA-256. 128 random bits need no slow
hash. A key stands for one service of one tenant and keeps its id when its token is changed.
"""

import hashlib
import re
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field

from loops.values import Identifier, Instant, Value

Scope = Literal["loops:write", "approvals:request", "events:read", "admin"]

#: What a token looks like. Source: facts/loop-engine-contract.md.
TOKEN = re.compile(r"le_[0-9a-f]{32}")

#: How long the former token goes on counting after a rotation.
ROTATION_GRACE = timedelta(hours=24)


class ApiKey(Value):
    """
    One key.

    `service` is the actor it acts as. `token_digest` is the SHA-256 of its token, `former_digest` of the one before,
    which counts until `former_until`. `limit` is its requests per minute, None for the configuration's.
    """

    key_id: str
    tenant: str
    service: Identifier
    scopes: tuple[Scope, ...]
    token_digest: str
    former_digest: str | None = None
    former_until: Instant | None = None
    created_at: Instant
    expires_at: Instant | None = None
    revoked_at: Instant | None = None
    limit: Annotated[int, Field(ge=1)] | None = None

    def may(self, scopes: Collection[Scope]) -> bool:
        """Whether the key has any of *scopes*; `admin` has all."""
        return "admin" in self.scopes or any(scope in self.scopes for scope in scopes)

    def objection(self, digest: str, now: datetime) -> str | None:
        """Return why the token of *digest* does not count at *now*, or None where it does."""
        if self.revoked_at is not None:
            return "the key was revoked"
        if self.expires_at is not None and now >= self.expires_at:
            return "the key has expired"
        if digest == self.token_digest:
            return None
        if digest != self.former_digest or self.former_until is None or now >= self.former_until:
            return "the key has another token now"
        return None

    def rotated(self, token: str, now: datetime) -> "ApiKey":
        """Return the key with *token* as its new one; the one before counts for `ROTATION_GRACE`."""
        return self.changed(
            token_digest=digest_of(token), former_digest=self.token_digest, former_until=now + ROTATION_GRACE
        )


def new_token() -> str:
    """Return a fresh token."""
    return f"le_{secrets.token_hex(16)}"


def digest_of(token: str) -> str:
    """Return what is kept of *token*."""
    return hashlib.sha256(token.encode()).hexdigest()
