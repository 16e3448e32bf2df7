"""The watch: reads the demo's ledgers back from the store and tells followers what changed."""

import asyncio
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import Any

import structlog

from gateway.audit import audit
from gateway.demo.readable import ledger_json
from loops.errors import LoopgateError
from loops.ports import Loaded, Store

log = structlog.stdlib.get_logger()

#: Seconds between two looks at the store.
EVERY_S = 0.25
#: Instances that are watched, the newest; nobody presses the buttons more often.
WATCHED_MAX = 40
#: Seconds of silence after which a follower gets a sign of life.
HEARTBEAT_S = 10.0

TENANT = "default"


class Watch:
    """
    Knows every instance the demo started and every open one, as the page shows them.

    One reader of the store serves all followers. *calls* returns what the receivers got.
    """

    def __init__(self, store: Store, calls: Callable[[], list[dict[str, Any]]]) -> None:
        self._store = store
        self._calls = calls
        self._shown: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._heads: dict[str, int] = {}
        self._aggregates: dict[str, str] = {}
        self._changed = asyncio.Condition()
        self._revision = 0
        self._revisions: dict[str, int] = {}
        self._is_closed = False

    def include(self, aggregate_id: str, scenario: str = "") -> None:
        """Watch the business object *aggregate_id* from now on; *scenario* is what proposed it, if we did."""
        self._aggregates[aggregate_id] = scenario or self._aggregates.get(aggregate_id, "")
        while len(self._aggregates) > WATCHED_MAX:
            self._aggregates.pop(next(iter(self._aggregates)))

    async def run(self) -> None:
        """Read until cancelled; a store that is away is tried again."""
        while True:
            try:
                await self.look()
            except LoopgateError as error:
                log.warning("watch.failed", error=str(error))
            except Exception:
                log.exception("watch.broke")
            await asyncio.sleep(EVERY_S)

    async def look(self) -> None:
        """Read what changed since the last look."""
        open_now, _ = await self._store.instances(TENANT, limit=WATCHED_MAX)
        for instance in reversed(open_now):
            self.include(instance.aggregate_id)
        for aggregate_id in tuple(self._aggregates):
            loaded = await self._store.load_aggregate(TENANT, aggregate_id)
            if loaded and self._heads.get(loaded.instance.instance_id) != loaded.instance.head.sequence:
                await self._read(loaded)

    async def touch(self) -> None:
        """Tell followers that the receivers' calls changed."""
        await self._tell("calls")

    async def follow(self) -> AsyncIterator[str]:
        """Yield server-sent events: all there is, then each change (``ledger``, ``calls``), until closed."""
        seen = -1
        while not self._is_closed:
            news = [name for name, revision in self._revisions.items() if revision > seen]
            calls_are_news = seen < 0 or "calls" in news
            seen = self._revision
            for name in news:
                if name in self._shown:
                    yield _sent("ledger", self._shown[name])
            if calls_are_news:
                yield _sent("calls", self._calls())
            if not await self._wait_beyond(seen):
                yield ": still here\n\n"

    async def close(self) -> None:
        """End every follower's stream."""
        self._is_closed = True
        async with self._changed:
            self._changed.notify_all()

    async def _read(self, loaded: Loaded) -> None:
        audited = await audit(self._store, TENANT, loaded.instance.instance_id)
        if audited is None:
            return
        instance_id = audited.instance.instance_id
        scenario = self._aggregates.get(audited.instance.aggregate_id, "")
        shown = ledger_json(audited, loaded.definition, loaded.request)
        self._shown[instance_id] = shown | {"scenario": scenario}
        self._heads[instance_id] = audited.instance.head.sequence
        while len(self._shown) > WATCHED_MAX:
            gone, _ = self._shown.popitem(last=False)
            self._heads.pop(gone)
            self._revisions.pop(gone, None)
        await self._tell(instance_id)

    async def _tell(self, name: str) -> None:
        self._revision += 1
        self._revisions[name] = self._revision
        async with self._changed:
            self._changed.notify_all()

    async def _wait_beyond(self, revision: int) -> bool:
        """Wait for something newer than *revision*; False where nothing came for a while."""
        async with self._changed:
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._changed.wait_for(lambda: self._is_closed or self._revision > revision)
            except TimeoutError:
                return False
        return True


def _sent(event: str, data: Any) -> str:
    return f"event: {event}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
