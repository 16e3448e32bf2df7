"""`usergroups.*` methods: who is in which group."""

from channels.slack_sandbox.methods.arguments import Arguments
from channels.slack_sandbox.refusal import SlackRefusal
from channels.slack_sandbox.sandbox import Sandbox
from channels.slack_sandbox.shapes import usergroup_json
from channels.slack_sandbox.workspace import JsonObject


def list_(sandbox: Sandbox, args: Arguments) -> JsonObject:
    """Every group; members only with `include_users`."""
    groups = [usergroup_json(sandbox.workspace, group) for group in sandbox.workspace.usergroups.values()]
    if not args.flag("include_users"):
        for group in groups:
            del group["users"]
    return {"usergroups": groups}


def users_list(sandbox: Sandbox, args: Arguments) -> JsonObject:
    """The user ids in one group."""
    group = sandbox.workspace.usergroups.get(args.text("usergroup"))
    if group is None:
        raise SlackRefusal("no_such_subteam")
    return {"users": list(group.users)}
