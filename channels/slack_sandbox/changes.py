"""The feed of what changes in the workspace, for pages and tests that follow it live."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

#: Changes a slow follower may fall behind before it is told to read the state again.
BACKLOG_MAX = 1_000


class ChangeFeed:
    """Hands every change to every follower; a follower that falls behind gets one ``reset`` instead."""

    def __init__(self) -> None:
        self._last_id = 0
        self._closed = False
        self._followers: set[_Follower] = set()

    def announce(self, kind: str, **facts: Any) -> None:
        """Tell every follower; never waits."""
        self._last_id += 1
        change = {"id": self._last_id, "type": kind, **facts}
        for follower in self._followers:
            follower.put(change)

    def close(self) -> None:
        """End every stream, so that a server can stop while pages are open."""
        self._closed = True
        for follower in self._followers:
            follower.wake.set()

    async def follow(self, heartbeat_s: float = 15.0) -> AsyncIterator[dict[str, Any]]:
        """Changes from now on, with a ``heartbeat`` when nothing happens for a while; ends when the feed closes."""
        follower = _Follower()
        self._followers.add(follower)
        try:
            yield {"id": self._last_id, "type": "hello"}
            while not self._closed:
                try:
                    async with asyncio.timeout(heartbeat_s):
                        await follower.wake.wait()
                except TimeoutError:
                    yield {"id": self._last_id, "type": "heartbeat"}
                    continue
                follower.wake.clear()
                while follower.waiting:
                    yield follower.waiting.popleft()
        finally:
            self._followers.discard(follower)


class _Follower:
    def __init__(self) -> None:
        self.waiting: deque[dict[str, Any]] = deque()
        self.wake = asyncio.Event()

    def put(self, change: dict[str, Any]) -> None:
        if len(self.waiting) >= BACKLOG_MAX:
            self.waiting.clear()
            self.waiting.append({"id": change["id"], "type": "reset"})
        self.waiting.append(change)
        self.wake.set()
