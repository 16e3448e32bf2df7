"""What Standard Webhooks asks of secrets, bodies and headers, whoever sends or receives."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from standardwebhooks import Webhook

from gateway.standard_webhooks import message, new_secret, signed_headers, signing_key

SENT_AT = datetime(2026, 11, 22, 10, 0, 0, 999_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "A" * 32, "whsec_short", "whsec_" + "A" * 88, "whsec_not base64 at all!!!!!!", "whsec_é"]
)
def test_weak_or_mistyped_secrets_are_refused_without_repeating_them(secret: str) -> None:
    """What is no secret makes no key, and does not end up in a log."""
    with pytest.raises(ValueError, match="a signing secret is whsec_") as caught:
        signing_key(secret)

    assert secret in {"", "whsec_"} or secret not in str(caught.value)


def test_fresh_secrets_are_keys_of_their_own() -> None:
    """Every secret made here is one, and no two are alike."""
    one, other = signing_key(new_secret()), signing_key(new_secret())

    assert one.sign("msg_1", SENT_AT, "{}") != other.sign("msg_1", SENT_AT, "{}")


def test_the_body_names_the_kind_and_the_time_in_utc() -> None:
    """Kind, time and data stand where receivers look for them, whatever zone the time came in."""
    berlin = timezone(timedelta(hours=1))

    said = json.loads(message("loop.completed", datetime(2026, 11, 22, 11, 0, tzinfo=berlin), {"a": 1}))

    assert said == {"type": "loop.completed", "timestamp": "2026-11-22T10:00:00Z", "data": {"a": 1}}


def test_whoever_has_one_of_the_secrets_can_verify() -> None:
    """A message carries a signature by each key; the time that is signed is the one in the header, of any zone."""
    former, present = new_secret(), new_secret()
    now = datetime.now(timezone(timedelta(hours=-8)))

    headers = signed_headers("msg_1", now, b'{"a":1}', [signing_key(present), signing_key(former)])

    assert headers["webhook-timestamp"] == str(int(now.timestamp()))
    for secret in (former, present):
        assert Webhook(secret).verify(b'{"a":1}', dict(headers)) == {"a": 1}
