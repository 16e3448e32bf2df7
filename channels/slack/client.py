"""The Web API client: one connection pool, no retries behind our back, nothing from the environment."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from channels.slack.installation import SlackInstallation
from loops.errors import Rejected, Unavailable

#: Seconds any one call may take; callers with less patience bound it themselves.
CALL_S = 10.0

#: Slack's own troubles, which pass. Source: docs.slack.dev, reference/methods, "Errors" of each method.
PASSING_ERRORS = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)

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
    "user_not_in_channel": "the person has left the channel and cannot be told there",
}

#: The SDK and Bolt log request bodies below ERROR, whole cards and tokens' owners among them.
LOGGER = logging.getLogger("channels.slack.sdk")
LOGGER.setLevel(logging.ERROR)


@asynccontextmanager
async def slack_client(installation: SlackInstallation) -> AsyncIterator[AsyncWebClient]:
    """
    Open the one client of this process for *installation*, on the running event loop.

    The SDK's default retry handler posts a message again after a dropped connection, which may be two messages, so it
    gets none: retrying is the effect's business, which looks first.
    """
    timeout = aiohttp.ClientTimeout(total=CALL_S)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
        client = AsyncWebClient(
            token=installation.bot_token.get_secret_value(),
            base_url=installation.api_url,
            session=session,
            logger=LOGGER,
            retry_handlers=[],
        )
        # The constructor falls back to HTTPS_PROXY; a proxy is the operator's to set up, not the environment's.
        client.proxy = None
        yield client


def raise_ours(error: Exception, what: str) -> NoReturn:
    """
    Raise what an SDK *error* during *what* means to us.

    Raises:
        Unavailable: For rate limits (with Slack's Retry-After), 5xx, time-outs and broken connections.
        Rejected: For everything Slack refused for good, with the next step.
    """
    match error:
        case SlackApiError():
            _raise_answer(error, what)
        case TimeoutError() | asyncio.TimeoutError():
            raise Unavailable(f"{what}: Slack did not answer in time") from error
        case aiohttp.ClientError() | OSError() | ValueError() | SlackClientError():
            raise Unavailable(f"{what}: Slack could not be reached ({type(error).__name__})") from error
        case _:
            raise error


def error_code(error: SlackApiError) -> str | None:
    """Return Slack's error code, or None where the answer held none."""
    try:
        code = error.response["error"]
    except (KeyError, TypeError, ValueError):
        return None
    return code if isinstance(code, str) else None


def _raise_answer(error: SlackApiError, what: str) -> NoReturn:
    code = error_code(error)
    status = getattr(error.response, "status_code", None) or getattr(error.response, "status", None)
    if status == 429 or code in PASSING_ERRORS:
        raise Unavailable(f"{what}: Slack says {code or 'later'}", retry_after=_retry_after(error)) from error
    if code is None or (isinstance(status, int) and status >= 500):
        raise Unavailable(f"{what}: Slack answered {status} {code or 'without a reason'}") from error
    step = NEXT_STEPS.get(code)
    raise Rejected(f"{what}: Slack refused with '{code}'{f'; {step}' if step else ''}") from error


def _retry_after(error: SlackApiError) -> float | None:
    headers = getattr(error.response, "headers", None) or {}
    value = next((text for name, text in headers.items() if name.lower() == "retry-after"), None)
    try:
        seconds = float(value) if value is not None else None
    except ValueError:
        return None
    return seconds if seconds is not None and 0 <= seconds < float("inf") else None
