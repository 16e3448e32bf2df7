"""
Verification: that a delivery comes from who shares the secret, is fresh where the sender says when, and unchanged.

For Standard Webhooks the `standardwebhooks` library compares (constant time, over the raw bytes) and knows the age;
around it stands what it leaves open: it raises whatever base64 or tuple unpacking raise on garbage headers, takes any
float for a time-stamp, and has one tolerance (source: its 1.1.0). The other schemes are one HMAC of the standard
library over the text that `gateway.intake.schemes` says.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from standardwebhooks import Webhook, WebhookVerificationError

from gateway.intake.schemes import NAMED, BearerScheme, HmacScheme, Scheme
from gateway.standard_webhooks import ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, signing_key

#: Characters of a delivery id; it becomes part of an idempotency key. The specification leaves them open.
DELIVERY_ID = re.compile(r"[\x21-\x7e]{1,200}")

#: Characters any other secret must have: what can be guessed signs nothing.
SECRET_LENGTH = 16

#: Signatures of one delivery that are looked at: one per secret of a sender in rotation, and room to spare.
MAX_SIGNATURES = 16

#: The delivery's headers, every line of them, names in lower case: a line given twice could mean one thing to us and
#: another to who signed, and is refused.
Headers = Sequence[tuple[str, str]]

_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"v1,[A-Za-z0-9+/]{43}=")


class Unverified(Exception):  # noqa: N818 - the state it reports
    """The delivery is not from who it should be, or not fresh; the message says which, and never what was expected."""


class Verifier(Protocol):
    """Knows one source's deliveries."""

    def verify(self, headers: Headers, body: bytes, now: datetime) -> str | None:
        """
        Return the delivery's id where the sender signs one, None where it does not.

        Args:
            now: Aware UTC.

        Raises:
            Unverified: If a header is missing, repeated or malformed, the time is off, or no signature fits.
        """


def open_verifier(scheme: Scheme, secrets: Sequence[str], tolerance_s: int) -> Verifier:
    """
    Return what verifies deliveries under *scheme* with any of *secrets*, no further than *tolerance_s* from now.

    Raises:
        ValueError: If a secret is not one; the message does not repeat it.
    """
    match scheme:
        case "standard-webhooks":
            return StandardWebhooks(tuple(map(signing_key, secrets)), tolerance_s)
        case HmacScheme():
            return HmacVerifier(scheme, _long_enough(secrets), tolerance_s)
        case BearerScheme():
            return BearerVerifier(scheme, _long_enough(secrets))
        case "bearer":
            return BearerVerifier(BearerScheme(kind="bearer"), _long_enough(secrets))
        case _:
            return HmacVerifier(NAMED[scheme], _long_enough(secrets), tolerance_s)


@dataclass(frozen=True, slots=True)
class StandardWebhooks:
    """A `Verifier` by the Standard Webhooks specification."""

    keys: tuple[Webhook, ...]
    tolerance_s: int

    def verify(self, headers: Headers, body: bytes, now: datetime) -> str:
        """Return the delivery id, which is signed. The library's own tolerance reads the machine's clock."""
        delivery_id, timestamp, signatures = (
            _only(headers, name) for name in (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER)
        )
        if not DELIVERY_ID.fullmatch(delivery_id):
            raise Unverified(f"{ID_HEADER} must be 1 to 200 visible ASCII characters")
        _check_fresh(TIMESTAMP_HEADER, timestamp, now, self.tolerance_s)
        # Other versions and garbage beside a good signature are none of ours; the library would stumble over them.
        usable = [one for one in signatures.split(" ") if _SIGNATURE.fullmatch(one)][:MAX_SIGNATURES]
        signed = {ID_HEADER: delivery_id, TIMESTAMP_HEADER: timestamp, SIGNATURE_HEADER: " ".join(usable)}
        if not any(_fits(key, body, signed) for key in self.keys):
            raise Unverified(f"no signature in {SIGNATURE_HEADER} fits this delivery")
        return delivery_id


@dataclass(frozen=True, slots=True)
class HmacVerifier:
    """A `Verifier` by one HMAC, as the scheme says."""

    scheme: HmacScheme
    secrets: tuple[bytes, ...]
    tolerance_s: int

    def verify(self, headers: Headers, body: bytes, now: datetime) -> str | None:
        """Return the delivery id where the scheme signs one."""
        scheme = self.scheme
        given = [part.strip() for part in _only(headers, scheme.header).split(scheme.separator)]
        parts: dict[str, str] = {}
        if scheme.timestamp_header:
            parts["timestamp"] = _only(headers, scheme.timestamp_header)
        elif scheme.timestamp_prefix:
            parts["timestamp"] = _behind(given, scheme.timestamp_prefix, scheme.header)
        if scheme.id_header:
            parts["id"] = _only(headers, scheme.id_header)
            if not DELIVERY_ID.fullmatch(parts["id"]):
                raise Unverified(f"{scheme.id_header} must be 1 to 200 visible ASCII characters")
        if "timestamp" in parts:
            name = scheme.timestamp_header or scheme.header
            _check_fresh(name, parts["timestamp"], now, self.tolerance_s)
        signatures = [part.removeprefix(scheme.prefix) for part in given if part.startswith(scheme.prefix)]
        signed = _signed(scheme.signed, parts) + body
        if not self._any_fits(signed, signatures[:MAX_SIGNATURES]):
            raise Unverified(f"no signature in {scheme.header} fits this delivery")
        return parts.get("id")

    def _any_fits(self, signed: bytes, signatures: Sequence[str]) -> bool:
        read = _from_hex if self.scheme.encoding == "hex" else _from_base64
        usable = [one for one in map(read, signatures) if one is not None]
        makes = [hmac.digest(secret, signed, self.scheme.algorithm) for secret in self.secrets]
        return any(hmac.compare_digest(made, one) for made in makes for one in usable)


@dataclass(frozen=True, slots=True)
class BearerVerifier:
    """A `Verifier` by a shared token."""

    scheme: BearerScheme
    secrets: tuple[bytes, ...]

    def verify(self, headers: Headers, body: bytes, now: datetime) -> None:  # noqa: ARG002 - nothing of them is signed
        """Return None: who only shows a token signs no id."""
        word, _, token = _only(headers, self.scheme.header).partition(" ")
        told = hashlib.sha256(token.strip().encode("latin-1", "replace")).digest()
        known = [hashlib.sha256(secret).digest() for secret in self.secrets]
        # Digests, so that the comparison takes as long whatever the token's length.
        fits = [hmac.compare_digest(told, one) for one in known]
        if word.lower() != "bearer" or not any(fits):
            raise Unverified(f"{self.scheme.header} carries no token of this source")


def _long_enough(secrets: Sequence[str]) -> tuple[bytes, ...]:
    for secret in secrets:
        if len(secret) < SECRET_LENGTH or secret != secret.strip():
            raise ValueError(f"a secret has at least {SECRET_LENGTH} characters, and no white space around it")
    return tuple(secret.encode() for secret in secrets)


def _check_fresh(name: str, timestamp: str, now: datetime, tolerance_s: int) -> None:
    if not _TIMESTAMP.fullmatch(timestamp):
        raise Unverified(f"{name} must be seconds since 1970")
    if abs(int(timestamp) - now.astimezone(UTC).timestamp()) > tolerance_s:
        raise Unverified(f"{name} is more than {tolerance_s} s from now; sign each attempt anew")


def _only(headers: Headers, name: str) -> str:
    values = [value for key, value in headers if key == name]
    if len(values) != 1:
        raise Unverified(f"{name} must be there once; it is there {len(values)} times")
    return values[0]


def _behind(given: Sequence[str], prefix: str, header: str) -> str:
    found = [part.removeprefix(prefix) for part in given if part.startswith(prefix)]
    if len(found) != 1:
        raise Unverified(f"{header} must have {prefix} once; it has it {len(found)} times")
    return found[0]


def _signed(template: str, parts: Mapping[str, str]) -> bytes:
    """Return what is signed before the body."""
    text = template.removesuffix("{body}")
    for name, value in parts.items():
        text = text.replace(f"{{{name}}}", value)
    return text.encode("latin-1", "replace")


def _from_hex(text: str) -> bytes | None:
    return _decoded(bytes.fromhex, text)


def _from_base64(text: str) -> bytes | None:
    return _decoded(lambda encoded: base64.b64decode(encoded, validate=True), text)


def _decoded(decode: Callable[[str], bytes], text: str) -> bytes | None:
    try:
        return decode(text)
    except ValueError:
        return None


def _fits(key: Webhook, body: bytes, signed: Mapping[str, str]) -> bool:
    try:
        key.verify(body, dict(signed), json_parse=False)
    except (WebhookVerificationError, ValueError):
        return False
    return True
