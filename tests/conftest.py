"""For every suite: a real server speaking Redis's protocol, started once; and which examples properties look at."""

import itertools
import signal
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings
from patience import PATIENCE_S
from redis import Redis

from gateway.storage.embedded import EmbeddedServer

# Tracebacks in full: the pretty ones of structlog's default show variables, and take a second each to be drawn.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.set_exc_info,
        structlog.processors.TimeStamper(fmt="%H:%M:%S.%f", utc=True),
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

# The same commit gets the same verdict: each property looks at examples that its own source decides. The search for
# others is `make fuzz`, on a seed. Properties are judged by what they find, not by how busy the machine is.
settings.register_profile("loopgate", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("search", deadline=None, derandomize=False, print_blob=True)
settings.load_profile("loopgate")

#: Databases the embedded server has; each test gets the next one, so that a straggler of the last test is not in it.
_databases = itertools.cycle(range(16))


def pytest_configure() -> None:
    """
    Let Ctrl-C be heard.

    A shell without job control starts what it puts in the background with SIGINT ignored; every process tests start
    would inherit that, and nothing that is told by Ctrl-C to end would.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """The session's embedded server."""
    with EmbeddedServer(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: EmbeddedServer) -> str:
    """
    The URL of an empty database that nobody else uses.

    Whoever asks there is as patient as tests are: a machine that stands still for two seconds is no store that is away.
    What tests take away, to see the time-outs of ours, is a server of their own.
    """
    patience = f"socket_timeout={PATIENCE_S}&socket_connect_timeout={PATIENCE_S}"
    url = f"{redis_server.url}?db={next(_databases)}&{patience}"
    with Redis.from_url(url) as client:
        client.flushdb()
    return url
