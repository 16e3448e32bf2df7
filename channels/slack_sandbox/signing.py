"""Slack's v0 request signature, made the way docs.slack.dev, authentication/verifying-requests-from-slack, says."""

import hashlib
import hmac


def signature_headers(signing_secret: str, body: bytes, timestamp: int) -> dict[str, str]:
    """The two headers that prove *body* came from Slack at *timestamp* (whole seconds since the epoch)."""
    base = b"v0:" + str(timestamp).encode() + b":" + body
    digest = hmac.new(signing_secret.encode(), base, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": str(timestamp), "X-Slack-Signature": f"v0={digest}"}
