"""
Where the store is: one URL, with all it takes to come in.

``redis://``, ``rediss://`` (TLS) and ``unix://`` name a server. ``redis+sentinel://`` and ``rediss+sentinel://`` name
sentinels and, as the path, the service they watch: ``redis+sentinel://host:26379,host2:26379/service?db=0``. What
stands before the ``@`` is for the server; a password of the sentinels' own is ``sentinel_password``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from redis.asyncio.connection import parse_url

from loops.errors import Rejected

#: The port of a sentinel that is named without one. Source: sentinel.conf of Redis and Valkey.
SENTINEL_PORT = 26_379

_SENTINEL = "+sentinel"

#: Options of a URL that belong to the sentinels, with what redis-py calls them there.
_OF_SENTINELS = {"sentinel_username": "username", "sentinel_password": "password"}

#: Options of the server's connection that the sentinels' have, too: they stand behind the same certificate authority.
_SHARED = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname", "ssl_cert_reqs")


@dataclass(frozen=True, slots=True)
class Address:
    """
    A store's URL, read.

    Args:
        options: Of a connection to the server, as redis-py names them.
        sentinels: Who knows where the primary of `service` is; none where the options say it.
        sentinel_options: Of a connection to them.
    """

    options: Mapping[str, Any]
    is_tls: bool
    sentinels: tuple[tuple[str, int], ...] = ()
    service: str = ""
    sentinel_options: Mapping[str, Any] | None = None


def read_address(url: str) -> Address:
    """
    Return what *url* says.

    Raises:
        Rejected: If it is no URL of a store. The message leaves it out, as it may carry a password.
    """
    try:
        parts = urlsplit(url)
        if not parts.scheme.endswith(_SENTINEL):
            options = parse_url(url)
            options.pop("connection_class", None)
            return Address(options, is_tls=parts.scheme == "rediss")
        return _of_sentinels(parts.scheme.removesuffix(_SENTINEL), parts.netloc, parts.path, parts.query)
    except (ValueError, TypeError) as error:
        raise Rejected(
            "the store's URL is not one; write redis://host:6379/0, rediss://..., unix:///path?db=0 or "
            "redis+sentinel://host:26379,host2:26379/service?db=0"
        ) from error


def _of_sentinels(scheme: str, netloc: str, path: str, query: str) -> Address:
    credentials, at, hosts = netloc.rpartition("@")
    service = path.strip("/")
    sentinels = tuple(_host(each) for each in hosts.split(","))
    if scheme not in {"redis", "rediss"}:
        raise ValueError("sentinels are spoken to in plain or in TLS")
    if not service or "/" in service:
        raise ValueError("the service that the sentinels watch is missing")
    options: dict[str, Any] = dict(parse_url(f"{scheme}://{credentials}{at}{sentinels[0][0]}/?{query}"))
    for each in ("connection_class", "host", "port"):
        options.pop(each, None)
    theirs = {ours: options.pop(name) for name, ours in _OF_SENTINELS.items() if name in options}
    is_tls = scheme == "rediss"
    if is_tls:
        theirs |= {"ssl": True} | {name: options[name] for name in _SHARED if name in options}
    return Address(options, is_tls, sentinels, service, theirs)


def _host(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("a sentinel has no host")
    return parts.hostname, parts.port or SENTINEL_PORT


def with_options(url: str, options: Mapping[str, str]) -> str:
    """Return *url* with *options* added to its query, such as a password kept elsewhere."""
    added = "&".join(f"{name}={quote(value, safe='')}" for name, value in options.items())
    if not added:
        return url
    return f"{url}{'&' if '?' in url else '?'}{added}"


def without_secrets(url: str) -> str:
    """Return *url* for people to read: who comes in and with what is left out."""
    parts = urlsplit(url)
    at = "...@" if "@" in parts.netloc else ""
    query = "&".join(
        each if "password" not in each.partition("=")[0] else f"{each.partition('=')[0]}=..."
        for each in parts.query.split("&")
    )
    return parts._replace(netloc=at + parts.netloc.rpartition("@")[2], query=query).geturl()
