"""Approvals over HTTP: asked for, waited for, taken back. Never given: people decide in Slack."""

import asyncio
import contextlib
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from gateway.api.acting import actor_of
from gateway.api.adhoc import AdhocConfig, data_of, definition_for
from gateway.api.bell import Bell
from gateway.api.endpoint import Answer, Call
from gateway.api.models import (
    ApprovalAsked,
    ApprovalPage,
    ApprovalsAsked,
    ApprovalView,
    AskApproval,
    Withdraw,
)
from gateway.api.problems import Problem, refusal
from gateway.api.views import approval_view
from loops.approvals import ApprovalRequest
from loops.definition import LoopDefinition
from loops.engine import LoopEngine
from loops.naming import names_of
from loops.outcomes import Refused
from loops.ports import Directory, IdSource, Store

#: Long polls that one key may have open at one gateway: each holds a connection, and asks the store at every commit of
#: its tenant. When to come back, in seconds.
WAITS_MAX, WAIT_AGAIN_S = 100, 5


@dataclass(frozen=True, slots=True)
class Approvals:
    """
    The handlers of ``/approvals``. `unmanned` says why nobody could ever approve by a definition.

    `open_waits` counts those who wait here, by key.
    """

    engine: LoopEngine
    store: Store
    ids: IdSource
    directory: Directory
    allowed: AdhocConfig | None
    unmanned: Callable[[LoopDefinition], Iterable[str]]
    bell: Bell
    waits_max: int = WAITS_MAX
    open_waits: Counter[str] = field(default_factory=Counter)

    async def ask_approval(self, call: Call) -> Answer:
        """Ask humans: 201, or 200 where the same request was made before."""
        asked: AskApproval = call.body
        definition = definition_for(asked, self.allowed, self.unmanned)
        outcome = await self.engine.start(
            tenant=call.tenant,
            loop_id=definition.id,
            definition=definition,
            aggregate_id=asked.aggregate_id or (_named(call.key) if call.key else self.ids.new("ask_")),
            data=data_of(asked),
            actor=actor_of(call.caller, asked.actor, on_behalf_of=asked.on_behalf_of),
            correlation_id=asked.correlation_id,
            idempotency_key=call.key,
        )
        if isinstance(outcome, Refused):
            raise refusal(outcome)
        request = outcome.request
        if outcome.repeated and outcome.instance.request_id:
            request = await self._stored(call.tenant, outcome.instance.request_id)
        if request is None:
            raise Problem(409, "not_asked", f"{outcome.instance.aggregate_id} is in {outcome.instance.state}")
        return Answer(await self._view(call.tenant, request), 200 if outcome.repeated else 201)

    async def list_approvals(self, call: Call) -> Answer:
        """List the approval requests that are open, newest first."""
        asked: ApprovalsAsked = call.query
        page, cursor = await self.store.requests(call.tenant, cursor=asked.cursor, limit=asked.limit)
        found = [each.request for each in page if each.request]
        wanted = [each for each in found if asked.loop_id in {None, each.proposal.loop_id}]
        names = await names_of(self.directory, call.tenant, *wanted)
        approvals = tuple(approval_view(each, names) for each in wanted)
        return Answer(ApprovalPage(approvals=approvals, next_cursor=cursor))

    async def get_approval(self, call: Call) -> Answer:
        """Show one approval request; with `wait`, as soon as it is decided, or when the time is over."""
        asked: ApprovalAsked = call.query
        approval_id = call.path["approval_id"]
        request = await self._found(call.tenant, approval_id)
        if request.is_open and asked.wait:
            with self._counted(call.caller.key_id):
                request = await self._decided(call.tenant, approval_id, asked.wait)
        return Answer(await self._view(call.tenant, request))

    async def withdraw_approval(self, call: Call) -> Answer:
        """Take an approval request back, as whoever asked."""
        asked: Withdraw = call.body
        approval_id = call.path["approval_id"]
        outcome = await self.engine.withdraw(
            tenant=call.tenant,
            request_id=approval_id,
            actor=actor_of(call.caller, asked.actor),
            reason=asked.reason,
            idempotency_key=call.key,
        )
        if isinstance(outcome, Refused):
            raise refusal(outcome)
        return Answer(await self._view(call.tenant, await self._found(call.tenant, approval_id)))

    @contextlib.contextmanager
    def _counted(self, key_id: str) -> Iterator[None]:
        if self.open_waits[key_id] >= self.waits_max:
            told = f"a key may wait {self.waits_max} times at once; follow /events/stream to wait for many"
            raise Problem(429, "too_many_waits", told, headers={"retry-after": str(WAIT_AGAIN_S)})
        self.open_waits[key_id] += 1
        try:
            yield
        finally:
            self.open_waits[key_id] -= 1
            if not self.open_waits[key_id]:
                del self.open_waits[key_id]

    async def _view(self, tenant: str, request: ApprovalRequest) -> ApprovalView:
        return approval_view(request, await names_of(self.directory, tenant, request))

    async def _decided(self, tenant: str, approval_id: str, wait_s: float) -> ApprovalRequest:
        """Return the request once it is closed, or as it stands after *wait_s*."""
        async with self.bell.listening(tenant) as rung:
            request = await self._found(tenant, approval_id)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    while request.is_open:
                        await rung.wait()
                        rung.clear()
                        request = await self._found(tenant, approval_id)
        return request

    async def _found(self, tenant: str, approval_id: str) -> ApprovalRequest:
        request = await self._stored(tenant, approval_id)
        if request is None:
            raise Problem(404, "unknown_request", f"there is no approval request {approval_id}")
        return request

    async def _stored(self, tenant: str, approval_id: str) -> ApprovalRequest | None:
        loaded = await self.store.load_request(tenant, approval_id)
        return loaded.request if loaded else None


def _named(key: str) -> str:
    """Return the id of what is asked under *key*: the same for the same key, short enough to be read and to be one."""
    return f"ask_{hashlib.sha256(key.encode()).hexdigest()[:32]}"
