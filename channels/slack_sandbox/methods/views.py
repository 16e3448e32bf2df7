"""`views.*` methods: modals by trigger id, Home tabs by user."""

from typing import Any

from channels.slack_sandbox import views
from channels.slack_sandbox.blockkit.surfaces import checked_view
from channels.slack_sandbox.methods.arguments import Arguments
from channels.slack_sandbox.methods.places import person
from channels.slack_sandbox.refusal import SlackRefusal
from channels.slack_sandbox.sandbox import Sandbox
from channels.slack_sandbox.shapes import view_json
from channels.slack_sandbox.workspace import JsonObject, View


def open_(sandbox: Sandbox, args: Arguments) -> JsonObject:
    """Open a modal for the person whose interaction gave the trigger id."""
    content = checked_view(_view(args), "modal")
    trigger_id = args.needed("trigger_id")
    trigger = sandbox.triggers.check(trigger_id)
    view = views.open_modal(sandbox, trigger.user, content)
    sandbox.triggers.exchange(trigger_id)
    return _answer(sandbox, view)


def push(sandbox: Sandbox, args: Arguments) -> JsonObject:
    """Put a modal on top of the one the trigger id came from."""
    content = checked_view(_view(args), "modal")
    trigger_id = args.needed("trigger_id")
    trigger = sandbox.triggers.check(trigger_id)
    stack = sandbox.workspace.stacks.get(trigger.user, [])
    if trigger.view_id not in {view.id for view in stack}:
        raise SlackRefusal("not_found")
    view = views.push_modal(sandbox, trigger.user, content)
    sandbox.triggers.exchange(trigger_id)
    return _answer(sandbox, view)


def update(sandbox: Sandbox, args: Arguments) -> JsonObject:
    """Change an open modal, named by view id or external id."""
    content = _view(args)
    view = _find(sandbox, args.text("view_id"), args.text("external_id"))
    views.update(sandbox, view, content, args.text("hash"))
    return _answer(sandbox, view)


def publish(sandbox: Sandbox, args: Arguments) -> JsonObject:
    """Set a person's Home tab."""
    content = _view(args)
    user = person(sandbox, args.needed("user_id"))
    return _answer(sandbox, views.publish(sandbox, user.id, content, args.text("hash")))


def _answer(sandbox: Sandbox, view: View) -> JsonObject:
    return {"view": view_json(sandbox.workspace, view)}


def _view(args: Arguments) -> Any:
    view = args.json("view", "invalid_arguments")
    if view is None:
        raise SlackRefusal("invalid_arguments", ["[ERROR] missing required field: view"])
    return view


def _find(sandbox: Sandbox, view_id: str, external_id: str) -> View:
    if not view_id and not external_id:
        raise SlackRefusal("invalid_arguments", ["[ERROR] one of view_id and external_id is required"])
    for view in sandbox.workspace.views():
        if view_id == view.id or (external_id and external_id == view.content.get("external_id")):
            return view
    raise SlackRefusal("not_found")
