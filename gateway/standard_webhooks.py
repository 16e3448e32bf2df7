"""
Standard Webhooks: its secrets, the body of a message and the headers that sign it, for whoever sends or receives.

Source: standardwebhooks.com, the specification. The library signs and compares, but decodes secrets leniently: a
mistyped one would become another, weaker key without a word (source: its 1.1.0).
"""

import base64
import math
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook

from loops.canonical import canonical_json

#: The headers of a message, as the specification names them.
ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER = "webhook-id", "webhook-timestamp", "webhook-signature"

#: Bytes a secret must have. Source: the specification, "Signature scheme": 24 to 64.
SECRET_BYTES = range(24, 65)

_PREFIX = "whsec_"


def new_secret() -> str:
    """Return a fresh signing secret."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def signing_key(secret: str) -> Webhook:
    """
    Return the key that *secret* is.

    Raises:
        ValueError: If it is not ``whsec_`` and base64 of 24 to 64 bytes; the message does not repeat it.
    """
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError as error:
        raise ValueError("a signing secret is whsec_ followed by base64; this one is not base64") from error
    if not secret.startswith(_PREFIX) or len(key) not in SECRET_BYTES:
        raise ValueError("a signing secret is whsec_ followed by base64 of 24 to 64 bytes")
    return Webhook(key)


def message(kind: str, at: datetime, data: Mapping[str, Any]) -> bytes:
    """
    Return the body that says *data* of a *kind* happened *at*, an aware time.

    Raises:
        NotCanonical: If *data* has no canonical JSON form.
    """
    stamp = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return canonical_json({"type": kind, "timestamp": stamp, "data": dict(data)})


def signed_headers(message_id: str, sent_at: datetime, body: bytes, keys: Sequence[Webhook]) -> Mapping[str, str]:
    """Return the headers of one attempt at *sent_at*, an aware time: a signature by each of *keys*."""
    # The library takes the fields of a time for those of UTC.
    at = sent_at.astimezone(UTC)
    return {
        ID_HEADER: message_id,
        TIMESTAMP_HEADER: str(math.floor(at.timestamp())),
        SIGNATURE_HEADER: " ".join(key.sign(message_id, at, body.decode()) for key in keys),
    }
