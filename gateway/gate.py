"""The gate: what Slack's listeners may do with the engine and the store, and no more."""

from collections.abc import Sequence

from loops.approvals import HumanAnswer
from loops.engine import LoopEngine
from loops.instance import LoopInstance
from loops.outcomes import Outcome
from loops.ports import Loaded, Store


class EngineGate:
    """Hands a channel's answers to the engine and its questions to the store."""

    def __init__(self, engine: LoopEngine, store: Store) -> None:
        self._engine = engine
        self._store = store

    async def answer(self, answer: HumanAnswer, *, tenant: str) -> Outcome:
        """Judge and commit one person's answer."""
        return await self._engine.answer(answer, tenant=tenant)

    async def load_request(self, tenant: str, request_id: str) -> Loaded | None:
        """Return the instance of an approval request, with that request, or None."""
        return await self._store.load_request(tenant, request_id)

    async def open_instances(
        self, tenant: str, *, state: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> tuple[Sequence[LoopInstance], str | None]:
        """Return a page of open instances, newest first, and the next page's cursor."""
        return await self._store.instances(tenant, state=state, cursor=cursor, limit=limit)
