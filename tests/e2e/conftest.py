"""One running stack for the tests that only use it; tests that break things start their own."""

from collections.abc import Iterator

import pytest
from github import with_github
from stack import Stack


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The shared stack."""
    with Stack(tmp_path_factory.mktemp("stack"), adjust=with_github) as running:
        yield running
