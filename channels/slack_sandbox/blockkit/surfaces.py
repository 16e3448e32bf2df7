"""Rules for whole surfaces: a message's blocks, a modal, a Home tab. What breaks one is a `SlackRefusal`."""

import json
import secrets
from typing import Any

from channels.slack_sandbox.blockkit import limits
from channels.slack_sandbox.blockkit.blocks import block_text_length, lint_blocks
from channels.slack_sandbox.blockkit.report import Report
from channels.slack_sandbox.blockkit.text import lint_text
from channels.slack_sandbox.refusal import SlackRefusal

Blocks = list[dict[str, Any]]

_VIEW = frozenset({"type", "blocks", "private_metadata", "callback_id", "external_id"})
_MODAL = _VIEW | {"title", "submit", "close", "clear_on_close", "notify_on_close", "submit_disabled"}


def checked_message_blocks(blocks: Any) -> Blocks:
    """
    *blocks* as Slack would store them: every block with an id, every text with its defaults.

    Raises:
        SlackRefusal: ``invalid_blocks`` with the paths, or ``msg_blocks_too_long``.
    """
    report = Report()
    lint_blocks(blocks, "/blocks", report, limits.BLOCKS_PER_MESSAGE_MAX)
    if report.messages:
        raise SlackRefusal("invalid_blocks", report.messages)
    if block_text_length(blocks) > limits.MESSAGE_BLOCK_TEXT_MAX:
        raise SlackRefusal("msg_blocks_too_long")
    return stored(blocks)


def checked_view(view: Any, surface: str) -> dict[str, Any]:
    """
    *view* as Slack would store it on *surface* (``modal`` or ``home``).

    Raises:
        SlackRefusal: ``invalid_arguments`` with the paths, or ``view_too_large``.
    """
    report = Report()
    if not isinstance(view, dict):
        raise SlackRefusal("invalid_arguments", ["[ERROR] must be an object [json-pointer:/view]"])
    if len(json.dumps(view, ensure_ascii=False, separators=(",", ":")).encode()) > limits.VIEW_BYTES_MAX:
        raise SlackRefusal("view_too_large")
    if view.get("type") != surface:
        report.add("/view/type", f"must be a valid enum value: {surface}")
    report.known(view, "/view", _MODAL if surface == "modal" else _VIEW)
    if "blocks" in view:
        lint_blocks(view["blocks"], "/view/blocks", report, limits.BLOCKS_PER_VIEW_MAX)
    else:
        report.add("/view", "missing required field: blocks")
    for name, maximum in (
        ("private_metadata", limits.PRIVATE_METADATA_MAX),
        ("callback_id", limits.CALLBACK_ID_MAX),
        ("external_id", limits.EXTERNAL_ID_MAX),
    ):
        if name in view:
            report.string(view[name], f"/view/{name}", maximum)
    if surface == "modal":
        _lint_modal(view, report)
    if report.messages:
        raise SlackRefusal("invalid_arguments", report.messages)
    return {**view, "blocks": stored(view["blocks"])}


def _lint_modal(view: dict[str, Any], report: Report) -> None:
    if "title" not in view:
        report.add("/view", "missing required field: title")
    for name, maximum in (
        ("title", limits.VIEW_TITLE_MAX),
        ("submit", limits.VIEW_SUBMIT_MAX),
        ("close", limits.VIEW_CLOSE_MAX),
    ):
        if view.get(name) is not None:
            lint_text(view[name], f"/view/{name}", report, maximum)
    for name in ("clear_on_close", "notify_on_close"):
        if name in view and not isinstance(view[name], bool):
            report.add(f"/view/{name}", "must be a boolean")
    blocks = view.get("blocks")
    has_input = isinstance(blocks, list) and any(isinstance(b, dict) and b.get("type") == "input" for b in blocks)
    if has_input and view.get("submit") is None:
        report.add("/view", "missing required field: submit (a view with an `input` block needs it)")


def stored(blocks: Blocks) -> Blocks:
    """A deep copy with what Slack fills in: block ids, action ids, ``emoji`` and ``verbatim``."""
    return [_stored_block(block) for block in blocks]


def elements_of(block: dict[str, Any]) -> list[dict[str, Any]]:
    """The elements of *block* a person can act on or type into."""
    found = [block.get("accessory"), block.get("element")]
    if block.get("type") == "actions":
        found += block.get("elements", [])
    return [element for element in found if isinstance(element, dict) and element.get("type") != "image"]


def _stored_block(block: dict[str, Any]) -> dict[str, Any]:
    copy: dict[str, Any] = _with_defaults(block)
    copy["block_id"] = copy.get("block_id") or _short_id()
    for element in elements_of(copy):
        element["action_id"] = element.get("action_id") or _short_id()
    return copy


def _with_defaults(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_defaults(item) for item in value]
    if not isinstance(value, dict):
        return value
    copy = {name: _with_defaults(item) for name, item in value.items()}
    if copy.get("type") == "plain_text":
        copy.setdefault("emoji", True)
    if copy.get("type") == "mrkdwn":
        copy.setdefault("verbatim", False)
    return copy


def _short_id() -> str:
    return secrets.token_urlsafe(4)[:5]
