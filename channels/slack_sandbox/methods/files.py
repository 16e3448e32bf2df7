"""`files.*` methods: the ticket for an upload, and sharing what was uploaded."""

import re
from typing import Any

from channels.slack_sandbox import messages
from channels.slack_sandbox.methods.arguments import Arguments
from channels.slack_sandbox.methods.places import bot_channel
from channels.slack_sandbox.refusal import SlackRefusal
from channels.slack_sandbox.sandbox import Sandbox
from channels.slack_sandbox.shapes import file_json
from channels.slack_sandbox.uploads import new_upload
from channels.slack_sandbox.workspace import File, JsonObject

SCOPE = "files:write"

#: What `channel_id` may name: a conversation, never a person. Slack's own pattern asks for eight more characters, which
#: the ids of a sandbox need not have. Source: slackapi/bolt-js, issue 2115, an `invalid_arguments` answer.
CHANNEL_ID = re.compile("^[CGDZ][A-Z0-9]+$")


def get_upload_url_external(sandbox: Sandbox, args: Arguments) -> JsonObject:
    """An address that takes the bytes of one file."""
    _check_scope(sandbox)
    name = args.needed("filename")
    try:
        length = int(args.needed("length"))
    except ValueError as error:
        raise SlackRefusal("invalid_arguments", ["[ERROR] must be an integer [json-pointer:/length]"]) from error
    if length < 1:
        raise SlackRefusal("missing_argument")
    file, path = new_upload(sandbox, name, length)
    return {"upload_url": f"{args.origin}{path}", "file_id": file.id}


def complete_upload_external(sandbox: Sandbox, args: Arguments) -> JsonObject:
    """Share uploaded files in a conversation, as one message; without one they stay the app's own."""
    _check_scope(sandbox)
    files = [_titled(sandbox, each) for each in _listed(args)]
    wanted, comment = args.text("channel_id"), args.text("initial_comment")
    if wanted and not CHANNEL_ID.match(wanted):
        pattern = "[ERROR] input must match regex pattern: ^[CGDZ][A-Z0-9]{8,}$ [json-pointer:/channel_id]"
        raise SlackRefusal("invalid_arguments", [pattern])
    channel = bot_channel(sandbox, wanted) if wanted else None
    if len(comment) > messages.POST_TEXT_MAX:
        raise SlackRefusal("msg_too_long")
    for file, title in files:
        file.title, file.is_complete = title, True
    if channel:
        shared = tuple(file.id for file, _ in files)
        messages.post(sandbox, channel.id, sandbox.workspace.bot_user_id, comment, [], files=shared)
    return {"files": [file_json(sandbox.workspace, file) for file, _ in files]}


def _listed(args: Arguments) -> list[JsonObject]:
    listed = args.json("files", "invalid_arguments")
    if not isinstance(listed, list) or not listed or not all(isinstance(each, dict) for each in listed):
        raise SlackRefusal("invalid_arguments", ["[ERROR] must be an array of objects [json-pointer:/files]"])
    return listed


def _titled(sandbox: Sandbox, listed: dict[str, Any]) -> tuple[File, str]:
    file = sandbox.workspace.files.get(str(listed.get("id")))
    # Nothing uploaded, or completed before: the ticket is of no use.
    if file is None or file.content is None or file.is_complete:
        raise SlackRefusal("file_not_found")
    return file, str(listed.get("title") or file.name)


def _check_scope(sandbox: Sandbox) -> None:
    scopes = sandbox.config.app.scopes
    if scopes and SCOPE not in scopes:
        raise SlackRefusal("missing_scope", [f"[ERROR] needed: {SCOPE}; provided: {','.join(scopes)}"])
