"""`auth.*` methods."""

from channels.slack_sandbox.methods.arguments import Arguments
from channels.slack_sandbox.sandbox import Sandbox
from channels.slack_sandbox.workspace import JsonObject


def test(sandbox: Sandbox, _: Arguments) -> JsonObject:
    """Say who the token is."""
    workspace = sandbox.workspace
    return {
        "url": f"https://{workspace.team_domain}.slack.com/",
        "team": workspace.team_name,
        "user": workspace.users[workspace.bot_user_id].name,
        "team_id": workspace.team_id,
        "user_id": workspace.bot_user_id,
        "bot_id": workspace.bot_id,
        "is_enterprise_install": False,
    }
