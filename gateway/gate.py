"""The gate: what Slack's listeners may do with the engine and the store, and no more."""

from collections.abc import Sequence

from loops.actors import Human
from loops.approvals import HumanAnswer, HumanAsk
from loops.engine import LoopEngine
from loops.explaining import Explanation
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

    async def consult(self, ask: HumanAsk, *, tenant: str) -> Outcome:
        """Commit an approver's question, or the hand-over of their part."""
        return await self._engine.consult(ask, tenant=tenant)

    async def inform(
        self, *, tenant: str, request_id: str, question_id: str, text: str, actor: Human, idempotency_key: str
    ) -> Outcome:
        """Commit the answer to a question."""
        return await self._engine.inform(
            tenant=tenant,
            request_id=request_id,
            question_id=question_id,
            text=text,
            actor=actor,
            idempotency_key=idempotency_key,
        )

    async def withdraw(
        self, *, tenant: str, request_id: str, actor: Human, reason: str | None, idempotency_key: str
    ) -> Outcome:
        """Commit the withdrawal of a request."""
        return await self._engine.withdraw(
            tenant=tenant, request_id=request_id, actor=actor, reason=reason, idempotency_key=idempotency_key
        )

    async def explain(self, request_id: str, by: Human | None, *, tenant: str) -> Explanation | None:
        """Say how a person stands to a request."""
        return await self._engine.explain(request_id, by, tenant=tenant)

    async def load_request(self, tenant: str, request_id: str) -> Loaded | None:
        """Return the instance of an approval request, with that request, or None."""
        return await self._store.load_request(tenant, request_id)

    async def open_instances(
        self, tenant: str, *, state: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> tuple[Sequence[LoopInstance], str | None]:
        """Return a page of open instances, newest first, and the next page's cursor."""
        return await self._store.instances(tenant, state=state, cursor=cursor, limit=limit)
