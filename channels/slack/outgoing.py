"""
Outgoing calls: the one place through which this gateway calls Slack.

Every method of the SDK's client ends in `api_call`, so a client whose `api_call` waits its turn paces all of them, and
no caller can forget to. What Slack asks for with ``Retry-After`` holds the method for every process.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from channels.slack.errors import Answered, answered, retry_after
from channels.slack.pace import plan
from channels.slack.turns import Turns
from loops.errors import NotYet, Unavailable

log = structlog.get_logger("channels.slack")

#: Seconds a call waits for its turn where it stands. Longer, and its caller is told when to come back: a worker has
#: other things to do meanwhile.
PATIENCE_S = 1.0

#: Seconds a method is left alone after a 429 that does not say how long.
UNSAID_S = 5.0
#: The longest a method is left alone: a mistaken Retry-After must not silence it for days.
LONGEST_S = 3_600.0

#: What an upload of a file is counted as.
UPLOAD = "files.upload"

#: Told of every call: the method, and what became of it.
Counted = Callable[[str, Answered], None]


class OutgoingClient(AsyncWebClient):
    """
    The SDK's client, calling at the pace Slack allows.

    Args:
        turns: Whose turn it is, shared with everybody who calls this workspace.
        factor: Multiplies Slack's limits; see `pace.plan`.
        counted: Counts calls.
        options: As the SDK's client takes them.
    """

    def __init__(
        self, turns: Turns, *, factor: float = 1.0, counted: Counted = lambda *_: None, **options: Any
    ) -> None:
        super().__init__(**options)
        self._turns = turns
        self._factor = factor
        self._counted = counted

    async def api_call(self, api_method: str, **call: Any) -> AsyncSlackResponse:
        """
        Call *api_method* when its turn comes; see the SDK for *call*.

        Raises:
            NotYet: If that takes longer than `PATIENCE_S`; nothing was sent. `retry_after` is when to come back.
            SlackApiError, SlackClientError, aiohttp.ClientError, OSError, TimeoutError: As the SDK does.
        """
        planned = plan(api_method, call.get("json") or call.get("params") or call.get("data") or {}, self._factor)
        left = PATIENCE_S
        while (wait := await self._turns.take(planned.limits, planned.place, planned.rank)) > 0:
            if wait > left:
                self._counted(api_method, "put_off")
                raise NotYet(f"{api_method} is at Slack's pace; its turn comes in {wait:.1f} s", retry_after=wait)
            await asyncio.sleep(wait)
            left -= wait
        try:
            answer = await super().api_call(api_method, **call)
        except BaseException as error:
            became = answered(error)
            self._counted(api_method, became)
            if became == "limited" and isinstance(error, SlackApiError):
                seconds = min(retry_after(error) or UNSAID_S, LONGEST_S)
                log.warning("slack.call.limited", method=api_method, retry_after_s=seconds)
                # Slack limits methods, not what is done with them: the whole method rests.
                await self._turns.hold(planned.limits[:1], seconds)
            raise
        self._counted(api_method, "done")
        return answer

    async def upload(self, url: str, content: bytes) -> None:
        """
        Send *content* to the *url* that files.getUploadURLExternal gave; nobody sees it until the upload is completed.

        No method of the Web API, so no limit of its own, and no token goes with it.

        Raises:
            Unavailable: If it was not taken; the next attempt gets a new URL.
            RuntimeError: If the client was not made with a session, as `slack_client` does.
            aiohttp.ClientError, OSError, TimeoutError: As aiohttp does.
        """
        if self.session is None:
            raise RuntimeError("the client has no session to upload with; make it with slack_client")
        became: Answered = "failed"
        try:
            async with self.session.post(url, data=content, allow_redirects=False) as answer:
                if answer.status != 200:
                    raise Unavailable(f"the upload was answered {answer.status}")
            became = "done"
        finally:
            self._counted(UPLOAD, became)
