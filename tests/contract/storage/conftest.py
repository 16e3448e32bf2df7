"""The implementations every suite here runs against."""

from collections.abc import AsyncIterator

import pytest
from contract.storage.implementations import Storage, in_memory, on_redis

from gateway.storage.connect import connect


@pytest.fixture(params=["memory", "redis"])
async def storage(request: pytest.FixtureRequest) -> AsyncIterator[Storage]:
    """Each implementation in turn, empty."""
    if request.param == "memory":
        yield in_memory()
        return
    url = request.getfixturevalue("redis_url")
    async with connect(url) as client:
        yield on_redis(client, url)
