"""What a webhook integration may be configured with, and how it reads a wish to wait."""

from datetime import UTC, datetime

import httpx2
import pytest

from gateway.integrations.webhook import WebhookIntegration
from gateway.outgoing import retry_after

SECRET = "whsec_" + "A" * 32
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


@pytest.fixture
def client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient()


@pytest.mark.parametrize(
    "url",
    [
        "https://deployer.example/hooks",
        "http://127.0.0.1:8080/hooks",
        "http://localhost/hooks",
        "http://[::1]:9/hooks",
        "http://127.9.9.9/x",
    ],
)
def test_https_and_loopback_are_taken(client: httpx2.AsyncClient, url: str) -> None:
    """Orders go out encrypted, or stay on the machine."""
    assert WebhookIntegration(url, SECRET, client).kind == "webhook"


@pytest.mark.parametrize(
    "url",
    [
        "http://deployer.example/hooks",
        "http://127.0.0.1.evil.example/",
        "http://localhost.evil.example/",
        "http://10.0.0.1/",
        "http://2130706433/",
        "ftp://127.0.0.1/",
        "//127.0.0.1/",
        "hooks",
        "",
        "https://",
        "https://user:pass@deployer.example/",
        "https://deployer.example/#part",
        "https://deployer.example:99999/",
        "https://deployer.example:0/",
        "https://exa mple/",
    ],
)
def test_other_addresses_are_refused(client: httpx2.AsyncClient, url: str) -> None:
    """Clear text off the machine, credentials in the address and nonsense are refused at start-up."""
    with pytest.raises(ValueError, match="a webhook integration's url"):
        WebhookIntegration(url, SECRET, client)


def test_a_secret_that_is_none_is_refused(client: httpx2.AsyncClient) -> None:
    """A secret that is not one is found at start-up."""
    with pytest.raises(ValueError, match="a signing secret is whsec_"):
        WebhookIntegration("https://deployer.example/", "whsec_short", client)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        ("17", 17),
        (" 17 ", 17),
        ("99999999999999999999999", 3600),
        ("-1", None),
        ("1.5", None),
        ("NaN", None),
        ("²", None),
        ("Sun, 22 Nov 2026 10:01:00 GMT", 60),
        ("Sun, 22 Nov 2026 11:01:00 +0100", 60),
        ("Sun, 22 Nov 2026 10:01:00 -0000", 60),
        ("Sun, 22 Nov 2026 09:00:00 GMT", 0),
        ("Sun, 22 Nov 9999 09:00:00 GMT", 3600),
        ("tomorrow", None),
        ("Sun, 99 Nov 2026 10:01:00 GMT", None),
        ("x" * 100_000, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    """Both forms of RFC 9110 count, bounded; anything else says nothing."""
    assert retry_after(header, NOW) == seconds
