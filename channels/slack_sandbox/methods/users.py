"""`users.*` methods: who somebody is."""

from channels.slack_sandbox.methods.arguments import Arguments
from channels.slack_sandbox.methods.places import person
from channels.slack_sandbox.refusal import SlackRefusal
from channels.slack_sandbox.sandbox import Sandbox
from channels.slack_sandbox.shapes import user_json
from channels.slack_sandbox.workspace import JsonObject


def info(sandbox: Sandbox, args: Arguments) -> JsonObject:
    """One person, with the flags that say whether they may decide."""
    return {"user": user_json(sandbox.workspace, person(sandbox, args.text("user")))}


def list_(sandbox: Sandbox, args: Arguments) -> JsonObject:
    """Everybody, a page at a time."""
    page, cursor = args.page(list(sandbox.workspace.users.values()))
    return {
        "members": [user_json(sandbox.workspace, user) for user in page],
        "cache_ts": int(sandbox.clock.now()),
        "response_metadata": {"next_cursor": cursor},
    }


def lookup_by_email(sandbox: Sandbox, args: Arguments) -> JsonObject:
    """The active person with this address; deactivated people are not found."""
    email = args.text("email").casefold()
    for user in sandbox.workspace.users.values():
        if email and user.email.casefold() == email and not user.deleted:
            return {"user": user_json(sandbox.workspace, user)}
    raise SlackRefusal("users_not_found")
