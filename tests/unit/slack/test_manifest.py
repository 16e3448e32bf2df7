"""The manifest asks for what is used and no more."""

import re
from pathlib import Path

import pytest

from channels.slack import app
from channels.slack.manifest import EVENTS, SCOPES, manifest

#: The scope each Web API method we call needs. Source: docs.slack.dev, each method's page.
NEEDED: dict[str, set[str]] = {
    "auth_test": set(),
    "bots_info": {"users:read"},
    "chat_postMessage": {"chat:write"},
    "chat_update": {"chat:write"},
    "chat_postEphemeral": {"chat:write"},
    "chat_getPermalink": set(),
    "conversations_open": {"im:write"},
    "conversations_history": {"channels:history", "groups:history", "im:history"},
    "conversations_info": {"channels:read", "groups:read"},
    "conversations_replies": {"channels:history", "groups:history"},
    "files_completeUploadExternal": {"files:write"},
    "files_getUploadURLExternal": {"files:write"},
    "usergroups_list": {"usergroups:read"},
    "users_info": {"users:read"},
    "users_lookupByEmail": {"users:read", "users:read.email"},
    "views_open": set(),
    "views_update": set(),
    "views_publish": set(),
}
#: Called with the app-level token.
APP_LEVEL = {"apps_connections_open"}
ROOT = Path(__file__).parents[3]
URL = "https://gate.example.com/slack/events"


def test_every_call_has_its_scope_and_every_scope_its_call() -> None:
    """Scopes follow from the calls in the source, plus the slash command's own."""
    sources = [*(ROOT / "channels" / "slack").rglob("*.py"), *(ROOT / "gateway").rglob("*.py")]
    call = re.compile(
        r"client\.((?:apps|auth|bots|chat|conversations|files|reactions|team|usergroups|users|views)_\w+)\b",
        re.MULTILINE,
    )
    called = {name for source in sources for name in call.findall(source.read_text())}

    assert called == set(NEEDED) | APP_LEVEL
    assert set(SCOPES) == set().union(*NEEDED.values()) | {"commands"}


def test_every_event_subscribed_to_has_a_listener_of_its_own() -> None:
    """What Slack is asked to send is listened to by name, and the other way round."""
    source = Path(str(app.__file__)).read_text()
    one_by_one = re.findall(r'app\.event\("(\w+)"\)', source)
    together = [
        name for names in re.findall(r"for changed in \(([^)]*)\)", source) for name in re.findall(r"\w+", names)
    ]

    assert {*one_by_one, *together} == set(EVENTS)


def test_everything_is_delivered_to_one_url() -> None:
    """Clicks, events and the command go to the path the gateway serves."""
    made = manifest("Loopgate", "https://gate.example.com/")

    assert made["settings"]["interactivity"] == {"is_enabled": True, "request_url": URL}
    assert made["settings"]["event_subscriptions"] == {"request_url": URL, "bot_events": list(EVENTS)}
    assert made["settings"]["socket_mode_enabled"] is False
    assert made["features"]["slash_commands"][0]["url"] == URL
    assert made["features"]["slash_commands"][0]["command"] == "/loops"


def test_an_app_in_socket_mode_has_no_addresses() -> None:
    """The same app, with Socket Mode on and every address left out."""
    made = manifest("Loopgate", None)

    assert made["settings"]["socket_mode_enabled"] is True
    assert made["settings"]["interactivity"] == {"is_enabled": True}
    assert made["settings"]["event_subscriptions"] == {"bot_events": list(EVENTS)}
    assert "https" not in str(made)


@pytest.mark.parametrize(
    ("name", "url"), [("", "https://a"), ("n" * 36, "https://a"), ("ok", "http://a"), ("ok", "https://")]
)
def test_what_slack_would_refuse_is_refused_here(name: str, url: str) -> None:
    """A name too long or an address that is not https is named before Slack sees it."""
    with pytest.raises(ValueError, match="Slack"):
        manifest(name, url)
