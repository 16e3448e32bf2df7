"""Deliveries as vendors sign them, written from their documentation and not from our verifier."""

import hashlib
import hmac
from datetime import datetime
from typing import Any, cast

from standardwebhooks import Webhook

from gateway.intake.schemes import Scheme

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="


def a_scheme(name: str) -> Scheme:
    return cast("Any", name)


def signed_by(name: str, body: bytes, at: datetime, secret: str = SECRET) -> list[tuple[str, str]]:
    """Return the headers a vendor sends with *body*, names in lower case."""
    stamp = str(int(at.timestamp()))

    def mac(signed: bytes) -> str:
        return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()

    match name:
        case "standard-webhooks":
            signature = Webhook(secret).sign("msg_1", at, body.decode())
            return [("webhook-id", "msg_1"), ("webhook-timestamp", stamp), ("webhook-signature", signature)]
        case "github":
            return [("x-hub-signature-256", "sha256=" + mac(body))]
        case "stripe":
            return [("stripe-signature", f"t={stamp},v1={mac(stamp.encode() + b'.' + body)}")]
        case "pagerduty":
            return [("x-pagerduty-signature", "v1=" + mac(body))]
        case "slack-workflow":
            signed = f"v0:{stamp}:".encode() + body
            return [("x-slack-signature", "v0=" + mac(signed)), ("x-slack-request-timestamp", stamp)]
        case "bearer":
            return [("authorization", f"Bearer {secret}")]
        case _:
            raise AssertionError(name)
