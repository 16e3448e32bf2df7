"""Modals and Home tabs: opening, stacking, updating, closing."""

from typing import Any

from channels.slack_sandbox.blockkit.surfaces import checked_view
from channels.slack_sandbox.form import initial_state
from channels.slack_sandbox.refusal import SlackRefusal
from channels.slack_sandbox.sandbox import Sandbox
from channels.slack_sandbox.shapes import view_json
from channels.slack_sandbox.workspace import JsonObject, View, new_hash, new_id

#: Views a modal can stack, the first included. Source: docs.slack.dev, surfaces/modals.
STACK_MAX = 3


def open_modal(sandbox: Sandbox, user: str, content: Any) -> View:
    """Show *content* to *user* as a new modal, in place of any that is open."""
    view = _new_view(sandbox, user, "modal", content)
    view.root_view_id = view.id
    sandbox.workspace.stacks[user] = [view]
    announce_stack(sandbox, user)
    return view


def push_modal(sandbox: Sandbox, user: str, content: Any) -> View:
    """
    Put *content* on top of the modals *user* has open.

    Raises:
        SlackRefusal: ``not_found`` when none is open, ``push_limit_reached`` when three are.
    """
    stack = sandbox.workspace.stacks.get(user, [])
    if not stack:
        raise SlackRefusal("not_found")
    if len(stack) >= STACK_MAX:
        raise SlackRefusal("push_limit_reached")
    view = _new_view(sandbox, user, "modal", content)
    view.root_view_id = stack[0].id
    view.previous_view_id = stack[-1].id
    stack.append(view)
    announce_stack(sandbox, user)
    return view


def update(sandbox: Sandbox, view: View, content: Any, expected_hash: str = "") -> None:
    """
    Replace what *view* shows; values typed into blocks that stay are kept.

    Raises:
        SlackRefusal: ``hash_conflict``, or what the lint refuses.
    """
    checked = checked_view(content, view.type)
    if expected_hash and expected_hash != view.hash:
        raise SlackRefusal("hash_conflict")
    _refuse_taken_external_id(sandbox, checked, besides=view)
    view.content = checked
    view.hash = new_hash()
    view.state = initial_state(view.blocks, view.state)
    view.errors = {}
    view.trouble = ""
    announce(sandbox, view)


def publish(sandbox: Sandbox, user: str, content: Any, expected_hash: str = "") -> View:
    """
    Make *content* the Home tab of *user*.

    Raises:
        SlackRefusal: ``hash_conflict``, or what the lint refuses.
    """
    homes = sandbox.workspace.homes
    if user in homes:
        update(sandbox, homes[user], content, expected_hash)
        return homes[user]
    view = _new_view(sandbox, user, "home", content)
    if expected_hash:
        raise SlackRefusal("hash_conflict")
    view.root_view_id = view.id
    homes[user] = view
    announce(sandbox, view)
    return view


def remove(sandbox: Sandbox, view: View) -> None:
    """Take one modal off its stack."""
    stack = sandbox.workspace.stacks.get(view.user, [])
    if view in stack:
        stack.remove(view)
    announce_stack(sandbox, view.user)


def clear(sandbox: Sandbox, user: str) -> list[View]:
    """Close every modal *user* has open; gives them, top first."""
    closed = sandbox.workspace.stacks.pop(user, [])
    announce_stack(sandbox, user)
    return closed[::-1]


def shown(sandbox: Sandbox, view: View) -> JsonObject:
    """A view as the control API shows it: Slack's JSON plus errors and trouble as the person sees them."""
    return {**view_json(sandbox.workspace, view), "user": view.user, "errors": view.errors, "trouble": view.trouble}


def shown_stack(sandbox: Sandbox, user: str) -> list[JsonObject]:
    """The modals *user* has open, bottom first."""
    return [shown(sandbox, view) for view in sandbox.workspace.stacks.get(user, [])]


def announce(sandbox: Sandbox, view: View) -> None:
    """Tell followers that *view* changed."""
    if view.type == "home":
        sandbox.feed.announce("home", user=view.user, view=shown(sandbox, view))
    else:
        announce_stack(sandbox, view.user)


def announce_stack(sandbox: Sandbox, user: str) -> None:
    """Tell followers which modals *user* has open."""
    sandbox.feed.announce("views", user=user, views=shown_stack(sandbox, user))


def _new_view(sandbox: Sandbox, user: str, surface: str, content: Any) -> View:
    checked = checked_view(content, surface)
    _refuse_taken_external_id(sandbox, checked)
    return View(new_id("V"), user, surface, checked, new_hash(), state=initial_state(checked["blocks"]))


def _refuse_taken_external_id(sandbox: Sandbox, content: JsonObject, besides: View | None = None) -> None:
    wanted = content.get("external_id")
    if wanted and any(v.content.get("external_id") == wanted for v in sandbox.workspace.views() if v is not besides):
        raise SlackRefusal("duplicate_external_id")
