"""The manifest asks for what is used and no more."""

import re
from pathlib import Path

import pytest

from channels.slack.manifest import SCOPES, manifest

#: The scope each Web API method we call needs. Source: docs.slack.dev, each method's page.
NEEDED = {
    "chat_postMessage": {"chat:write"},
    "chat_update": {"chat:write"},
    "chat_postEphemeral": {"chat:write"},
    "conversations_history": {"channels:history", "groups:history"},
    "conversations_replies": {"channels:history", "groups:history"},
    "users_info": {"users:read"},
    "views_open": set(),
    "views_update": set(),
    "views_publish": set(),
}


def test_every_call_has_its_scope_and_every_scope_its_call() -> None:
    """Scopes follow from the calls in the source, plus the slash command's own."""
    sources = (Path(__file__).parents[3] / "channels" / "slack").glob("*.py")
    called = {
        name
        for source in sources
        for name in re.findall(r"client\.((?:chat|views|conversations|users)_\w+)\(", source.read_text())
    }

    assert called == set(NEEDED)
    assert set(SCOPES) == set().union(*NEEDED.values()) | {"commands"}


def test_everything_is_delivered_to_one_url() -> None:
    """Clicks, events and the command go to the path the gateway serves."""
    made = manifest("Loopgate", "https://gate.example.com/")
    url = "https://gate.example.com/slack/events"

    assert made["settings"]["interactivity"] == {"is_enabled": True, "request_url": url}
    assert made["settings"]["event_subscriptions"] == {
        "request_url": url,
        "bot_events": ["app_home_opened", "team_join", "user_change"],
    }
    assert made["features"]["slash_commands"][0]["url"] == url
    assert made["features"]["slash_commands"][0]["command"] == "/loops"


@pytest.mark.parametrize(("name", "url"), [("", "https://a"), ("n" * 36, "https://a"), ("ok", "http://a")])
def test_what_slack_would_refuse_is_refused_here(name: str, url: str) -> None:
    """A name too long or an address that is not https is named before Slack sees it."""
    with pytest.raises(ValueError, match="Slack"):
        manifest(name, url)
