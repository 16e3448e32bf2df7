"""Modals as Slack's `views.*` methods take them. Source: docs.slack.dev, reference/views."""

from collections.abc import Sequence
from typing import Any

from channels.slack import blocks as b
from channels.slack import wording
from channels.slack.blocks import Block
from channels.slack.limits import MODAL_BUTTON_MAX, MODAL_TITLE_MAX
from channels.slack.shown import TOLD_VIEW

View = dict[str, Any]


def modal(
    title: str,
    blocks: Sequence[Block],
    *,
    callback_id: str,
    submit: str | None = None,
    close: str = wording.CLOSE,
    private_metadata: str | None = None,
) -> View:
    """Return a modal. Closing it tells nobody: `notify_on_close` stays off, because closing decides nothing."""
    view: View = {
        "type": "modal",
        "callback_id": callback_id,
        "title": b.plain(title, MODAL_TITLE_MAX),
        "close": b.plain(close, MODAL_BUTTON_MAX),
        "blocks": list(blocks),
    }
    if submit is not None:
        view["submit"] = b.plain(submit, MODAL_BUTTON_MAX)
    if private_metadata is not None:
        view["private_metadata"] = private_metadata
    return view


def told(title: str, text: str) -> View:
    """Return a modal that only says *text* (`mrkdwn`, up to 3,000 units)."""
    return modal(title, [b.section(text)], callback_id=TOLD_VIEW)
