"""The patient: what could be read of a gateway, as far as it could be read."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis
from slack_sdk.web.async_client import AsyncWebClient

from channels.slack.client import slack_client
from channels.slack.examining import Bearer, bearer_of_token
from channels.slack.installation import SlackInstallation
from gateway.configuration import Configuration, ConfigurationError, load_configuration, secret
from gateway.settings import Settings
from gateway.storage.connect import connect
from loops.errors import LoopgateError
from loops.ports import Clock

#: The doctor asks about every channel once and is done, so it need not spread that over a minute as a gateway does.
IN_A_ROW = 10.0


@dataclass(frozen=True, slots=True)
class Patient:
    """
    A gateway to look at.

    Args:
        environ: Where its secrets are.
        configuration: None where it cannot be read; `illegible` says why.
        store: None where there is none; `storeless` says why.
        slack: A client with the bot token, None without one.
        bearer: Whose that token is, asked once for all checks.
    """

    settings: Settings
    clock: Clock
    environ: Mapping[str, str]
    configuration: Configuration | None
    illegible: str
    store: "Redis | None"
    storeless: str
    slack: AsyncWebClient | None
    bearer: "asyncio.Task[Bearer] | None"


@asynccontextmanager
async def open_patient(
    settings: Settings, clock: Clock, environ: Mapping[str, str], store_url: str | None, storeless: str
) -> AsyncIterator[Patient]:
    """Yield what there is to look at; *store_url* is None where there is no store, and *storeless* says why."""
    configuration, illegible = None, ""
    try:
        configuration = load_configuration(settings.config)
    except ConfigurationError as error:
        illegible = str(error)
    async with AsyncExitStack() as stack:
        store = slack = bearer = None
        if store_url is not None:
            try:
                store = await stack.enter_async_context(connect(store_url))
            except LoopgateError as error:
                storeless = str(error)
        if configuration is not None:
            installation = _installation(configuration, environ)
            if installation is not None:
                slack = await stack.enter_async_context(slack_client(installation, factor=IN_A_ROW))
                bearer = asyncio.create_task(bearer_of_token(slack))
                stack.callback(bearer.cancel)
        yield Patient(settings, clock, environ, configuration, illegible, store, storeless, slack, bearer)


def _installation(configuration: Configuration, environ: Mapping[str, str]) -> SlackInstallation | None:
    slack = configuration.slack
    try:
        token = secret(slack.bot_token_env, environ)
    except ConfigurationError:
        return None
    return SlackInstallation(slack.team, slack.app, token, api_url=slack.api_url)
