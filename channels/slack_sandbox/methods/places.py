"""Finding the conversation and the person a call names."""

from channels.slack_sandbox.refusal import SlackRefusal
from channels.slack_sandbox.sandbox import Sandbox
from channels.slack_sandbox.workspace import Channel, User


def bot_channel(sandbox: Sandbox, wanted: str) -> Channel:
    """
    The channel *wanted* names by id, ``#name`` or user id (its direct message), where the bot is a member.

    Raises:
        SlackRefusal: ``channel_not_found`` or ``not_in_channel``.
    """
    channel = any_channel(sandbox, wanted)
    if sandbox.workspace.bot_user_id not in channel.members:
        raise SlackRefusal("channel_not_found" if channel.is_private else "not_in_channel")
    return channel


def any_channel(sandbox: Sandbox, wanted: str) -> Channel:
    """
    The channel *wanted* names, whether or not the bot is in it.

    Raises:
        SlackRefusal: ``channel_not_found``.
    """
    workspace = sandbox.workspace
    if wanted in workspace.channels:
        return workspace.channels[wanted]
    if wanted in workspace.users:
        return workspace.direct_message(wanted)
    name = wanted.removeprefix("#")
    for channel in workspace.channels.values():
        if name and channel.name == name:
            return channel
    raise SlackRefusal("channel_not_found")


def person(sandbox: Sandbox, user_id: str) -> User:
    """
    The user with this id.

    Raises:
        SlackRefusal: ``user_not_found``.
    """
    user = sandbox.workspace.users.get(user_id)
    if user is None:
        raise SlackRefusal("user_not_found")
    return user
