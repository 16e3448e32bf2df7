"""Block Kit blocks as the dicts that go over the wire. Source: docs.slack.dev, reference/block-kit."""

from collections.abc import Sequence
from typing import Any, Literal

from channels.slack.limits import BUTTON_TEXT_MAX, HEADER_TEXT_MAX
from channels.slack.mrkdwn import label

Block = dict[str, Any]


def mrkdwn(text: str) -> Block:
    """A text object Slack formats but never links or mentions by itself: `verbatim` turns that off."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def plain(text: str, maximum: int) -> Block:
    """A text object Slack shows as it is; emoji codes in it stay letters."""
    return {"type": "plain_text", "text": label(text, maximum), "emoji": False}


def header(text: str) -> Block:
    """A header."""
    return {"type": "header", "text": plain(text, HEADER_TEXT_MAX)}


def section(text: str) -> Block:
    """A paragraph that is never folded away behind "See more"."""
    return {"type": "section", "text": mrkdwn(text), "expand": True}


def fields(texts: Sequence[str]) -> Block:
    """Up to ten short texts in two columns."""
    return {"type": "section", "fields": [mrkdwn(text) for text in texts]}


def context(text: str) -> Block:
    """A line of small print."""
    return {"type": "context", "elements": [mrkdwn(text)]}


def divider() -> Block:
    """A line across."""
    return {"type": "divider"}


def button(
    text: str,
    action_id: str,
    value: str,
    *,
    style: Literal["primary", "danger"] | None = None,
    maximum: int = BUTTON_TEXT_MAX,
) -> Block:
    """A button whose *value* comes back with the click."""
    element = {"type": "button", "text": plain(text, maximum), "action_id": action_id, "value": value}
    return element | ({"style": style} if style else {})


def actions(block_id: str, elements: Sequence[Block]) -> Block:
    """A row of up to 25 buttons."""
    return {"type": "actions", "block_id": block_id, "elements": list(elements)}
