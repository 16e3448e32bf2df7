"""The Web API client: one connection pool, no retries behind our back, nothing from the environment."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import NoReturn, TypeVar

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError

from channels.slack.errors import answered, error_code, retry_after, status_of
from channels.slack.installation import SlackInstallation
from channels.slack.outgoing import Counted, OutgoingClient
from channels.slack.turns import MemoryTurns, Turns
from loops.errors import Gone, LoopgateError, NotYet, Rejected, Unavailable

T = TypeVar("T")

#: Seconds any one call may take; callers with less patience bound it themselves.
CALL_S = 10.0

#: What somebody must do about a refusal, where Slack's code alone does not say it.
NEXT_STEPS = {
    "not_in_channel": "invite the app to the channel (/invite) or route to another one in loopgate.yaml",
    "channel_not_found": "check the channel id in loopgate.yaml; a private channel needs the app as a member",
    "is_archived": "route to a channel that is not archived in loopgate.yaml",
    "invalid_auth": "check the token",
    "not_allowed_token_type": "set the app-level token (xapp-...) with the scope connections:write",
    "not_authed": "set the bot token",
    "token_revoked": "reinstall the app and set the new bot token",
    "token_expired": "set a bot token that has not expired",
    "account_inactive": "reinstall the app and set the new bot token",
    "missing_scope": "add the scope to the app (loopgate slack manifest prints what is needed) and reinstall it",
    "message_not_found": "the card was deleted in Slack; the request itself still stands",
    "cant_update_message": "the card was posted by another app; check the app id and token",
    "file_uploads_disabled": "the workspace allows no files; an admin may, and Details shows all of it page by page",
    "file_upload_size_restricted": "the workspace allows no file of that size; Details shows all of it page by page",
    "user_not_in_channel": "the person has left the channel and cannot be told there",
}

#: The SDK and Bolt log request bodies below ERROR, whole cards and tokens' owners among them.
LOGGER = logging.getLogger("channels.slack.sdk")
LOGGER.setLevel(logging.ERROR)


@asynccontextmanager
async def slack_client(
    installation: SlackInstallation,
    turns: Turns | None = None,
    *,
    factor: float = 1.0,
    counted: Counted = lambda *_: None,
) -> AsyncIterator[OutgoingClient]:
    """
    Open the one client of this process for *installation*, on the running event loop.

    *turns* are shared with every process that calls this workspace; without any, this process is alone. See
    `OutgoingClient` for *factor* and *counted*.

    The SDK's default retry handler posts a message again after a dropped connection, which may be two messages, so it
    gets none: retrying is the effect's business, which looks first.
    """
    timeout = aiohttp.ClientTimeout(total=CALL_S)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
        client = OutgoingClient(
            turns or MemoryTurns(),
            factor=factor,
            counted=counted,
            token=installation.bot_token.get_secret_value(),
            base_url=installation.api_url,
            session=session,
            logger=LOGGER,
            retry_handlers=[],
        )
        # The constructor falls back to HTTPS_PROXY; a proxy is the operator's to set up, not the environment's.
        client.proxy = None
        yield client


async def called(what: str, call: Awaitable[T]) -> T:
    """Return what Slack answered to *call*, within `CALL_S`. Raises as `raise_ours` does, naming *what*."""
    try:
        async with asyncio.timeout(CALL_S):
            return await call
    except Exception as error:
        raise_ours(error, what)


def raise_ours(error: Exception, what: str) -> NoReturn:
    """
    Raise what an SDK *error* during *what* means to us.

    Raises:
        NotYet: For rate limits, ours and Slack's (with its Retry-After): nothing was done.
        Unavailable: For 5xx, time-outs and broken connections: something may have been.
        Gone: For a message that is no longer there.
        Rejected: For everything Slack refused for good, with the next step.
    """
    match error:
        case LoopgateError():
            raise error
        case SlackApiError():
            _raise_answer(error, what)
        case TimeoutError() | asyncio.TimeoutError():
            raise Unavailable(f"{what}: Slack did not answer in time") from error
        case aiohttp.ClientError() | OSError() | ValueError() | SlackClientError():
            raise Unavailable(f"{what}: Slack could not be reached ({type(error).__name__})") from error
        case _:
            raise error


def _raise_answer(error: SlackApiError, what: str) -> NoReturn:
    code, status, became = error_code(error), status_of(error), answered(error)
    if became == "limited":
        raise NotYet(f"{what}: Slack says {code or 'later'}", retry_after=retry_after(error)) from error
    if became == "failed":
        raise Unavailable(
            f"{what}: Slack answered {status} {code or 'without a reason'}", retry_after=retry_after(error)
        ) from error
    step = NEXT_STEPS.get(code or "")
    kind = Gone if code == "message_not_found" else Rejected
    raise kind(f"{what}: Slack refused with '{code}'{f'; {step}' if step else ''}") from error
