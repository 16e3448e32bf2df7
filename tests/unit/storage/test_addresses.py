"""A store's URL is read for what it says, and shown without what lets somebody in."""

import pytest

from gateway.storage.addresses import read_address, with_options, without_secrets
from loops.errors import Rejected


def test_sentinels_and_their_service_are_read() -> None:
    """Hosts with and without a port, the service, the database, and the passwords of either side."""
    address = read_address("redis+sentinel://app:p%40ss@one:1000,two,[::1]:3/orders?db=2&sentinel_password=s")

    assert address.sentinels == (("one", 1000), ("two", 26_379), ("::1", 3))
    assert address.service == "orders"
    assert address.options == {"username": "app", "password": "p@ss", "db": 2}
    assert address.sentinel_options == {"password": "s"}
    assert not address.is_tls


def test_sentinels_behind_tls_are_spoken_to_in_tls() -> None:
    """One authority is for servers and sentinels."""
    address = read_address("rediss+sentinel://one/orders?ssl_ca_certs=/ca.pem")

    assert address.is_tls
    assert address.sentinel_options == {"ssl": True, "ssl_ca_certs": "/ca.pem"}
    assert address.options == {"ssl_ca_certs": "/ca.pem"}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://h",
        "redis+sentinel://:secret@/orders",
        "redis+sentinel://:secret@one,,two/orders",
        "redis+sentinel://:secret@one:port/orders",
        "redis+sentinel://:secret@one",
        "redis+sentinel://:secret@one/a/b",
        "unix+sentinel://:secret@one/orders",
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(url: str) -> None:
    """The message shows the right forms and no password."""
    with pytest.raises(Rejected, match="redis\\+sentinel://host:26379,host2:26379/service") as refused:
        read_address(url)
    assert "secret" not in str(refused.value)


def test_what_is_kept_apart_is_added() -> None:
    """A password and files from elsewhere join what the URL says, whatever characters they have."""
    url = with_options("rediss://h:1/0", {"password": "a&b=c d/%", "ssl_ca_certs": "/x y.pem"})

    address = read_address(url)
    assert address.options["password"] == "a&b=c d/%"
    assert address.options["ssl_ca_certs"] == "/x y.pem"
    assert read_address(with_options("unix:///s?db=1", {"password": "p"})).options == {
        "path": "/s",
        "db": 1,
        "password": "p",
    }
    assert with_options("redis://h", {}) == "redis://h"


def test_a_shown_address_has_no_secrets() -> None:
    """Neither in front of the host nor among the options."""
    shown = without_secrets("redis+sentinel://u:p1@a:1,b/orders?db=1&sentinel_password=p2&password=p3")

    assert shown == "redis+sentinel://...@a:1,b/orders?db=1&sentinel_password=...&password=..."
