"""
Destinations: where we send on a caller's word. Public addresses, and the networks that the configuration names.

A host is looked up once, what its name means is judged, and that very address is connected to: a name that means
another one a moment later (DNS rebinding) leads nowhere else. TLS goes on asking for the name's own certificate.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.request import getproxies

import httpcore2
import httpx2

Network = IPv4Network | IPv6Network

#: Returns the addresses that a host's name means at a port, best first. Raises OSError where it means none.
LookUp = Callable[[str, int], Awaitable[Sequence[str]]]

# IPv6 addresses that a translator turns into the IPv4 address at their end. Source: RFC 6052, section 2.1.
_TRANSLATED = IPv6Network("64:ff9b::/96")

# All that is public in IPv6. `is_global` takes what no registry names for public too: the translator of a network's
# own (64:ff9b:1::/48), IPv4 addresses after zeros, site-local ones. Source: IANA, IPv6 Address Space.
_PUBLIC = IPv6Network("2000::/3")


class Forbidden(httpcore2.ConnectError):
    """A host leads to no address that may be sent to."""


@dataclass(frozen=True, slots=True)
class Destinations:
    """Which addresses may be sent to: public ones, and those of `networks`."""

    networks: tuple[Network, ...] = ()

    def allows(self, address: str) -> bool:
        """Whether *address*, a literal one, may be sent to; what an IPv6 address stands for is judged."""
        given = ip_address(address.partition("%")[0])
        return all(_is_public(each) or any(each in network for network in self.networks) for each in _meant(given))

    def objection(self, host: str) -> str | None:
        """Say why *host* may not be sent to, as far as that can be told without looking it up; None where it may."""
        known = _literal(host.rstrip(".").lower())
        return _forbidden(host) if known and not self.allows(known) else None


async def look_up(host: str, port: int) -> list[str]:
    """Return the addresses of *host*, as this machine resolves it."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def screened_client(destinations: Destinations, look_up: LookUp = look_up) -> httpx2.AsyncClient:
    """
    Return a client that connects to nothing but *destinations*; the caller closes it.

    Where the environment names a proxy for https (``HTTPS_PROXY``), https goes through that, and what may be reached is
    the proxy's to say. A connection to somewhere else is an `httpx2.ConnectError` caused by `Forbidden`.
    """
    proxy = getproxies().get("https")
    through = {"https://": httpx2.AsyncHTTPTransport(proxy=proxy)} if proxy else None
    return httpx2.AsyncClient(transport=_Transport(_Screened(destinations, look_up)), mounts=through, trust_env=False)


class _Transport(httpx2.AsyncHTTPTransport):
    """httpx2's own transport on a network backend, for which httpcore2 has an argument and httpx2 none."""

    def __init__(self, backend: httpcore2.AsyncNetworkBackend) -> None:
        super().__init__(trust_env=False)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpx2.create_ssl_context(), max_keepalive_connections=20, network_backend=backend
        )


class _Screened(httpcore2.AsyncNetworkBackend):
    """Connects to the addresses that a host means, and that may be sent to."""

    def __init__(self, destinations: Destinations, look_up: LookUp) -> None:
        self._destinations, self._look_up = destinations, look_up
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore2's own signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        try:
            found = await self._look_up(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(str(error)) from error
        refusal: Exception = Forbidden(_forbidden(host))
        for address in filter(self._destinations.allows, found):
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore2.ConnectError as error:
                refusal = error
        raise refusal


def _literal(host: str) -> str | None:
    """Return the address that *host* is in any spelling that resolvers take, such as ``127.1``; None for a name."""
    if host == "localhost" or host.endswith(".localhost"):
        return "127.0.0.1"
    for read in (ip_address, lambda text: socket.inet_ntoa(socket.inet_aton(text))):
        with contextlib.suppress(ValueError, OSError):
            return str(read(host))
    return None


def _meant(address: IPv4Address | IPv6Address) -> Iterator[IPv4Address | IPv6Address]:
    """Yield what packets to *address* may end up at: an IPv4 address that it carries, or else itself."""
    if isinstance(address, IPv4Address):
        yield address
        return
    translated = IPv4Address(int(address) & 0xFFFF_FFFF) if address in _TRANSLATED else None
    carried = [each for each in (address.ipv4_mapped, address.sixtofour, *(address.teredo or ()), translated) if each]
    yield from carried or [address]


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    return address.is_global and not address.is_multicast and (address.version == 4 or address in _PUBLIC)


def _forbidden(host: str) -> str:
    return f"{host} leads into a network that subscriptions may not send to; `subscriptions.networks` may allow it"
