"""Fixtures: sandboxes in process."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from unit.slack_sandbox.sandbox_driver import Slack, close, in_process


@pytest.fixture
async def make_slack() -> AsyncIterator[Callable[..., Slack]]:
    """Makes sandboxes with changed configurations."""
    made: list[Slack] = []

    def make(**changes: Any) -> Slack:
        made.append(in_process(**changes))
        return made[-1]

    yield make
    for slack in made:
        await close(slack)


@pytest.fixture
def slack(make_slack: Callable[..., Slack]) -> Slack:
    """A sandbox with rate limits off."""
    return make_slack()
