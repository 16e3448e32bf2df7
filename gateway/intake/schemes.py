"""
Schemes: how a sender signs its deliveries, as data. `gateway.intake.verify` checks by them.

Every scheme here but Standard Webhooks is HMAC over some text that has the body in it; they differ in header names,
prefixes and what else is signed. What a scheme does not sign (GitHub's delivery id and event name, for example),
whoever carries the delivery can change: take what counts from the body.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from loops.values import Value

#: What may stand in `HmacScheme.signed`.
SIGNED_PARTS = ("body", "timestamp", "id")

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,80}")
_PART = re.compile(r"\{([a-z]*)\}")


def _a_header(text: str) -> str:
    if not _HEADER.fullmatch(text):
        raise ValueError(f"{text!r} is not the name of a header")
    return text.lower()


def _a_signed(text: str) -> str:
    named = _PART.findall(text)
    if named.count("body") != 1 or not text.endswith("{body}"):
        raise ValueError("what is signed must end in {body}, which stands there once")
    if unknown := [part for part in named if part not in SIGNED_PARTS]:
        raise ValueError(f"there is no {{{unknown[0]}}}; there are {', '.join(f'{{{part}}}' for part in SIGNED_PARTS)}")
    if len(set(named)) != len(named) or _PART.sub("", text).count("{") or _PART.sub("", text).count("}"):
        raise ValueError("each part stands once, in braces of its own")
    return text


HeaderName = Annotated[str, AfterValidator(_a_header)]


class HmacScheme(Value):
    """
    HMAC in a header.

    `header` holds one or more signatures, parted by `separator`; those that begin with `prefix` count, without it. The
    time stands, in seconds since 1970, in `timestamp_header`, or in `header` itself behind `timestamp_prefix`; it must
    be `signed`, or it proves nothing. So must a delivery id from `id_header`.
    """

    kind: Literal["hmac"]
    header: HeaderName
    algorithm: Literal["sha256", "sha384", "sha512", "sha1"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: Annotated[str, Field(max_length=40)] = ""
    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    signed: Annotated[str, AfterValidator(_a_signed)] = "{body}"
    timestamp_header: HeaderName | None = None
    timestamp_prefix: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    id_header: HeaderName | None = None

    @model_validator(mode="after")
    def _what_counts_is_signed(self) -> Self:
        if self.timestamp_header and self.timestamp_prefix:
            raise ValueError("name timestampHeader or timestampPrefix, not both")
        for part, given in (
            ("timestamp", self.timestamp_header or self.timestamp_prefix),
            ("id", self.id_header),
        ):
            if (f"{{{part}}}" in self.signed) != bool(given):
                raise ValueError(
                    f"{{{part}}} must be signed, and come from a header, or neither: "
                    "what is not signed anybody can change"
                )
        return self


class BearerScheme(Value):
    """
    A shared token in a header, after ``Bearer``: for senders that cannot sign.

    It proves who sent, not what: use it over TLS only, and only where the sender offers nothing better.
    """

    kind: Literal["bearer"]
    header: HeaderName = "authorization"


#: Schemes by the vendor's name. Each value's source is the vendor's documentation of its webhooks' security:
#: docs.github.com "Validating webhook deliveries"; docs.stripe.com "Webhook signatures"; PagerDuty/developer-docs,
#: webhooks/04-Signatures; docs.slack.dev "Verifying requests from Slack".
NAMED: Mapping[str, HmacScheme] = {
    "github": HmacScheme(kind="hmac", header="x-hub-signature-256", prefix="sha256="),
    "stripe": HmacScheme(
        kind="hmac", header="stripe-signature", prefix="v1=", timestamp_prefix="t=", signed="{timestamp}.{body}"
    ),
    "pagerduty": HmacScheme(kind="hmac", header="x-pagerduty-signature", prefix="v1="),
    "slack-workflow": HmacScheme(
        kind="hmac",
        header="x-slack-signature",
        prefix="v0=",
        timestamp_header="x-slack-request-timestamp",
        signed="v0:{timestamp}:{body}",
    ),
}

#: Where the vendor writes a delivery's id into what it signs; elsewhere the body itself tells deliveries apart.
SIGNED_IDS: Mapping[str, str] = {"stripe": "{{ body.id }}", "pagerduty": "{{ body.event.id }}"}

SchemeName = Literal["standard-webhooks", "github", "stripe", "pagerduty", "slack-workflow", "bearer"]
Scheme = SchemeName | HmacScheme | BearerScheme
