"""API keys by themselves: what a key may do, and which of its tokens counts when."""

from datetime import timedelta
from typing import Any

import pytest
from builders import MORNING, TENANT

from gateway.api.keys import ROTATION_GRACE, ApiKey, Scope, digest_of, new_token

MOMENT = timedelta(microseconds=1)


def a_key(token: str, *scopes: Scope, **said: Any) -> ApiKey:
    """Return a key with *token*."""
    known = {"key_id": "ak_1", "tenant": TENANT, "service": "ci", "scopes": scopes, "created_at": MORNING}
    return ApiKey.model_validate(known | {"token_digest": digest_of(token)} | said)


@pytest.mark.parametrize(
    ("has", "wanted", "may"),
    [
        (("events:read",), ("events:read",), True),
        (("events:read",), ("loops:write", "events:read"), True),
        (("loops:write", "approvals:request"), ("events:read",), False),
        (("loops:write", "approvals:request"), ("admin",), False),
        (("admin",), ("events:read",), True),
        (("admin",), (), True),
        (("events:read",), (), False),
        ((), ("events:read",), False),
    ],
)
def test_any_scope_that_is_wanted_is_enough_and_admin_always_is(
    has: tuple[Scope, ...], wanted: tuple[Scope, ...], may: bool
) -> None:
    """A key may what one of its scopes allows; nothing else gives it more, and `admin` is all of them."""
    assert a_key("t", *has).may(wanted) is may


def test_of_two_rotations_only_the_last_two_tokens_count() -> None:
    """Within a rotation's grace the former token counts, none before it and no other; after it the new one."""
    first, second, third, other = (new_token() for _ in range(4))
    key = a_key(first).rotated(second, MORNING).rotated(third, MORNING)
    end = MORNING + ROTATION_GRACE

    def counting(at: Any) -> list[bool]:
        return [key.objection(digest_of(token), at) is None for token in (first, second, third, other)]

    assert counting(MORNING) == [False, True, True, False]
    assert counting(end - MOMENT) == [False, True, True, False]
    assert counting(end) == [False, False, True, False]


def test_a_former_token_counts_only_until_a_stated_time() -> None:
    """A key that says nothing of until when has no former token."""
    former = new_token()
    key = a_key(new_token(), former_digest=digest_of(former))

    assert key.objection(digest_of(former), MORNING) == "the key has another token now"


def test_no_token_of_a_key_outlives_it() -> None:
    """Revoked, or at the very instant it expires, neither the token nor the former one counts any more."""
    former, token = new_token(), new_token()
    rotated = a_key(former).rotated(token, MORNING)
    expiring = rotated.changed(expires_at=MORNING + MOMENT)

    for digest in map(digest_of, (former, token)):
        assert rotated.changed(revoked_at=MORNING).objection(digest, MORNING) == "the key was revoked"
        assert expiring.objection(digest, MORNING) is None
        assert expiring.objection(digest, MORNING + MOMENT) == "the key has expired"
