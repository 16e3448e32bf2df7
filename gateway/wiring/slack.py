"""The connected workspace: its client, what is shown in it, and who in it may decide."""

from contextlib import AbstractAsyncContextManager
from functools import partial

from slack_sdk.web.async_client import AsyncWebClient

from channels.slack.channel import SlackChannel
from channels.slack.client import slack_client
from channels.slack.following import Following, standing_of
from channels.slack.home import Home
from channels.slack.installation import SlackInstallation
from channels.slack.listening import Desk
from channels.slack.members import Members
from channels.slack.outgoing import OutgoingClient
from channels.slack.turns import MemoryTurns, SharedTurns
from channels.slack.usergroups import UserGroups
from gateway.configuration import Configuration, secret
from gateway.gate import EngineGate
from gateway.identities import is_of
from gateway.settings import SlackMode
from gateway.storage.redis_openers import RedisOpeners
from gateway.storage.redis_turns import RedisTurns
from gateway.wiring.parts import DEFAULT_TENANT, Parts
from loops.actors import folded


def slack_installation(configuration: Configuration, taking: SlackMode | None = None) -> SlackInstallation:
    """
    Return the installation the configuration names.

    Args:
        taking: How deliveries are taken, with whose secret; None where none are, as in a worker, which has neither.

    Raises:
        ConfigurationError: If one of them is not set.
    """
    slack = configuration.slack
    return SlackInstallation(
        team_id=slack.team,
        app_id=slack.app,
        bot_token=secret(slack.bot_token_env),
        signing_secret=secret(slack.signing_secret_env) if taking == "http" else None,
        app_token=secret(slack.app_token_env) if taking == "socket" else None,
        bot_user_id=slack.bot_user,
        api_url=slack.api_url,
    )


def open_slack(parts: Parts) -> AbstractAsyncContextManager[OutgoingClient]:
    """
    Return what opens this process's client of the configured workspace, at the pace all processes share.

    Raises:
        ConfigurationError: If a secret is not set.
    """
    slack, calls = parts.configuration.slack, parts.metrics.slack_calls
    return slack_client(
        slack_installation(parts.configuration),
        SharedTurns(RedisTurns(parts.client, f"slack:{slack.team}:{slack.app}"), MemoryTurns()),
        factor=slack.pace,
        counted=calls.add,
    )


def slack_channel(parts: Parts, client: OutgoingClient) -> SlackChannel:
    """Return the channel of the configured workspace, over *client*. Raises ConfigurationError where a secret lacks."""
    configuration = parts.configuration
    return SlackChannel(
        client,
        slack_installation(configuration),
        routes=configuration.slack.channels,
        default_route=configuration.slack.channels.get(configuration.slack.default_channel or ""),
        fallback=configuration.slack.channels.get(configuration.slack.fallback_channel or ""),
        alerts=configuration.slack.channels.get(configuration.alerts.channel or ""),
        directory=parts.directory,
    )


def gate_of(parts: Parts) -> EngineGate:
    """Return what Slack's listeners may do with the engine and the store."""
    return EngineGate(
        parts.engine,
        parts.store,
        effects=parts.effects,
        definitions=parts.definitions,
        directory=parts.directory,
        clock=parts.clock,
        archives=parts.archives,
    )


def slack_following(parts: Parts, client: OutgoingClient) -> Following:
    """Return what draws Home tabs anew, over *client*."""
    gate = gate_of(parts)
    desk = Desk(slack_installation(parts.configuration), client, gate, parts.directory, DEFAULT_TENANT)
    standing = standing_of(gate, DEFAULT_TENANT, partial(parts.feed.last, DEFAULT_TENANT))
    return Following(Home(desk, RedisOpeners(parts.client)), standing)


def slack_people(parts: Parts, client: AsyncWebClient) -> tuple[Members, UserGroups]:
    """Return what asks Slack about people and groups, by *client*."""
    groups = [group.slack_user_group for group in parts.configuration.groups.values()]
    by_email = bool(parts.configuration.slack.email_domains)
    return Members(client, parts.roster, recognises_by_email=by_email), UserGroups(client, parts.roster, groups)


def slack_accounts(configuration: Configuration) -> tuple[list[str], list[str]]:
    """Return the Slack users of the configuration's people, and the addresses others of them may be recognised by."""
    domains = {domain.lower() for domain in configuration.slack.email_domains}
    names = [folded(name) for person in configuration.people for name in (person.id, *person.aliases)]
    return [person.slack for person in configuration.people if person.slack], [n for n in names if is_of(n, domains)]
