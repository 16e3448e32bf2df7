"""The parts that every process has: the engine and the ports around it, on one store."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import httpx2
from redis.asyncio import Redis

from channels.slack.roster import Roster
from gateway.api.ports import Feed, Keys
from gateway.api.subscription_ports import Subscriptions
from gateway.auditing.ports import Archives, Checkpoints
from gateway.clock import SystemClock
from gateway.configuration import Configuration, load_configuration, secret
from gateway.definitions import load_definitions
from gateway.destinations import Destinations
from gateway.directory import ConfiguredDirectory
from gateway.guards.config import PolicyPointConfig
from gateway.guards.entry_points import load_guards
from gateway.guards.policy_point import HttpPolicyPoint
from gateway.identifiers import TimeOrderedIds
from gateway.jobs.ports import Cards, Deadlines, Effects, Lanes, Leases, SeenOnce
from gateway.metrics import Metrics
from gateway.rotations import ConfiguredOnCall
from gateway.settings import Settings
from gateway.slack_directory import SlackDirectory
from gateway.storage.connect import connect
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
from gateway.storage.redis_seen import RedisSeenOnce
from gateway.storage.redis_store import RedisStore
from gateway.storage.redis_subscriptions import RedisSubscriptions
from gateway.wiring.store import durability
from loops.engine import LoopEngine
from loops.guards import PolicyPoint
from loops.judging import Judge
from loops.ports import Clock, Definitions, Directory, IdSource, Store
from loops.runtime_guards import RUNTIME_GUARDS

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


def _policy_point(config: PolicyPointConfig, http: httpx2.AsyncClient) -> PolicyPoint:
    token = secret(config.token_env) if config.token_env else None
    return HttpPolicyPoint(config.url, http, timeout_s=config.timeout_s, token=token)


def tenants(configuration: Configuration) -> list[str]:
    """Return every tenant the configuration names."""
    people = {person.tenant for person in configuration.people}
    return sorted({DEFAULT_TENANT} | people | {source.tenant for source in configuration.sources.values()})


def destinations(configuration: Configuration) -> Destinations:
    """Return where callers of the API may have events sent."""
    return Destinations(tuple(configuration.subscriptions.networks))
