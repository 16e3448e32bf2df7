"""`apps.*` methods: opening Socket Mode connections."""

from channels.slack_sandbox.methods.arguments import Arguments
from channels.slack_sandbox.refusal import JsonObject
from channels.slack_sandbox.sandbox import Sandbox


def connections_open(sandbox: Sandbox, _: Arguments) -> JsonObject:
    """A URL for one Socket Mode connection. Takes the app-level token."""
    return {"url": sandbox.sockets.issue_url()}
