"""What the tests of real workers share: a store to take away, and the system of record they call."""

from collections.abc import Iterator

import pytest
from contract.integration.receiver import Receiver, receiving

from gateway.storage.embedded import EmbeddedServer


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A store of one's own, to take away."""
    with EmbeddedServer(tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture
def pager() -> Iterator[Receiver]:
    """The system of record."""
    with receiving(Receiver()) as receiver:
        yield receiver
