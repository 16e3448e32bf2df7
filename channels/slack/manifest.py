"""
The app manifest: what a Slack app needs to be Loopgate's, to be pasted into Slack's "Create an app from a manifest".

Source: docs.slack.dev, reference/app-manifest.
"""

from typing import Any

from channels.slack.app import COMMAND
from channels.slack.asgi import PATH

#: What each scope is for. Nothing is asked for that is not used.
SCOPES = {
    "chat:write": "post and update cards, tell one person privately",
    "commands": "the slash command",
    "channels:history": "find a card again after a post whose answer was lost",
    "groups:history": "the same in private channels",
    "users:read": "know who is deactivated, a guest or a bot, and so may not decide",
}

#: The events we listen to: a Home tab opened; somebody joined, or changed what they may do.
EVENTS = ["app_home_opened", "team_join", "user_change"]

#: Characters of an app's name. Source: docs.slack.dev, reference/app-manifest, `display_information.name`.
NAME_MAX = 35


def manifest(app_name: str, public_url: str, *, command: str = COMMAND) -> dict[str, Any]:
    """
    Return the manifest of an app called *app_name* for a gateway that Slack reaches at *public_url*.

    Raises:
        ValueError: If Slack would not take the name or the address.
    """
    if not 1 <= len(app_name) <= NAME_MAX:
        raise ValueError(f"the app's name has {len(app_name)} characters; Slack takes 1 to {NAME_MAX}")
    if not public_url.startswith("https://"):
        raise ValueError(f"{public_url!r} is not an https address; Slack delivers to nothing else")
    request_url = public_url.rstrip("/") + PATH
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
                    "url": request_url,
                    "description": "What waits for approval",
                    "usage_hint": "pending | show ID | history ID | start LOOP KEY=VALUE | cancel ID | who ID | help",
                    "should_escape": True,
                }
            ],
        },
        "oauth_config": {"scopes": {"bot": list(SCOPES)}},
        "settings": {
            "interactivity": {"is_enabled": True, "request_url": request_url},
            "event_subscriptions": {"request_url": request_url, "bot_events": EVENTS},
            "org_deploy_enabled": False,
            "socket_mode_enabled": False,
            "token_rotation_enabled": False,
        },
    }
