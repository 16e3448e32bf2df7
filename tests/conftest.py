"""Fixtures for every suite: a real server speaking Redis's protocol, started once."""

import itertools
from collections.abc import Iterator

import pytest
from redis import Redis

from gateway.storage.embedded import EmbeddedServer

#: Databases the embedded server has; each test gets the next one, so that a straggler of the last test is not in it.
_databases = itertools.cycle(range(16))


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """The session's embedded server."""
    with EmbeddedServer(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: EmbeddedServer) -> str:
    """The URL of an empty database that nobody else uses."""
    url = f"{redis_server.url}?db={next(_databases)}"
    with Redis.from_url(url) as client:
        client.flushdb()
    return url
