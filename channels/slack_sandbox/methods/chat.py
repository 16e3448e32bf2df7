"""`chat.*` methods: posting, changing and deleting messages as the bot."""

import json
from typing import Any

from channels.slack_sandbox import messages
from channels.slack_sandbox.methods.arguments import Arguments
from channels.slack_sandbox.methods.places import bot_channel
from channels.slack_sandbox.refusal import SlackRefusal
from channels.slack_sandbox.sandbox import Sandbox
from channels.slack_sandbox.shapes import message_json
from channels.slack_sandbox.workspace import Channel, JsonObject, Message

#: Bytes of message metadata. Source: docs.slack.dev, messaging/message-metadata, "metadata_too_large".
METADATA_BYTES_MAX = 8_000


def post_message(sandbox: Sandbox, args: Arguments) -> JsonObject:
    """Post to a channel the bot is in, or to a person's direct message."""
    channel = bot_channel(sandbox, args.text("channel"))
    text, blocks = messages.content(args.text("text"), _blocks(args))
    thread_ts = _thread(sandbox, channel, args)
    message = messages.post(
        sandbox,
        channel.id,
        sandbox.workspace.bot_user_id,
        text,
        blocks,
        thread_ts=thread_ts,
        metadata=_metadata(args),
    )
    return _answer(sandbox, message)


def update(sandbox: Sandbox, args: Arguments) -> JsonObject:
    """Change a message of the bot's own; text without blocks takes the blocks away, omitted metadata stays."""
    channel = bot_channel(sandbox, args.text("channel"))
    message = _own(sandbox, channel, args, "cant_update_message")
    if "text" not in args and "blocks" not in args:
        raise SlackRefusal("no_text")
    text, blocks = messages.content(args.text("text"), _blocks(args), text_max=messages.UPDATE_TEXT_MAX)
    metadata = _metadata(args)
    if metadata is not None:
        message.metadata = metadata or None
    messages.change(sandbox, message, text, blocks)
    return {**_answer(sandbox, message), "text": message.text}


def delete(sandbox: Sandbox, args: Arguments) -> JsonObject:
    """Delete a message of the bot's own."""
    channel = bot_channel(sandbox, args.text("channel"))
    message = _own(sandbox, channel, args, "cant_delete_message")
    messages.delete(sandbox, message)
    return {"channel": channel.id, "ts": message.ts}


def get_permalink(sandbox: Sandbox, args: Arguments) -> JsonObject:
    """The address of a message. Source: docs.slack.dev, reference/methods/chat.getPermalink."""
    channel = bot_channel(sandbox, args.text("channel"))
    message = sandbox.workspace.message(channel.id, args.text("message_ts"))
    if message is None:
        raise SlackRefusal("message_not_found")
    home = f"https://{sandbox.workspace.team_domain}.slack.com"
    return {"channel": channel.id, "permalink": f"{home}/archives/{channel.id}/p{message.ts.replace('.', '')}"}


def post_ephemeral(sandbox: Sandbox, args: Arguments) -> JsonObject:
    """Post what only one member of the channel sees."""
    channel = bot_channel(sandbox, args.text("channel"))
    user = args.text("user")
    if user not in channel.members:
        raise SlackRefusal("user_not_in_channel")
    text, blocks = messages.content(args.text("text"), _blocks(args))
    thread_ts = args.text("thread_ts")
    message = messages.post_ephemeral(sandbox, channel.id, user, text, blocks, thread_ts=thread_ts)
    return {"message_ts": message.ts}


def _answer(sandbox: Sandbox, message: Message) -> JsonObject:
    return {
        "channel": message.channel,
        "ts": message.ts,
        "message": message_json(sandbox.workspace, message, include_metadata=True),
    }


def _own(sandbox: Sandbox, channel: Channel, args: Arguments, refusal: str) -> Message:
    message = sandbox.workspace.message(channel.id, args.text("ts"))
    if message is None:
        raise SlackRefusal("message_not_found")
    if message.user != sandbox.workspace.bot_user_id:
        raise SlackRefusal(refusal)
    return message


def _blocks(args: Arguments) -> Any:
    blocks = args.json("blocks", "invalid_blocks_format")
    if blocks is not None and not (isinstance(blocks, list) and all(isinstance(block, dict) for block in blocks)):
        raise SlackRefusal("invalid_blocks_format")
    return blocks


def _thread(sandbox: Sandbox, channel: Channel, args: Arguments) -> str:
    thread_ts = args.text("thread_ts")
    if not thread_ts:
        return ""
    parent = sandbox.workspace.message(channel.id, thread_ts)
    if parent is None:
        raise SlackRefusal("thread_not_found")
    return parent.thread_ts or parent.ts


def _metadata(args: Arguments) -> JsonObject | None:
    metadata = args.json("metadata", "invalid_metadata_format")
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        raise SlackRefusal("invalid_metadata_format")
    if metadata and not (
        isinstance(metadata.get("event_type"), str) and isinstance(metadata.get("event_payload"), dict)
    ):
        raise SlackRefusal("invalid_metadata_schema")
    if len(json.dumps(metadata).encode()) > METADATA_BYTES_MAX:
        raise SlackRefusal("metadata_too_large")
    return metadata
