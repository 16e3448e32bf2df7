"""
Verification: that a delivery comes from who shares the secret, is fresh, and has not been changed.

The `standardwebhooks` library compares (constant time, over the raw bytes) and knows the age; around it stands what it
leaves open: it raises whatever base64 or tuple unpacking raise on garbage headers, takes any float for a time-stamp,
decodes mistyped secrets to other keys, and has one tolerance (source: its 1.1.0).
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from standardwebhooks import Webhook, WebhookVerificationError

#: Characters of a delivery id; it becomes part of an idempotency key. The specification leaves them open.
DELIVERY_ID = re.compile(r"[\x21-\x7e]{1,200}")

#: Bytes a signing secret must have. Source: the specification, "Signature scheme": 24 to 64.
SECRET_BYTES = range(24, 65)

#: Signatures of one delivery that are looked at: one per secret of a sender in rotation, and room to spare.
MAX_SIGNATURES = 16

_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"v1,[A-Za-z0-9+/]{43}=")
_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


class Unverified(Exception):  # noqa: N818 - the state it reports
    """The delivery is not from who it should be, or not fresh; the message says which, and never what was expected."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """Verifies deliveries against any of `keys`, no further than `tolerance_s` from now."""

    keys: tuple[Webhook, ...]
    tolerance_s: int

    def verify(self, headers: Sequence[tuple[str, str]], body: bytes, now: datetime) -> str:
        """
        Return the delivery id.

        Args:
            headers: Every header line, names in lower case: a line given twice could mean one thing to us and another
                to who signed, and is refused.
            now: Aware UTC, for a tolerance below the library's own, which reads the machine's clock.

        Raises:
            Unverified: If a header is missing, repeated or malformed, the time is off, or no signature fits.
        """
        delivery_id, timestamp, signatures = (_only(headers, name) for name in _HEADERS)
        if not DELIVERY_ID.fullmatch(delivery_id):
            raise Unverified("webhook-id must be 1 to 200 visible ASCII characters")
        if not _TIMESTAMP.fullmatch(timestamp):
            raise Unverified("webhook-timestamp must be seconds since 1970")
        if abs(int(timestamp) - now.astimezone(UTC).timestamp()) > self.tolerance_s:
            raise Unverified(f"webhook-timestamp is more than {self.tolerance_s} s from now; sign each attempt anew")
        # Other versions and garbage beside a good signature are none of ours; the library would stumble over them.
        usable = [one for one in signatures.split(" ") if _SIGNATURE.fullmatch(one)][:MAX_SIGNATURES]
        signed = {"webhook-id": delivery_id, "webhook-timestamp": timestamp, "webhook-signature": " ".join(usable)}
        if not any(_fits(key, body, signed) for key in self.keys):
            raise Unverified("no signature in webhook-signature fits this delivery")
        return delivery_id


def signing_key(secret: str) -> Webhook:
    """
    Return the key that *secret* is.

    Raises:
        ValueError: If it is not ``whsec_`` and base64 of 24 to 64 bytes; the message does not repeat it.
    """
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError as error:
        raise ValueError("a signing secret is whsec_ followed by base64; this one is not base64") from error
    if not secret.startswith("whsec_") or len(key) not in SECRET_BYTES:
        raise ValueError("a signing secret is whsec_ followed by base64 of 24 to 64 bytes")
    return Webhook(key)


def _only(headers: Sequence[tuple[str, str]], name: str) -> str:
    values = [value for key, value in headers if key == name]
    if len(values) != 1:
        raise Unverified(f"{name} must be there once; it is there {len(values)} times")
    return values[0]


def _fits(key: Webhook, body: bytes, signed: Mapping[str, str]) -> bool:
    try:
        key.verify(body, dict(signed), json_parse=False)
    except (WebhookVerificationError, ValueError):
        return False
    return True
