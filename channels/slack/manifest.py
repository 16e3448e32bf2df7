"""
The app manifest: what a Slack app needs to be Loopgate's, to be pasted into Slack's "Create an app from a manifest".

Source: docs.slack.dev, reference/app-manifest.
"""

from typing import Any

from channels.slack.app import COMMAND
from channels.slack.asgi import PATH

#: What each scope of the bot token is for. Nothing is asked for that is not used, nothing used that is not asked for.
#: Source: docs.slack.dev, reference/methods, "Scopes" of each method called.
SCOPES = {
    "im:write": "tell who asked what became of it, and approvers that they are asked, where the policy says so",
    "im:history": "find such a message again after a post whose answer was lost",
    "chat:write": "post and update cards, tell one person privately",
    "commands": "the slash command",
    "files:write": "send somebody who asks for it the complete parameters, where they take many pages",
    "channels:history": "find a card again after a post whose answer was lost",
    "groups:history": "the same in private channels",
    "channels:read": "loopgate doctor: is the app in the channels it asks in",
    "groups:read": "the same for private channels",
    "users:read": "know who is deactivated, a guest or a bot, and so may not decide",
    "users:read.email": "with slack.emailDomains: recognise people by the address Slack confirmed of them",
    "usergroups:read": "who is in the user groups that may decide",
}

#: What each event we subscribe to is for.
EVENTS = {
    "app_home_opened": "draw the Home tab",
    "subteam_created": "know who is in a user group that may decide",
    "subteam_members_changed": "know at once who is in it no more",
    "subteam_updated": "the same, and whether it is disabled",
    "team_join": "know whether somebody new may decide",
    "user_change": "know at once who is deactivated or a guest now",
}


#: Characters of an app's name. Source: docs.slack.dev, reference/app-manifest, `display_information.name`.
NAME_MAX = 35


def manifest(app_name: str, public_url: str | None, *, command: str = COMMAND) -> dict[str, Any]:
    """
    Return the manifest of an app called *app_name*.

    Args:
        public_url: Where Slack reaches the gateway over https; None for an app in Socket Mode, which has no addresses.

    Raises:
        ValueError: If Slack would not take the name or the address.
    """
    if not 1 <= len(app_name) <= NAME_MAX:
        raise ValueError(f"the app's name has {len(app_name)} characters; Slack takes 1 to {NAME_MAX}")
    request_url, url = {}, {}
    if public_url is not None:
        address = request_address(public_url)
        request_url, url = {"request_url": address}, {"url": address}
    return {
        "_metadata": {"major_version": 2, "minor_version": 1},
        "display_information": {
            "name": app_name,
            "description": "Asks people before an agent's change runs",
            "background_color": "#1f2937",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": True,
            },
            "bot_user": {"display_name": app_name, "always_online": True},
            "slash_commands": [
                {
                    "command": command,
                    **url,
                    "description": "What waits for approval",
                    "usage_hint": "pending | show ID | history ID | start LOOP KEY=VALUE | cancel ID | who ID | help",
                    "should_escape": True,
                }
            ],
        },
        "oauth_config": {"scopes": {"bot": list(SCOPES)}},
        "settings": {
            "interactivity": {"is_enabled": True, **request_url},
            "event_subscriptions": {**request_url, "bot_events": list(EVENTS)},
            "org_deploy_enabled": False,
            "socket_mode_enabled": public_url is None,
            "token_rotation_enabled": False,
        },
    }


def request_address(public_url: str) -> str:
    """
    Return the address Slack delivers to, of a gateway that it reaches at *public_url*.

    Raises:
        ValueError: If that is not an https address.
    """
    if not public_url.startswith("https://") or public_url == "https://":
        raise ValueError(f"{public_url!r} is not an https address; Slack delivers to nothing else")
    return public_url.rstrip("/") + PATH
