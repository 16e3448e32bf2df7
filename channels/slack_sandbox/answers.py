"""What the app's answer to an interaction means: warnings, modal steps, slash command texts, response URL posts."""

import json
from typing import Any

from channels.slack_sandbox import messages, views
from channels.slack_sandbox.delivery import Delivery
from channels.slack_sandbox.refusal import SlackRefusal
from channels.slack_sandbox.response_urls import ResponseUrl
from channels.slack_sandbox.sandbox import Sandbox
from channels.slack_sandbox.workspace import JsonObject, View

MODAL_TROUBLE = "We had some trouble connecting. Try again?"


def failure(delivery: Delivery, ack_deadline_s: float) -> str:
    """What Slack's client tells the person about *delivery*, or nothing when the app acknowledged it."""
    match delivery.problem:
        case "timeout":
            return f"operation_timeout: this app did not respond within {ack_deadline_s:g} seconds"
        case "unreachable":
            return "dispatch_failed: this app could not be reached"
        case "dropped":
            return "dispatch_failed: this interaction never reached the app"
        case "":
            return "" if delivery.is_acknowledged else f"This app responded with Status Code {delivery.status}"


def take_submission_answer(sandbox: Sandbox, view: View, delivery: Delivery) -> str:
    """Do to the modal what the app's answer says; gives the trouble the person sees, or nothing."""
    trouble = failure(delivery, sandbox.courier.ack_deadline_s)
    if not trouble:
        try:
            answer = json.loads(delivery.answer) if delivery.answer.strip() else {}
            _submission_step(sandbox, view, answer)
        except ValueError:
            trouble = "the answer to this submission was not JSON"
        except SlackRefusal as refusal:
            trouble = f"the answer to this submission was refused: {refusal.error} {' '.join(refusal.messages)}".strip()
    if trouble:
        view.trouble = MODAL_TROUBLE
        views.announce(sandbox, view)
    return trouble


def _submission_step(sandbox: Sandbox, view: View, answer: Any) -> None:
    if not isinstance(answer, dict):
        raise SlackRefusal("invalid_response", ["[ERROR] must be an object"])
    match answer.get("response_action"):
        case None:
            views.remove(sandbox, view)
        case "clear":
            views.clear(sandbox, view.user)
        case "errors":
            view.errors = _checked_errors(view, answer.get("errors"))
            views.announce(sandbox, view)
        case "update":
            views.update(sandbox, view, answer.get("view"))
        case "push":
            views.push_modal(sandbox, view.user, answer.get("view"))
        case other:
            raise SlackRefusal("invalid_response_action", [f"[ERROR] unknown response_action: {other}"])


def _checked_errors(view: View, errors: Any) -> dict[str, str]:
    inputs = {block["block_id"] for block in view.blocks if block["type"] == "input"}
    if not isinstance(errors, dict) or not errors or not all(isinstance(text, str) for text in errors.values()):
        raise SlackRefusal("invalid_errors", ["[ERROR] errors must map block ids to texts"])
    strangers = sorted(set(errors) - inputs)
    if strangers:
        raise SlackRefusal("invalid_errors", [f"[ERROR] {strangers[0]!r} is not the block_id of an input block"])
    return errors


def take_command_answer(sandbox: Sandbox, delivery: Delivery, user: str, channel: str) -> str:
    """Show the app's answer to a slash command; gives the code of what went wrong, or nothing."""
    if failure(delivery, sandbox.courier.ack_deadline_s):
        return "operation_timeout" if delivery.problem == "timeout" else "dispatch_failed"
    if not delivery.answer.strip():
        return ""
    try:
        answer = json.loads(delivery.answer)
    except ValueError:
        answer = {"text": delivery.answer}
    if not isinstance(answer, dict):
        answer = {"text": delivery.answer}
    if not answer.get("text") and not answer.get("blocks"):
        return ""
    try:
        _post(sandbox, answer, user=user, channel=channel, thread_ts="")
    except SlackRefusal as refusal:
        return refusal.error
    return ""


def take_response_url_post(sandbox: Sandbox, origin: ResponseUrl, answer: JsonObject) -> None:
    """
    Do what a post to a response URL says.

    `replace_original` and `delete_original` act on the message the interaction came from, when there is one; without
    them a new message is posted, ephemeral unless `response_type` says ``in_channel``.

    Raises:
        SlackRefusal: What a message post would be refused for.
    """
    original = sandbox.workspace.ephemeral(origin.user, origin.channel, origin.message_ts) or sandbox.workspace.message(
        origin.channel, origin.message_ts
    )
    if _is_true(answer.get("delete_original")) and original is not None:
        messages.delete(sandbox, original)
    elif _is_true(answer.get("replace_original")) and original is not None:
        text, blocks = messages.content(answer.get("text"), _blocks(answer))
        messages.change(sandbox, original, text, blocks)
    else:
        thread_ts = str(answer.get("thread_ts") or origin.thread_ts)
        _post(sandbox, answer, user=origin.user, channel=origin.channel, thread_ts=thread_ts)


def _post(sandbox: Sandbox, answer: JsonObject, *, user: str, channel: str, thread_ts: str) -> None:
    text, blocks = messages.content(answer.get("text"), _blocks(answer))
    if answer.get("response_type") == "in_channel":
        bot = sandbox.workspace.bot_user_id
        messages.post(sandbox, channel, bot, text, blocks, thread_ts=thread_ts)
    else:
        messages.post_ephemeral(sandbox, channel, user, text, blocks, thread_ts=thread_ts)


def _blocks(answer: JsonObject) -> Any:
    blocks = answer.get("blocks")
    if isinstance(blocks, str):
        try:
            blocks = json.loads(blocks)
        except ValueError as error:
            raise SlackRefusal("invalid_blocks_format") from error
    if blocks is not None and not (isinstance(blocks, list) and all(isinstance(block, dict) for block in blocks)):
        raise SlackRefusal("invalid_blocks_format")
    return blocks


def _is_true(value: Any) -> bool:
    return value is True or value == "true"
