"""What Slack's listeners need from the rest of the gateway. Adapters fit these protocols without inheriting."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from loops.actors import Human
from loops.approvals import HumanAnswer, HumanAsk
from loops.explaining import Explanation
from loops.instance import LoopInstance
from loops.outcomes import Executed, Recorded, Refused
from loops.ports import Loaded


class Gate(Protocol):
    """The engine as the listeners see it. Every method may raise `loops.errors.StoreUnavailable`."""

    async def answer(self, answer: HumanAnswer, *, tenant: str) -> Executed | Recorded | Refused:
        """
        Judge and commit one person's answer; the return means it is on the ledger.

        A refusal is committed too, with a notice that a worker tells privately. May be called again with the same
        `answer.key`: the first result is given again.
        """

    async def load_request(self, tenant: str, request_id: str) -> Loaded | None:
        """Return the instance of an approval request, with that request, or None."""

    async def open_instances(
        self, tenant: str, *, state: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> tuple[Sequence[LoopInstance], str | None]:
        """Return a page of open instances, newest first, and the next page's cursor."""

    # What people do about a request short of deciding it

    async def consult(self, ask: HumanAsk, *, tenant: str) -> Executed | Recorded | Refused:
        """Take an approver's question, or their part for somebody else; like `answer`, committed on return."""

    async def inform(
        self, *, tenant: str, request_id: str, question_id: str, text: str, actor: Human, idempotency_key: str
    ) -> Executed | Recorded | Refused:
        """Take the answer to a question; committed on return. A refusal is told by the caller."""

    async def withdraw(
        self, *, tenant: str, request_id: str, actor: Human, reason: str | None, idempotency_key: str
    ) -> Executed | Recorded | Refused:
        """Take a request back for who asked; committed on return. A refusal is told by the caller."""

    async def explain(self, request_id: str, by: Human | None, *, tenant: str) -> Explanation | None:
        """Say how a person stands to a request now; None for an unknown one. Changes nothing."""


class SeenOnce(Protocol):
    """Remembers signatures for a while, across processes. May raise `loops.errors.StoreUnavailable`."""

    async def first_time(self, key: str, ttl: timedelta) -> bool:
        """Return True the first time *key* is seen within *ttl*, False ever after."""
