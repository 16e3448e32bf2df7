"""The outbox as the relay sees it: entries that commits left, to be handed to the job queue. Sync, as the worker is."""

import time
from collections.abc import Iterable
from typing import Any

from redis import Redis
from redis.client import Pipeline

from gateway.jobs.ports import OutboxEntry
from gateway.storage import keys
from gateway.storage.seam import store_errors

#: One blocking wait on the server; shorter than the client's answer time-out, or the wait would look like silence.
_SLICE_S = 1.0


class Outbox:
    """
    Entries in the order of their commits. *client* is one made by `gateway.storage.connect.connect_sync`.

    Both methods that talk to the server raise `StoreUnavailable` where it cannot answer.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client

    def peek(self, limit: int, wait_s: float = 0.0) -> list[OutboxEntry]:
        """
        Return up to *limit* entries from the front and leave them there; wait up to *wait_s* for the first one.

        What is not removed is seen again by the next call, in this process or another: nothing is lost with a relay.
        """
        until = time.monotonic() + wait_s
        with store_errors():
            while True:
                found: Any = self._client.lrange(keys.OUTBOX, 0, limit - 1)
                left = until - time.monotonic()
                if found or left <= 0:
                    return [_entry(value) for value in found]
                # From the head to the head: wakes with the first entry and moves nothing.
                self._client.blmove(keys.OUTBOX, keys.OUTBOX, min(left, _SLICE_S), "LEFT", "LEFT")  # type: ignore[arg-type]

    def remove(self, pipeline: "Pipeline", entries: Iterable[OutboxEntry]) -> None:
        """
        Add the removal of *entries* to *pipeline*, which the caller executes as one MULTI with what it hands over.

        By value, not by place: another relay may have removed some of them, and new ones may have come.
        """
        for entry in entries:
            effect = keys.part(entry.effect_id)
            pipeline.lrem(keys.OUTBOX, 1, f"{entry.kind} {effect}")
            pipeline.hdel(keys.EFFECT + effect, "q")

    def size(self) -> int:
        """Return how many entries wait."""
        with store_errors():
            waiting: Any = self._client.llen(keys.OUTBOX)
        return int(waiting)


def _entry(value: bytes) -> OutboxEntry:
    kind, _, effect = value.decode().partition(" ")
    return OutboxEntry(effect_id=keys.unpart(effect), kind=kind)  # type: ignore[arg-type]
