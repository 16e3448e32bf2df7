"""Block Kit blocks as the dicts that go over the wire. Source: docs.slack.dev, reference/block-kit."""

from collections.abc import Sequence
from typing import Any, Literal

from channels.slack.limits import (
    BUTTON_TEXT_MAX,
    CONFIRM_BUTTON_MAX,
    CONFIRM_TEXT_MAX,
    CONFIRM_TITLE_MAX,
    HEADER_TEXT_MAX,
    INPUT_LABEL_MAX,
    OPTION_TEXT_MAX,
    PLAIN_TEXT_INPUT_MAX,
)
from channels.slack.mrkdwn import label, value

Block = dict[str, Any]


def mrkdwn(text: str) -> Block:
    """A text object Slack formats but never links or mentions by itself: `verbatim` turns that off."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def plain(text: str, maximum: int) -> Block:
    """A text object Slack shows as it is; emoji codes in it stay letters."""
    return {"type": "plain_text", "text": label(text, maximum), "emoji": False}


def header(text: str) -> Block:
    """A header."""
    return {"type": "header", "text": plain(value(text), HEADER_TEXT_MAX)}


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
    confirm: Block | None = None,
) -> Block:
    """A button whose *value* comes back with the click, once the person has said yes to *confirm* where it is given."""
    element: Block = {"type": "button", "text": plain(text, maximum), "action_id": action_id, "value": value}
    return element | ({"style": style} if style else {}) | ({"confirm": confirm} if confirm else {})


def confirm(title: str, text: str, yes: str, no: str) -> Block:
    """A question Slack itself asks before the click is sent; all of it plain text."""
    return {
        "title": plain(title, CONFIRM_TITLE_MAX),
        "text": plain(text, CONFIRM_TEXT_MAX),
        "confirm": plain(yes, CONFIRM_BUTTON_MAX),
        "deny": plain(no, CONFIRM_BUTTON_MAX),
        "style": "danger",
    }


def option(text: str, value: str) -> Block:
    """One entry of a menu or a select."""
    return {"text": plain(text, OPTION_TEXT_MAX), "value": value}


def menu(action_id: str, options: Sequence[Block]) -> Block:
    """The three dots that open up to five entries."""
    return {"type": "overflow", "action_id": action_id, "options": list(options)}


def asked_for(block_id: str, text: str, element: Block, *, hint: str | None = None, optional: bool = False) -> Block:
    """An input of a modal under the label *text*."""
    block: Block = {
        "type": "input",
        "block_id": block_id,
        "optional": optional,
        "label": plain(text, INPUT_LABEL_MAX),
        "element": element,
    }
    return block | ({"hint": plain(hint, INPUT_LABEL_MAX)} if hint else {})


def text_input(action_id: str, *, multiline: bool = True, maximum: int = PLAIN_TEXT_INPUT_MAX) -> Block:
    """A box to type into."""
    return {"type": "plain_text_input", "action_id": action_id, "multiline": multiline, "max_length": maximum}


def actions(block_id: str, elements: Sequence[Block]) -> Block:
    """A row of up to 25 buttons."""
    return {"type": "actions", "block_id": block_id, "elements": list(elements)}
