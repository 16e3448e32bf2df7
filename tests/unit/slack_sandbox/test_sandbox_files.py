"""Files: what an upload needs, and what the sandbox refuses of it as Slack does."""

from collections.abc import Callable
from typing import Any

import pytest
from unit.slack_sandbox.sandbox_driver import ADA, BOT, CHANNEL, Slack, a_config

CONTENT = b'{"a":1}'


async def ticket(slack: Slack, length: int = len(CONTENT)) -> dict[str, Any]:
    """Ask for an upload of *length* bytes."""
    answer = await slack.api("files.getUploadURLExternal", filename="plan.json", length=length)
    assert answer["ok"], answer
    return answer


async def test_an_upload_is_shared_as_a_message_with_its_file(slack: Slack) -> None:
    """Ticket, bytes, completion: the message is the bot's, has the comment, and the file holds the bytes."""
    given = await ticket(slack)
    taken = await slack.http.post(given["upload_url"], content=CONTENT)
    direct = (await slack.api("conversations.open", users=ADA))["channel"]["id"]
    files = [{"id": given["file_id"], "title": "The plan"}]
    done = await slack.api("files.completeUploadExternal", files=files, channel_id=direct, initial_comment="Here")
    message = (await slack.api("conversations.history", channel=direct))["messages"][0]
    (file,) = message["files"]
    got = await slack.http.get(file["url_private_download"])

    assert (taken.status_code, done["ok"]) == (200, True)
    assert (message["user"], message["text"]) == (BOT, "Here")
    assert (file["name"], file["title"], file["size"]) == ("plan.json", "The plan", 7)
    assert (got.content, got.headers["content-disposition"]) == (CONTENT, "attachment")


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ({"length": 3}, "invalid_arguments"),
        ({"filename": "a"}, "invalid_arguments"),
        ({"filename": "a", "length": "three"}, "invalid_arguments"),
        ({"filename": "a", "length": 0}, "missing_argument"),
    ],
)
async def test_no_ticket_without_a_name_and_a_length(slack: Slack, args: dict[str, Any], error: str) -> None:
    """An upload is announced with both."""
    assert (await slack.api("files.getUploadURLExternal", **args))["error"] == error


async def test_bytes_are_taken_once_and_as_many_as_announced(slack: Slack) -> None:
    """A wrong length, a second upload and an address nobody was given are refused."""
    given = await ticket(slack)
    sent = [
        (await slack.http.post(given["upload_url"], content=content)).status_code
        for content in (CONTENT + b" ", CONTENT, CONTENT)
    ]

    assert sent == [400, 200, 404]
    assert (await slack.http.post("/upload/v1/guess", content=CONTENT)).status_code == 404


@pytest.mark.parametrize(
    ("uploaded", "channel", "error"),
    [
        (False, CHANNEL, "file_not_found"),
        (True, ADA, "invalid_arguments"),
        (True, "C0NOPE", "channel_not_found"),
        (True, "C0ELSE", "not_in_channel"),
    ],
)
async def test_what_cannot_be_shared_stays_unseen(slack: Slack, uploaded: bool, channel: str, error: str) -> None:
    """Nothing uploaded, a person's id, a channel the bot is not in: no message, and no file to read."""
    given = await ticket(slack)
    if uploaded:
        await slack.http.post(given["upload_url"], content=CONTENT)
    files = [{"id": given["file_id"]}]
    answer = await slack.api("files.completeUploadExternal", files=files, channel_id=channel)

    assert answer["error"] == error
    assert (await slack.read(f"messages?channel={CHANNEL}"))["messages"] == []
    assert (await slack.http.get(f"/sandbox/files/{given['file_id']}/plan.json")).status_code == 404


async def test_an_upload_is_completed_once(slack: Slack) -> None:
    """The ticket is used up by its completion."""
    given = await ticket(slack)
    await slack.http.post(given["upload_url"], content=CONTENT)
    asked = {"files": [{"id": given["file_id"]}], "channel_id": CHANNEL}

    assert (await slack.api("files.completeUploadExternal", **asked))["ok"]
    assert (await slack.api("files.completeUploadExternal", **asked))["error"] == "file_not_found"


async def test_files_need_their_scope(make_slack: Callable[..., Slack]) -> None:
    """A token whose scopes are known and lack files:write gets no ticket."""
    app = a_config().app.model_copy(update={"scopes": ("chat:write",)})
    slack = make_slack(app=app.model_dump())

    assert (await slack.api("files.getUploadURLExternal", filename="a", length=1))["error"] == "missing_scope"
