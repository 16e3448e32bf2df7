"""Outgoing calls: where one may go, what it says of itself, and how long an answer asks us to wait."""

import ipaddress
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx2

#: The longest wait we believe, in seconds.
RETRY_AFTER_MAX_S = 3_600.0

#: What every request of ours says of itself. We read raw bytes with a limit: a compressed answer could unpack to
#: anything.
HEADERS = {"content-type": "application/json", "accept-encoding": "identity", "user-agent": "loopgate"}

# The client percent-encodes what no host name has; we would rather not send an order to such a place.
_HOST = re.compile(r"[\w.:-]+")


def checked_url(url: str, whose: str) -> httpx2.URL:
    """
    Return *url* read: https, or http on loopback, with a host, and without user, password or fragment.

    Raises:
        ValueError: If it is not such; the message begins with *whose* url it is, and does not repeat it.
    """
    try:
        parsed = httpx2.URL(url)
    except (httpx2.InvalidURL, TypeError) as error:
        raise ValueError(f"{whose} cannot be read; write it like https://deployer.example/hooks") from error
    port = 443 if parsed.port is None else parsed.port
    if not _HOST.fullmatch(parsed.host) or not 0 < port < 65_536:
        raise ValueError(f"{whose} needs a host, and a port there can be")
    if parsed.userinfo or parsed.fragment:
        raise ValueError(f"{whose} takes neither user:password@ nor #fragment")
    if parsed.scheme != "https" and not (parsed.scheme == "http" and _is_loopback(parsed.host)):
        raise ValueError(f"{whose} must be https, not {parsed.scheme}://{parsed.host}")
    return parsed


def retry_after(header: str | None, now: datetime) -> float | None:
    """
    Return the wait a ``Retry-After`` header asks for, in seconds from *now*, at most `RETRY_AFTER_MAX_S`.

    Both forms of RFC 9110, 10.2.3 are read, seconds and HTTP date; None where the header says neither.
    """
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:12]), RETRY_AFTER_MAX_S)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return min(max((when - now).total_seconds(), 0.0), RETRY_AFTER_MAX_S)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
