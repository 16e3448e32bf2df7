"""Acting as a person: what one can do in Slack's client, by request."""

from typing import Any

from pydantic import Field
from starlette.requests import Request

from channels.slack_sandbox import acts
from channels.slack_sandbox.control.asked import Asked
from channels.slack_sandbox.sandbox import Sandbox
from channels.slack_sandbox.workspace import JsonObject


class _Click(Asked):
    user: str
    action_id: str
    channel: str = ""
    ts: str = ""
    view_id: str = ""
    block_id: str | None = None
    value: Any = None
    values: acts.Values = Field(default_factory=dict)


class _Submit(Asked):
    user: str
    view_id: str
    values: acts.Values = Field(default_factory=dict)


class _Close(Asked):
    user: str
    view_id: str = ""
    all: bool = False


class _Command(Asked):
    user: str
    channel: str
    text: str


class _Home(Asked):
    user: str


class _Write(Asked):
    user: str
    channel: str
    text: str
    thread_ts: str = ""


async def click(sandbox: Sandbox, request: Request, body: JsonObject) -> JsonObject:
    """Press a button or choose an option."""
    asked = _Click.model_validate(body)
    return await acts.click(sandbox, str(request.base_url), asked.user, **asked.model_dump(exclude={"user"}))


async def submit(sandbox: Sandbox, _: Request, body: JsonObject) -> JsonObject:
    """Submit a modal."""
    asked = _Submit.model_validate(body)
    return await acts.submit(sandbox, asked.user, view_id=asked.view_id, values=asked.values)


async def close(sandbox: Sandbox, _: Request, body: JsonObject) -> JsonObject:
    """Close a modal, or all of them."""
    asked = _Close.model_validate(body)
    return await acts.close(sandbox, asked.user, view_id=asked.view_id, everything=asked.all)


async def command(sandbox: Sandbox, request: Request, body: JsonObject) -> JsonObject:
    """Send a slash command."""
    asked = _Command.model_validate(body)
    return await acts.command(sandbox, str(request.base_url), asked.user, channel=asked.channel, text=asked.text)


async def home(sandbox: Sandbox, _: Request, body: JsonObject) -> JsonObject:
    """Open the Home tab."""
    return await acts.open_home(sandbox, _Home.model_validate(body).user)


async def write(sandbox: Sandbox, _: Request, body: JsonObject) -> JsonObject:
    """Write a message."""
    asked = _Write.model_validate(body)
    return await acts.write(sandbox, asked.user, channel=asked.channel, text=asked.text, thread_ts=asked.thread_ts)
