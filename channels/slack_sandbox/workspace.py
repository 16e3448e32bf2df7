"""The state of the workspace: people, channels, messages and views, in memory."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from channels.slack_sandbox.clock import Clock
from channels.slack_sandbox.config import ChannelConfig, SandboxConfig, UserConfig, UsergroupConfig

JsonObject = dict[str, Any]
Blocks = list[JsonObject]

#: Messages kept per channel; older ones are forgotten, so that a long soak test stays small.
MESSAGES_PER_CHANNEL_MAX = 2_000

AVATAR_COLORS = ("c2410c", "1264a3", "007a5a", "a8324a", "7c3085", "0b6e75", "8d3b72", "505a9b")


@dataclass(slots=True)
class User:
    """A person or bot, with the flags that say whether they may decide anything."""

    id: str
    name: str
    real_name: str
    title: str
    email: str
    color: str
    team_id: str
    is_bot: bool = False
    deleted: bool = False
    is_admin: bool = False
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_stranger: bool = False
    is_email_confirmed: bool = True
    bot_id: str = ""


@dataclass(slots=True)
class Channel:
    """A channel, private channel or direct message (`im_user` is the other side)."""

    id: str
    name: str
    topic: str
    members: list[str]
    is_private: bool = False
    im_user: str = ""


@dataclass(slots=True)
class Message:
    """
    A message; *ephemeral_to* names the only person who sees it, or is empty.

    What a person chose or typed in it is theirs alone until sent, so *states* is kept per user id. *earlier* is what it
    showed before its last changes: somebody's client may still show that when they click.
    """

    channel: str
    ts: str
    user: str
    text: str
    blocks: Blocks = field(default_factory=list)
    thread_ts: str = ""
    metadata: JsonObject | None = None
    edited_ts: str = ""
    ephemeral_to: str = ""
    states: dict[str, dict[str, JsonObject]] = field(default_factory=dict)
    earlier: list[Blocks] = field(default_factory=list)
    files: tuple[str, ...] = ()


@dataclass(slots=True)
class File:
    """An uploaded file: *length* bytes announced, *content* once they came, *is_complete* once the upload was ended."""

    id: str
    name: str
    length: int
    secret: str
    title: str = ""
    content: bytes | None = None
    is_complete: bool = False


@dataclass(slots=True)
class View:
    """A modal or a Home tab as one person sees it."""

    id: str
    user: str
    type: str
    content: JsonObject
    hash: str
    root_view_id: str = ""
    previous_view_id: str = ""
    state: dict[str, JsonObject] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    trouble: str = ""

    @property
    def blocks(self) -> Blocks:
        """The view's blocks."""
        blocks: Blocks = self.content["blocks"]
        return blocks


@dataclass(slots=True)
class Workspace:
    """Everything a `POST /sandbox/reset` starts anew."""

    team_id: str
    team_name: str
    team_domain: str
    app_id: str
    app_name: str
    bot_user_id: str
    bot_id: str
    users: dict[str, User]
    channels: dict[str, Channel]
    usergroups: dict[str, UsergroupConfig]
    messages: dict[str, list[Message]] = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)
    ephemerals: list[Message] = field(default_factory=list)
    stacks: dict[str, list[View]] = field(default_factory=dict)
    homes: dict[str, View] = field(default_factory=dict)
    last_ts: float = 0.0

    def next_ts(self, clock: Clock) -> str:
        """A message timestamp: unique, growing, six decimals."""
        self.last_ts = max(clock.now(), self.last_ts + 0.000_002)
        return f"{self.last_ts:.6f}"

    def message(self, channel_id: str, ts: str) -> Message | None:
        """The message everybody sees at *ts*, ephemerals never."""
        return next((m for m in reversed(self.messages.get(channel_id, [])) if m.ts == ts), None)

    def ephemeral(self, user_id: str, channel_id: str, ts: str) -> Message | None:
        """The message only *user_id* sees at *ts*."""
        wanted = (user_id, channel_id, ts)
        return next((m for m in reversed(self.ephemerals) if (m.ephemeral_to, m.channel, m.ts) == wanted), None)

    def replies(self, channel_id: str, thread_ts: str) -> list[Message]:
        """The replies under *thread_ts*, oldest first, without the parent."""
        return [m for m in self.messages.get(channel_id, []) if m.thread_ts == thread_ts and m.ts != thread_ts]

    def views(self) -> Iterator[View]:
        """Every open modal and published Home tab."""
        for stack in self.stacks.values():
            yield from stack
        yield from self.homes.values()

    def view(self, view_id: str) -> View | None:
        """The view with this id."""
        return next((view for view in self.views() if view.id == view_id), None)

    def direct_message(self, user_id: str) -> Channel:
        """The bot's direct message with *user_id*, opened if need be."""
        channel_id = f"D{user_id[1:]}"
        if channel_id not in self.channels:
            members = [user_id, self.bot_user_id]
            self.channels[channel_id] = Channel(channel_id, "", "", members, is_private=True, im_user=user_id)
        return self.channels[channel_id]


def new_workspace(config: SandboxConfig) -> Workspace:
    """The workspace *config* describes, before anything happened in it."""
    bot = config.app.bot_user
    bot_id = bot.bot_id or f"B{bot.id[1:]}"
    app_name = config.app.name or bot.name
    users = {user.id: _user(user, config.team.id, index) for index, user in enumerate(config.users)}
    users[bot.id] = User(bot.id, bot.name, app_name, "", "", "2e1a47", config.team.id, is_bot=True, bot_id=bot_id)
    return Workspace(
        team_id=config.team.id,
        team_name=config.team.name,
        team_domain=config.team.domain,
        app_id=config.app.app_id,
        app_name=app_name,
        bot_user_id=bot.id,
        bot_id=bot_id,
        users=users,
        channels={channel.id: _channel(channel) for channel in config.channels},
        usergroups={group.id: group for group in config.usergroups},
    )


def with_flags(user: User, flags: dict[str, Any]) -> User:
    """
    A copy of *user* with *flags* changed.

    Raises:
        ValueError: A flag that users do not have, or a value of the wrong type.
    """
    for name, value in flags.items():
        if name in {"id", "bot_id"} or not hasattr(user, name):
            raise ValueError(f"users have no changeable {name!r}")
        if type(value) is not type(getattr(user, name)):
            raise ValueError(f"{name} must be of type {type(getattr(user, name)).__name__}")
    return replace(user, **flags)


def new_id(prefix: str) -> str:
    """An id that looks like Slack's: a letter, then ten capitals and digits."""
    return prefix + "".join(random.choices("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", k=10))  # noqa: S311  not a secret


def new_hash() -> str:
    """A view hash, new for every version of a view."""
    return f"{int(time.time())}.{new_id('')}"


def _user(user: UserConfig, team_id: str, index: int) -> User:
    return User(
        id=user.id,
        name=user.name,
        real_name=user.real_name or user.name,
        title=user.title,
        email=user.email,
        color=user.color or AVATAR_COLORS[index % len(AVATAR_COLORS)],
        team_id=user.team_id or team_id,
        is_bot=user.is_bot,
        deleted=user.deleted,
        is_admin=user.is_admin,
        is_restricted=user.is_restricted,
        is_ultra_restricted=user.is_ultra_restricted,
        is_stranger=user.is_stranger,
        is_email_confirmed=user.is_email_confirmed,
        bot_id=f"B{user.id[1:]}" if user.is_bot else "",
    )


def _channel(channel: ChannelConfig) -> Channel:
    return Channel(channel.id, channel.name, channel.topic, list(channel.members), is_private=channel.is_private)
