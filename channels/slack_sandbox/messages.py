"""Posting, changing and deleting messages, with the checks that do not depend on who asks."""

from typing import Any

from channels.slack_sandbox.blockkit.surfaces import checked_message_blocks
from channels.slack_sandbox.form import initial_state
from channels.slack_sandbox.refusal import SlackRefusal
from channels.slack_sandbox.sandbox import Sandbox
from channels.slack_sandbox.shapes import message_json
from channels.slack_sandbox.workspace import MESSAGES_PER_CHANNEL_MAX, Blocks, JsonObject, Message

#: Characters of `text` in chat.postMessage beyond which Slack cuts; refused here, so that nobody relies on the cut.
#: Source: docs.slack.dev, reference/methods/chat.postMessage, "Truncating content".
POST_TEXT_MAX = 40_000
#: Source: docs.slack.dev, reference/methods/chat.update, error `msg_too_long`.
UPDATE_TEXT_MAX = 4_000

#: What stands in `text` when an app sends only blocks, as in Slack's own answers.
NO_TEXT = "This content can't be displayed."

EPHEMERALS_MAX = 1_000

#: Renderings of a message that may still stand in somebody's client: it shows a change some moments later.
_EARLIER_MAX = 3


def content(text: Any, blocks: Any, *, text_max: int = POST_TEXT_MAX) -> tuple[str, Blocks]:
    """
    Checked text and blocks of a message.

    Raises:
        SlackRefusal: ``no_text``, ``msg_too_long``, ``invalid_blocks`` or ``msg_blocks_too_long``.
    """
    checked = checked_message_blocks(blocks) if blocks else []
    words = "" if text is None else str(text)
    if not words and not checked:
        raise SlackRefusal("no_text")
    if len(words) > text_max:
        raise SlackRefusal("msg_too_long")
    return words or NO_TEXT, checked


def post(
    sandbox: Sandbox,
    channel: str,
    user: str,
    text: str,
    blocks: Blocks,
    *,
    thread_ts: str = "",
    metadata: JsonObject | None = None,
    files: tuple[str, ...] = (),
) -> Message:
    """Add a message everybody in *channel* sees; *files* are shared with it, by their ids."""
    workspace = sandbox.workspace
    message = Message(channel, workspace.next_ts(sandbox.clock), user, text, blocks, thread_ts, metadata, files=files)
    history = workspace.messages.setdefault(channel, [])
    history.append(message)
    del history[:-MESSAGES_PER_CHANNEL_MAX]
    _announce(sandbox, "message.posted", message)
    return message


def post_ephemeral(
    sandbox: Sandbox, channel: str, to: str, text: str, blocks: Blocks, *, thread_ts: str = ""
) -> Message:
    """Add a message only *to* sees."""
    workspace = sandbox.workspace
    ts = workspace.next_ts(sandbox.clock)
    message = Message(channel, ts, workspace.bot_user_id, text, blocks, thread_ts, ephemeral_to=to)
    workspace.ephemerals.append(message)
    del workspace.ephemerals[:-EPHEMERALS_MAX]
    _announce(sandbox, "message.posted", message)
    return message


def change(sandbox: Sandbox, message: Message, text: str, blocks: Blocks) -> None:
    """Replace what *message* says."""
    message.text = text
    message.earlier = [message.blocks, *message.earlier][:_EARLIER_MAX]
    message.blocks = blocks
    message.edited_ts = sandbox.workspace.next_ts(sandbox.clock)
    _announce(sandbox, "message.changed", message)


def delete(sandbox: Sandbox, message: Message) -> None:
    """Take *message* away."""
    workspace = sandbox.workspace
    history = workspace.ephemerals if message.ephemeral_to else workspace.messages[message.channel]
    history.remove(message)
    _announce(sandbox, "message.deleted", message)


def shown(sandbox: Sandbox, message: Message) -> JsonObject:
    """A message as the control API shows it: Slack's JSON plus what only the sandbox knows."""
    return {
        **message_json(sandbox.workspace, message, include_metadata=True),
        "channel": message.channel,
        "ephemeral_to": message.ephemeral_to or None,
        "state": {"values": initial_state(message.blocks)},
    }


def _announce(sandbox: Sandbox, kind: str, message: Message) -> None:
    sandbox.feed.announce(kind, message=shown(sandbox, message))
    parent = sandbox.workspace.message(message.channel, message.thread_ts) if message.thread_ts else None
    if parent is not None and parent is not message and not message.ephemeral_to:
        sandbox.feed.announce("message.changed", message=shown(sandbox, parent))
