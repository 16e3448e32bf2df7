"""What a sandbox workspace is made of: the team, the one app installed in it, its channels and people."""

import ipaddress
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

#: The first try and the redeliveries of an event Slack gives up on: at once, then after a minute, then after five.
#: Source: docs.slack.dev, apis/events-api, "Retries".
EVENT_RETRY_DELAYS_S = (0.0, 60.0, 300.0)

#: Seconds an app has to acknowledge an interaction. Source: docs.slack.dev, interactivity/handling-user-interaction.
ACK_DEADLINE_S = 3.0

#: Seconds a trigger id can be exchanged. Source: docs.slack.dev, surfaces/modals, "Opening a modal".
TRIGGER_LIFE_S = 3.0

#: Seconds between two pings of Slack's on a Socket Mode connection. Slack does not document it; its SDKs take thirty
#: without one for a broken connection. Ours is well below that.
SOCKET_PING_S = 10.0

DEFAULT_EVENTS = (
    "app_home_opened",
    "app_mention",
    "message.channels",
    "message.groups",
    "message.im",
    "subteam_created",
    "subteam_members_changed",
    "subteam_updated",
    "user_change",
)


def is_loopback(host: str) -> bool:
    """Whether *host* (a name or an address, without port) can only mean this machine."""
    if host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _require_loopback_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not is_loopback(parts.hostname or ""):
        raise ValueError(f"request_url {url!r} leaves this machine; the sandbox delivers to loopback only")
    return url


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TeamConfig(_Value):
    """The workspace."""

    id: str = "T0SANDBOX"
    name: str = "Sandbox"
    domain: str = "sandbox"


class CommandConfig(_Value):
    """A slash command the app registered, leading slash included."""

    command: str = Field(pattern=r"^/\S+$")
    description: str = ""
    usage_hint: str = ""
    should_escape: bool = True


class BotUserConfig(_Value):
    """The app's bot user; `bot_id` defaults to the user id with ``B`` in front."""

    id: str
    name: str
    bot_id: str = ""


class AppConfig(_Value):
    """
    The one installed app: its secrets, its bot user and where its deliveries go.

    Args:
        app_token: The app-level token (``xapp-``) that opens Socket Mode connections; empty for none.
        socket_mode: Deliveries go to those connections instead of *request_url*.
        scopes: What the bot token may, as the header ``X-OAuth-Scopes`` of every answer tells.
    """

    app_id: str
    bot_token: str
    signing_secret: str
    app_token: str = ""
    socket_mode: bool = False
    scopes: tuple[str, ...] = ()
    bot_user: BotUserConfig
    name: str = ""
    request_url: Annotated[str, AfterValidator(_require_loopback_url)]
    commands: tuple[CommandConfig, ...] = ()
    events: tuple[str, ...] = DEFAULT_EVENTS


class ChannelConfig(_Value):
    """A channel and who is in it; the bot can post only where it is a member."""

    id: str
    name: str
    topic: str = ""
    members: tuple[str, ...] = ()
    is_private: bool = False


class UserConfig(_Value):
    """A person (or bot); `color` is the avatar's, six hex digits."""

    id: str
    name: str
    real_name: str = ""
    title: str = ""
    email: str = ""
    color: str = Field(default="", pattern=r"^([0-9a-fA-F]{6})?$")
    is_bot: bool = False
    deleted: bool = False
    is_admin: bool = False
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_stranger: bool = False
    is_email_confirmed: bool = True
    team_id: str = ""


class UsergroupConfig(_Value):
    """A user group such as ``@sre``; `disabled_at` is 0 for one in use."""

    id: str
    handle: str
    name: str
    users: tuple[str, ...] = ()
    disabled_at: int = 0


class SandboxConfig(_Value):
    """
    Everything a sandbox starts from.

    Args:
        rate_limits: ``slack`` answers 429 by Slack's tiers; ``off`` never does.
        rate_factor: Multiplies those tiers, for tests that cannot wait minutes.
        ack_deadline_s: Seconds an interaction waits for the app; Slack's is 3.
        trigger_life_s: Seconds in which an interaction may open a modal; Slack's is 3.
        event_retry_delays_s: Waits before each redelivery of an event.
        socket_ping_s: Seconds between the pings a Socket Mode connection gets.
        verify_url_on_start: Send `url_verification` to the app when the server starts.
    """

    team: TeamConfig = TeamConfig()
    app: AppConfig
    channels: tuple[ChannelConfig, ...] = ()
    users: tuple[UserConfig, ...] = ()
    usergroups: tuple[UsergroupConfig, ...] = ()
    rate_limits: Literal["slack", "off"] = "slack"
    rate_factor: float = Field(default=1.0, gt=0)
    ack_deadline_s: float = Field(default=ACK_DEADLINE_S, gt=0)
    trigger_life_s: float = Field(default=TRIGGER_LIFE_S, gt=0)
    event_retry_delays_s: tuple[float, ...] = EVENT_RETRY_DELAYS_S
    socket_ping_s: float = Field(default=SOCKET_PING_S, gt=0)
    verify_url_on_start: bool = False

    @model_validator(mode="after")
    def _ids_are_unique_and_known(self) -> Self:
        for what, ids in (
            ("user", [user.id for user in self.users]),
            ("channel", [channel.id for channel in self.channels]),
            ("usergroup", [group.id for group in self.usergroups]),
        ):
            doubled = sorted({i for i in ids if ids.count(i) > 1})
            if doubled:
                raise ValueError(f"{what} id {doubled[0]!r} is used twice; ids must be unique")
        people = {user.id for user in self.users} | {self.app.bot_user.id}
        for channel in self.channels:
            unknown = sorted(set(channel.members) - people)
            if unknown:
                raise ValueError(f"channel {channel.name!r} names member {unknown[0]!r}, who is not among the users")
        return self
