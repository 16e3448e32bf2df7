"""`usergroups.*` methods: who is in which group."""

from channels.slack_sandbox.methods.arguments import Arguments
from channels.slack_sandbox.refusal import SlackRefusal
from channels.slack_sandbox.sandbox import Sandbox
from channels.slack_sandbox.shapes import usergroup_json
from channels.slack_sandbox.workspace import JsonObject


def list_(sandbox: Sandbox, args: Arguments) -> JsonObject:
    """Every group; members only with `include_users`, disabled ones only with `include_disabled`."""
    wanted = sandbox.workspace.usergroups.values()
    with_disabled = args.flag("include_disabled")
    groups = [usergroup_json(sandbox.workspace, group) for group in wanted if with_disabled or not group.disabled_at]
    if not args.flag("include_users"):
        for group in groups:
            del group["users"]
    return {"usergroups": groups}


def users_list(sandbox: Sandbox, args: Arguments) -> JsonObject:
    """The user ids in one group."""
    group = sandbox.workspace.usergroups.get(args.text("usergroup"))
    if group is None or (group.disabled_at and not args.flag("include_disabled")):
        raise SlackRefusal("no_such_subteam")
    return {"users": list(group.users)}
