"""The composition root: the only module that names adapters. What it returns is typed by the ports they fit."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import httpx2
from redis.asyncio import Redis
from slack_sdk.web.async_client import AsyncWebClient

from channels.slack.channel import SlackChannel
from channels.slack.client import slack_client
from channels.slack.confirming import SlackConfirmer
from channels.slack.following import Following
from channels.slack.home import Home
from channels.slack.installation import SlackInstallation
from channels.slack.listening import Desk
from channels.slack.members import Members
from channels.slack.outgoing import OutgoingClient
from channels.slack.roster import Roster
from channels.slack.turns import MemoryTurns, SharedTurns
from channels.slack.usergroups import UserGroups
from gateway.api.ports import Feed, Keys
from gateway.api.subscription_ports import Subscriptions
from gateway.archiving import Archivist
from gateway.auditing.ports import Archives, Checkpoints
from gateway.clock import SystemClock
from gateway.configuration import (
    AnthropicConfig,
    Configuration,
    ConfigurationError,
    HttpConfig,
    IntegrationConfig,
    ProviderConfig,
    RecordedConfig,
    RetryConfig,
    Treated,
    WebhookConfig,
    load_configuration,
    secret,
)
from gateway.definitions import load_definitions
from gateway.destinations import Destinations
from gateway.directory import ConfiguredDirectory
from gateway.gate import EngineGate
from gateway.guards.config import PolicyPointConfig
from gateway.guards.entry_points import load_guards
from gateway.guards.policy_point import HttpPolicyPoint
from gateway.identifiers import TimeOrderedIds
from gateway.identities import is_of
from gateway.integrations.http import HttpIntegration
from gateway.integrations.ports import Integration
from gateway.integrations.webhook import WebhookIntegration
from gateway.jobs.handlers import Handlers
from gateway.jobs.lanes import Gates, provider_lane
from gateway.jobs.ports import Cards, Claim, Deadlines, Effects, LaneRules, Lanes, Leases, SeenOnce
from gateway.jobs.queues import QUEUE_OF
from gateway.jobs.runner import Became, EffectRunner, RetryPolicy, Told
from gateway.metrics import Metrics
from gateway.rotations import ConfiguredOnCall
from gateway.settings import Settings, SlackMode
from gateway.slack_directory import SlackDirectory
from gateway.storage.addresses import with_options
from gateway.storage.connect import connect
from gateway.storage.durability import Durability
from gateway.storage.embedded import EmbeddedServer
from gateway.storage.redis_api_keys import RedisApiKeys
from gateway.storage.redis_archive import RedisArchive
from gateway.storage.redis_cards import RedisCards
from gateway.storage.redis_checkpoints import RedisCheckpoints
from gateway.storage.redis_deadlines import RedisDeadlines
from gateway.storage.redis_effects import RedisEffects
from gateway.storage.redis_feed import RedisFeed
from gateway.storage.redis_knowledge import RedisKnowledge
from gateway.storage.redis_lanes import RedisLanes
from gateway.storage.redis_leases import RedisLeases
from gateway.storage.redis_openers import RedisOpeners
from gateway.storage.redis_seen import RedisSeenOnce
from gateway.storage.redis_store import RedisStore
from gateway.storage.redis_subscriptions import RedisSubscriptions
from gateway.storage.redis_turns import RedisTurns
from loops.actors import folded
from loops.engine import LoopEngine
from loops.guards import PolicyPoint
from loops.judging import Judge
from loops.ports import Clock, Definitions, Directory, IdSource, Provider, Store
from loops.runtime_guards import RUNTIME_GUARDS
from providers.recorded import SHIPPED, RecordedProvider

#: The tenant of whoever names none.
DEFAULT_TENANT = "default"


@dataclass(frozen=True, slots=True)
class Parts:
    """What every process of Loopgate has: the engine and the ports around it."""

    settings: Settings
    configuration: Configuration
    client: "Redis"
    store: Store
    effects: Effects
    cards: Cards
    checkpoints: Checkpoints
    archives: Archives
    api_keys: Keys
    feed: Feed
    subscriptions: Subscriptions
    deadlines: Deadlines
    leases: Leases
    lanes: Lanes
    seen: SeenOnce
    definitions: Definitions
    directory: Directory
    roster: Roster
    clock: Clock
    ids: IdSource
    engine: LoopEngine
    metrics: Metrics


@contextmanager
def store_url(settings: Settings) -> Iterator[str]:
    """
    Yield the URL of the store: the configured one, or an embedded server's that is started on demand.

    Raises:
        ConfigurationError: If the embedded server's data directory cannot be used.
        StoreUnavailable, Rejected: If the embedded server does not start.
    """
    if settings.redis_url:
        yield _configured_url(settings, settings.redis_url.get_secret_value())
        return
    server = EmbeddedServer(settings.data_dir / "store")
    try:
        url = server.start()
    except OSError as error:
        raise ConfigurationError(
            f"the store cannot keep its data in {server.data_dir}: {error.strerror or error}; set LOOPGATE_DATA_DIR to "
            "a directory of yours, or LOOPGATE_REDIS_URL to a server"
        ) from error
    try:
        yield url
    finally:
        server.stop()


def _configured_url(settings: Settings, url: str) -> str:
    """Return *url* with what the environment keeps apart from it."""
    files = {
        "ssl_ca_certs": settings.redis_ca_file,
        "ssl_certfile": settings.redis_cert_file,
        "ssl_keyfile": settings.redis_key_file,
    }
    for path in filter(None, files.values()):
        if not url.startswith("rediss"):
            raise ConfigurationError(f"{path} is for a TLS connection; begin LOOPGATE_REDIS_URL with rediss")
        if not path.is_file():
            raise ConfigurationError(f"{path} is not a file; see LOOPGATE_REDIS_CA_FILE, _CERT_FILE and _KEY_FILE")
    passwords = {"password": settings.redis_password, "sentinel_password": settings.redis_sentinel_password}
    kept_apart = {name: value.get_secret_value() for name, value in passwords.items() if value}
    return with_options(url, kept_apart | {name: str(path.absolute()) for name, path in files.items() if path})


def durability(settings: Settings) -> Durability:
    """Return where a commit must be before it is acknowledged."""
    return Durability(settings.durability, settings.replicas)


@asynccontextmanager
async def open_parts(settings: Settings, url: str, metrics: Metrics | None = None) -> AsyncIterator[Parts]:
    """
    Yield the parts on the store at *url*; nothing is connected before it is used.

    Without *metrics* this process counts for itself.

    Raises:
        ConfigurationError: If the configuration cannot be used, or does not fit the loop files.
        InvalidLoopFiles: If a loop file has an error.
    """
    configuration = load_configuration(settings.config)
    guards = {**RUNTIME_GUARDS, **load_guards()}
    definitions = load_definitions(configuration, settings.config.parent, guards)
    clock, ids = SystemClock(), TimeOrderedIds()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(connect(url))
        roster = Roster(RedisKnowledge(client), configuration.slack.team)
        directory = SlackDirectory(
            ConfiguredDirectory(configuration.people, configuration.slack.team),
            roster,
            groups={name: group.slack_user_group for name, group in configuration.groups.items()},
            email_domains=configuration.slack.email_domains,
        )
        http = await stack.enter_async_context(httpx2.AsyncClient())
        store = RedisStore(
            client, effect_grace=timedelta(seconds=settings.effect_grace_s), durability=durability(settings)
        )
        points = {name: _policy_point(point, http) for name, point in configuration.policy_points.items()}
        yield Parts(
            settings=settings,
            configuration=configuration,
            client=client,
            store=store,
            effects=RedisEffects(client),
            cards=RedisCards(client),
            checkpoints=RedisCheckpoints(client),
            archives=RedisArchive(client),
            api_keys=RedisApiKeys(client),
            feed=RedisFeed(client, store),
            subscriptions=RedisSubscriptions(client),
            deadlines=RedisDeadlines(client),
            leases=RedisLeases(client),
            lanes=RedisLanes(client, effect_grace=timedelta(seconds=settings.effect_grace_s)),
            seen=RedisSeenOnce(client),
            definitions=definitions,
            directory=directory,
            roster=roster,
            clock=clock,
            ids=ids,
            engine=LoopEngine(
                store,
                definitions,
                directory,
                clock,
                ids,
                judge=Judge(guards, points),
                redaction=configuration.redaction,
                on_call=ConfiguredOnCall(configuration.on_call),
            ),
            metrics=metrics or Metrics(),
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


@asynccontextmanager
async def open_handlers(parts: Parts) -> AsyncIterator[Handlers]:
    """
    Yield what carries out effects: the channel, every provider and every integration of the configuration.

    Raises:
        ConfigurationError: If a secret is not set.
    """
    configuration = parts.configuration
    installation = slack_installation(configuration)
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx2.AsyncClient())
        slack = await stack.enter_async_context(open_slack(parts))
        providers = {
            name: await stack.enter_async_context(_provider(provider))
            for name, provider in configuration.providers.items()
        }
        members, user_groups = slack_people(parts, slack)
        yield Handlers(
            engine=parts.engine,
            store=parts.store,
            effects=parts.effects,
            cards=parts.cards,
            leases=parts.leases,
            channel=slack_channel(parts, slack),
            confirmer=SlackConfirmer(parts.directory, members, user_groups, installation.team_id),
            directory=parts.directory,
            providers=providers,
            integrations={name: _integration(entry, http) for name, entry in configuration.integrations.items()},
            gates=Gates(
                parts.lanes,
                {
                    lane: LaneRules(each.concurrency, each.breaker.failures, each.breaker.pause)
                    for lane, each in lanes(configuration).items()
                },
                lease=timedelta(seconds=parts.settings.effect_lease_s),
                timeout=timedelta(seconds=parts.settings.effect_timeout_s),
            ),
        )


def slack_following(parts: Parts, client: OutgoingClient) -> Following:
    """Return what draws Home tabs anew, over *client*."""
    gate = gate_of(parts)

    async def standing() -> object:
        # An absence ends by itself: nothing is committed then.
        away = frozenset(each.instance_id for each in await gate.absences(DEFAULT_TENANT))
        return await parts.feed.last(DEFAULT_TENANT), away

    desk = Desk(slack_installation(parts.configuration), client, gate, parts.directory, DEFAULT_TENANT)
    return Following(Home(desk, RedisOpeners(parts.client)), standing)


def effect_runner(parts: Parts, handlers: Handlers) -> EffectRunner:
    """Return what makes attempts at effects, by the policies of the settings and of each integration and provider."""
    settings = parts.settings
    policy = RetryPolicy(
        lease=timedelta(seconds=settings.effect_lease_s),
        timeout=timedelta(seconds=settings.effect_timeout_s),
        attempts=settings.effect_attempts,
        base=timedelta(seconds=settings.retry_base_s),
        longest=timedelta(seconds=settings.retry_longest_s),
        give_up_after=timedelta(seconds=settings.give_up_s),
    )
    own = {lane: _policy(policy, each.retry) for lane, each in lanes(parts.configuration).items()}
    return EffectRunner(parts.effects, handlers, policy, own, told=_counted(parts.metrics))


def _counted(metrics: Metrics) -> Told:
    def told(claim: Claim, became: Became, took_s: float) -> None:
        kind = claim.effect.kind
        metrics.attempts.add(QUEUE_OF[kind], kind, became)
        if became == "done":
            metrics.effect_seconds.add(claim.age.total_seconds() + took_s, QUEUE_OF[kind], kind)

    return told


def lanes(configuration: Configuration) -> Mapping[str, Treated]:
    """Return every lane there is, and how what it leads to is treated."""
    providers = {provider_lane(name): each for name, each in configuration.providers.items()}
    return {**providers, **configuration.integrations}


def _policy(policy: RetryPolicy, retry: RetryConfig) -> RetryPolicy:
    return replace(
        policy,
        attempts=retry.attempts or policy.attempts,
        base=retry.first or policy.base,
        longest=retry.longest or max(policy.longest, retry.first or policy.base),
        give_up_after=retry.give_up_after or policy.give_up_after,
    )


def archivist(parts: Parts) -> Archivist | None:
    """Return what archives closed instances; None where no archive is configured."""
    settings = parts.settings
    if settings.archive_dir is None:
        return None
    return Archivist(
        tenants(parts.configuration),
        parts.store,
        parts.checkpoints,
        parts.archives,
        parts.clock,
        directory=settings.archive_dir,
        retention=timedelta(days=settings.retention_days),
    )


def destinations(configuration: Configuration) -> Destinations:
    """Return where callers of the API may have events sent."""
    return Destinations(tuple(configuration.subscriptions.networks))


def tenants(configuration: Configuration) -> list[str]:
    """Return every tenant the configuration names."""
    people = {person.tenant for person in configuration.people}
    return sorted({DEFAULT_TENANT} | people | {source.tenant for source in configuration.sources.values()})


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


@asynccontextmanager
async def _provider(config: ProviderConfig) -> AsyncIterator[Provider]:
    match config:
        case RecordedConfig():
            yield _recorded(config.recording)
        case AnthropicConfig():
            # Imported here: the SDK takes a second and 40 MB, and only a configuration that names it pays.
            from anthropic import AsyncAnthropic

            from providers.anthropic import AnthropicProvider

            key = secret(config.api_key_env).get_secret_value()
            async with AsyncAnthropic(api_key=key, base_url=config.base_url) as client:
                yield AnthropicProvider(client, config.model, max_tokens=config.max_tokens, timeout_s=config.timeout_s)


def _policy_point(config: PolicyPointConfig, http: httpx2.AsyncClient) -> PolicyPoint:
    token = secret(config.token_env) if config.token_env else None
    return HttpPolicyPoint(config.url, http, timeout_s=config.timeout_s, token=token)


def _recorded(name: str) -> RecordedProvider:
    path = SHIPPED / f"{name}.json"
    if not path.is_file():
        shipped = ", ".join(sorted(each.stem for each in SHIPPED.glob("*.json")))
        raise ConfigurationError(f"providers: there is no recording '{name}'; there are {shipped}")
    return RecordedProvider.from_file(path)


def _integration(config: IntegrationConfig, http: httpx2.AsyncClient) -> Integration:
    try:
        match config:
            case WebhookConfig():
                return WebhookIntegration(config.url, secret(config.secret_env), http, timeout_s=config.timeout_s)
            case HttpConfig():
                return HttpIntegration(
                    config.url,
                    http,
                    method=config.method,
                    allow=config.allow,
                    headers=config.headers,
                    token=secret(config.token_env) if config.token_env else None,
                    timeout_s=config.timeout_s,
                )
    except ValueError as error:
        raise ConfigurationError(f"integrations: {error}") from error
