"""The composition root: the only module that names adapters. What it returns is typed by the ports they fit."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from redis.asyncio import Redis

from gateway.clock import SystemClock
from gateway.coherence import incoherences
from gateway.configuration import AnthropicConfig, Configuration, ConfigurationError, RecordedConfig, load_configuration
from gateway.directory import ConfiguredDirectory
from gateway.identifiers import TimeOrderedIds
from gateway.jobs.ports import Cards, Deadlines, Effects, Leases, SeenOnce
from gateway.loopfiles import LoadedLoops, load_directory, load_library
from gateway.settings import Settings
from gateway.storage.connect import connect
from gateway.storage.embedded import EmbeddedServer
from gateway.storage.redis_cards import RedisCards
from gateway.storage.redis_deadlines import RedisDeadlines
from gateway.storage.redis_effects import RedisEffects
from gateway.storage.redis_leases import RedisLeases
from gateway.storage.redis_seen import RedisSeen
from gateway.storage.redis_store import RedisStore
from loops.engine import LoopEngine
from loops.ports import Clock, Definitions, Directory, Store

#: What a configuration says for the loops Loopgate ships.
LIBRARY = "library"


@dataclass(frozen=True, slots=True)
class Parts:
    """What every process of Loopgate has: the engine and the ports around it."""

    settings: Settings
    configuration: Configuration
    client: "Redis"
    store: Store
    effects: Effects
    cards: Cards
    deadlines: Deadlines
    leases: Leases
    seen: SeenOnce
    definitions: Definitions
    directory: Directory
    clock: Clock
    engine: LoopEngine


@contextmanager
def store_url(settings: Settings) -> Iterator[str]:
    """Yield the URL of the store: the configured one, or an embedded server's that is started on demand."""
    if settings.redis_url:
        yield settings.redis_url.get_secret_value()
        return
    server = EmbeddedServer(settings.data_dir / "store")
    url = server.start()
    try:
        yield url
    finally:
        server.stop()


@asynccontextmanager
async def open_parts(settings: Settings, url: str) -> AsyncIterator[Parts]:
    """
    Yield the parts on the store at *url*; nothing is connected before it is used.

    Raises:
        ConfigurationError: If the configuration cannot be used, or does not fit the loop files.
        InvalidLoopFiles: If a loop file has an error.
    """
    configuration = load_configuration(settings.config)
    definitions = load_definitions(configuration, settings.config.parent)
    client = connect(url)
    store = RedisStore(client, effect_grace=timedelta(seconds=settings.effect_grace_s))
    directory = ConfiguredDirectory(configuration.people, configuration.slack.team)
    clock = SystemClock()
    try:
        yield Parts(
            settings=settings,
            configuration=configuration,
            client=client,
            store=store,
            effects=RedisEffects(client),
            cards=RedisCards(client),
            deadlines=RedisDeadlines(client),
            leases=RedisLeases(client),
            seen=RedisSeen(client),
            definitions=definitions,
            directory=directory,
            clock=clock,
            engine=LoopEngine(store, definitions, directory, clock, TimeOrderedIds()),
        )
    finally:
        await client.aclose()


def load_definitions(configuration: Configuration, beside: Path) -> LoadedLoops:
    """
    Return the loop definitions the configuration names; paths count from *beside*.

    Raises:
        InvalidLoopFiles: If a loop file has an error.
        ConfigurationError: If a loop names something the configuration lacks.
    """
    places = [beside / place for place in configuration.loops if place != LIBRARY]
    loaded = load_directory(*places)
    if LIBRARY in configuration.loops:
        loaded = LoadedLoops({**load_library().definitions, **loaded.definitions}, loaded.warnings)
    problems = [
        problem
        for definition in loaded.definitions.values()
        for problem in incoherences(definition, configuration)
    ]
    if problems:
        raise ConfigurationError("\n".join(problems))
    return loaded
