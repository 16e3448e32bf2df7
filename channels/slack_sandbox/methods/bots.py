"""`bots.*` methods: which app a bot belongs to."""

from channels.slack_sandbox.methods.arguments import Arguments
from channels.slack_sandbox.refusal import JsonObject, SlackRefusal
from channels.slack_sandbox.sandbox import Sandbox


def info(sandbox: Sandbox, args: Arguments) -> JsonObject:
    """The one app's bot; this workspace has no other one with an app."""
    workspace = sandbox.workspace
    if args.text("bot") != workspace.bot_id:
        raise SlackRefusal("bot_not_found")
    return {
        "bot": {
            "id": workspace.bot_id,
            "deleted": False,
            "name": workspace.app_name,
            "app_id": workspace.app_id,
            "user_id": workspace.bot_user_id,
        }
    }
