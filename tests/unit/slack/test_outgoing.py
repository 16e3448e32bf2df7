"""Calls to Slack: at its pace, resting when it says so, and counted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from patience import PATIENCE_S
from pydantic import SecretStr
from slack_sdk.errors import SlackApiError
from unit.slack.rig import BOT_TOKEN, SIGNING_SECRET, served, workspace

from channels.slack.client import raise_ours, slack_client
from channels.slack.errors import Answered
from channels.slack.installation import SlackInstallation
from channels.slack.outgoing import UNSAID_S, OutgoingClient
from channels.slack.turns import MemoryTurns
from channels.slack_sandbox.app import create_app
from loops.errors import NotYet, Unavailable


@dataclass
class Line:
    """A sandbox with Slack's limits, two processes that call it, and a clock of theirs that is moved by hand."""

    sandbox: httpx2.AsyncClient
    clients: list[OutgoingClient]
    counted: list[tuple[str, Answered]] = field(default_factory=list)
    now: float = 1000.0

    async def fault(self, method: str, kind: str, **more: Any) -> None:
        """Arrange a fault."""
        await self.sandbox.post("/sandbox/faults", json={"method": method, "kind": kind, **more})

    async def calls(self) -> list[dict[str, Any]]:
        """Return what reached Slack."""
        return list((await self.sandbox.get("/sandbox/calls")).json()["calls"])


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    """Two clients of one workspace."""
    async with a_line() as made:
        yield made


@asynccontextmanager
async def a_line() -> AsyncIterator[Line]:
    """Yield a line."""
    async with (
        served(create_app(workspace("http://127.0.0.1:9").model_copy(update={"rate_limits": "slack"}))) as url,
        httpx2.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE_S) as sandbox,
    ):
        made = Line(sandbox, [])
        turns = MemoryTurns(lambda: made.now)
        installation = SlackInstallation(
            "T1", "A1", SecretStr(BOT_TOKEN), SecretStr(SIGNING_SECRET), "UBOT", f"{url}/api/"
        )

        def counted(method: str, became: Answered) -> None:
            made.counted.append((method, became))

        async with (
            slack_client(installation, turns, counted=counted) as one,
            slack_client(installation, turns, counted=counted) as two,
        ):
            made.clients += [one, two]
            yield made


async def test_posts_to_a_channel_wait_before_slack_refuses(line: Line) -> None:
    """After a short burst a post is put off to its own second, by whichever process; nothing is sent meanwhile."""
    one, two = line.clients
    for number in range(3):
        await line.clients[number % 2].chat_postMessage(channel="C1", text=f"{number}")
    for client, text in ((one, "3"), (two, "4")):
        with pytest.raises(NotYet, match=r"chat\.postMessage"):
            await client.chat_postMessage(channel="C1", text=text)
    line.now += 1
    await one.chat_postMessage(channel="C1", text="3")

    calls = await line.calls()
    assert [call["args"]["text"] for call in calls] == ["0", "1", "2", "3"]
    assert {call["status"] for call in calls} == {200}


async def test_retry_after_holds_the_method_for_every_process(line: Line) -> None:
    """Told to wait seven seconds, nobody calls that method before they are over; other methods go on."""
    one, two = line.clients
    await line.fault("users.info", "429", retry_after_s=7)
    with pytest.raises(SlackApiError):
        await one.users_info(user="UDANA")
    for client in line.clients:
        with pytest.raises(NotYet) as refused:
            await client.users_info(user="USAM")
        assert refused.value.retry_after is not None
        assert 7 <= refused.value.retry_after < 9
    await two.auth_test()
    line.now += 7
    with pytest.raises(NotYet):  # that is when the first of them may; this is a newcomer
        await two.users_info(user="UROBIN")
    await two.users_info(user="USAM")

    assert [call["method"] for call in await line.calls()] == ["users.info", "auth.test", "users.info"]


async def test_a_429_that_does_not_say_how_long_holds_too(line: Line) -> None:
    """Without a readable Retry-After the method still rests."""
    await line.fault("users.info", "error", error="ratelimited")
    with pytest.raises(SlackApiError):
        await line.clients[0].users_info(user="UDANA")
    with pytest.raises(NotYet) as refused:
        await line.clients[1].users_info(user="UDANA")

    assert refused.value.retry_after == UNSAID_S


async def test_slacks_429_says_that_nothing_was_done(line: Line) -> None:
    """A refusal for coming too early leaves nothing in doubt: whoever tries again need not look for a message."""
    await line.fault("chat.postMessage", "429", retry_after_s=7)
    with pytest.raises(SlackApiError) as limited:
        await line.clients[0].chat_postMessage(channel="C1", text="x")
    with pytest.raises(NotYet) as refused:
        raise_ours(limited.value, "post")

    assert refused.value.retry_after == 7


async def test_a_failure_holds_nobody_up_and_is_doubtful(line: Line) -> None:
    """A server error may have posted: that is not `NotYet`, and others go on calling."""
    await line.fault("chat.postMessage", "5xx")
    with pytest.raises(Unavailable) as failed:  # noqa: PT012 - what the SDK raises is ours to say
        try:
            await line.clients[0].chat_postMessage(channel="C1", text="x")
        except Exception as error:
            raise_ours(error, "post")
    await line.clients[1].chat_postMessage(channel="C1", text="y")

    assert not isinstance(failed.value, NotYet)


async def test_every_call_is_counted_by_what_became_of_it(line: Line) -> None:
    """Done, refused, limited, failed and put off are told apart, by method."""
    one = line.clients[0]
    await one.auth_test()
    await line.fault("auth.test", "error", error="account_inactive")
    await line.fault("auth.test", "5xx")
    await line.fault("auth.test", "429", retry_after_s=7)
    for _ in range(3):
        with pytest.raises(SlackApiError):
            await one.auth_test()
    with pytest.raises(NotYet):
        await one.auth_test()

    assert line.counted == [("auth.test", became) for became in ("done", "refused", "failed", "limited", "put_off")]
