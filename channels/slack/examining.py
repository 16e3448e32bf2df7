"""Examining: what Slack says about an installation, asked by `loopgate doctor`. Nothing in here posts or decides."""

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from channels.slack.client import raise_ours
from channels.slack.errors import error_code
from loops.errors import Rejected, Unavailable

#: Seconds one request to our own public address may take: Slack gives up after three.
REQUEST_S = 3.0
#: Bytes read of what a public address answers.
ANSWER_BYTES_MAX = 4_096


@dataclass(frozen=True, slots=True)
class Bearer:
    """
    Whose a bot token is.

    Args:
        scopes: What it may, as ``X-OAuth-Scopes`` says; None where Slack did not say.
        said_at: Slack's time when it answered, to the second; None where it did not say.
    """

    team_id: str
    team_name: str
    user_id: str
    bot_id: str
    scopes: frozenset[str] | None
    said_at: datetime | None


@dataclass(frozen=True, slots=True)
class Place:
    """A channel as the app sees it."""

    name: str
    is_member: bool
    is_archived: bool


@dataclass(frozen=True, slots=True)
class UserGroup:
    """A user group: what it is called, and the user ids in it."""

    handle: str
    users: frozenset[str]


async def bearer_of_token(client: AsyncWebClient) -> Bearer:
    """Return whose the client's token is. Raises Unavailable, Rejected."""
    try:
        said = await client.auth_test()
    except Exception as error:
        raise_ours(error, "ask whose the bot token is")
    headers = {name.lower(): value for name, value in said.headers.items()}
    scopes = headers.get("x-oauth-scopes")
    return Bearer(
        team_id=str(said.get("team_id", "")),
        team_name=str(said.get("team", "")),
        user_id=str(said.get("user_id", "")),
        bot_id=str(said.get("bot_id", "")),
        scopes=None if scopes is None else frozenset(filter(None, (each.strip() for each in scopes.split(",")))),
        said_at=_date(headers.get("date")),
    )


async def app_of_bot(client: AsyncWebClient, bot_id: str) -> str:
    """Return the app a bot belongs to. Raises Unavailable, Rejected."""
    try:
        said = await client.bots_info(bot=bot_id)
    except Exception as error:
        raise_ours(error, f"ask which app {bot_id} belongs to")
    bot: dict[str, Any] = said.get("bot") or {}
    return str(bot.get("app_id", ""))


async def place(client: AsyncWebClient, channel_id: str) -> Place | None:
    """Return a channel, or None where there is none that the app can see. Raises Unavailable, Rejected."""
    try:
        said = await client.conversations_info(channel=channel_id)
    except SlackApiError as error:
        if error_code(error) == "channel_not_found":
            return None
        raise_ours(error, f"ask about channel {channel_id}")
    except Exception as error:
        raise_ours(error, f"ask about channel {channel_id}")
    channel: dict[str, Any] = said.get("channel") or {}
    return Place(
        name=str(channel.get("name", channel_id)),
        is_member=bool(channel.get("is_member") or channel.get("is_im")),
        is_archived=bool(channel.get("is_archived")),
    )


async def user_groups(client: AsyncWebClient) -> dict[str, UserGroup]:
    """Return the workspace's user groups by id; disabled ones are left out. Raises Unavailable, Rejected."""
    try:
        said = await client.usergroups_list(include_users=True)
    except Exception as error:
        raise_ours(error, "list the user groups")
    groups: list[dict[str, Any]] = said.get("usergroups") or []
    return {
        str(each.get("id")): UserGroup(str(each.get("handle", "")), frozenset(map(str, each.get("users") or ())))
        for each in groups
    }


async def open_socket_url(client: AsyncWebClient, app_token: str) -> None:
    """
    Ask for a Socket Mode address and leave it unused: a connection of ours would take deliveries from the gateway's.

    Raises:
        Unavailable, Rejected: If Slack gives none.
    """
    try:
        await client.apps_connections_open(app_token=app_token)
    except Exception as error:
        raise_ours(error, "open a Socket Mode connection")


async def verify_request_url(url: str, signing_secret: str, now: datetime) -> None:
    """
    Send *url* what Slack sends to verify one, signed, and once more with a signature that is none.

    Raises:
        Unavailable: If nothing answers there in time.
        Rejected: If what answers is not a gateway with that secret, or takes what nobody signed.
    """
    challenge = secrets.token_hex(16)
    body = json.dumps({"type": "url_verification", "challenge": challenge}).encode()
    stamp = str(int(now.timestamp()))
    right = hmac.new(signing_secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    timeout = aiohttp.ClientTimeout(total=REQUEST_S)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
        status, answer = await _post(session, url, body, stamp, right)
        if status == 401:
            raise Rejected(
                f"{url} refuses what the signing secret signed; give `loopgate serve` the secret of this app, and look "
                "at its clock"
            )
        if status != 200 or challenge not in answer:
            raise Rejected(
                f"{url} answers {status}, which is no gateway in mode http; lead that address to `loopgate serve`, "
                "path and body unchanged"
            )
        status, _ = await _post(session, url, body, stamp, secrets.token_hex(32))
    if status != 401:
        raise Rejected(
            f"{url} answers {status} to what nobody signed; what answers there checks no signature, so take it away"
        )


async def _post(session: aiohttp.ClientSession, url: str, body: bytes, stamp: str, signature: str) -> tuple[int, str]:
    headers = {
        "Content-Type": "application/json",
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": f"v0={signature}",
    }
    try:
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            return response.status, (await response.content.read(ANSWER_BYTES_MAX)).decode(errors="replace")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise Unavailable(
            f"{url} does not answer ({type(error).__name__}); start `loopgate serve` and lead that address to it"
        ) from error


def _date(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except ValueError:
        return None
