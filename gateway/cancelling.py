"""Cancelling: tasks are told to end until they have."""

import asyncio
from collections.abc import Iterable
from typing import Any

_TOLD_EVERY_S = 0.2


async def cancelled(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """
    Return when *tasks* have ended, however they did.

    They are told again and again: on Python 3.11 a wait_for, which redis-py uses, swallows a cancellation that comes
    together with the answer it waits for.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_TOLD_EVERY_S)
