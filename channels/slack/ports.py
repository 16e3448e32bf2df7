"""What Slack's listeners need from the rest of the gateway. Adapters fit these protocols without inheriting."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from loops.absence import Absence
from loops.actors import Human
from loops.approvals import HumanAnswer, HumanAsk
from loops.definition import LoopDefinition
from loops.events import Event
from loops.explaining import Explanation
from loops.instance import LoopInstance
from loops.outcomes import Executed, Recorded, Refused
from loops.ports import Loaded, Person


@dataclass(frozen=True, slots=True)
class Entitled:
    """
    Somebody a policy names, or who stands in for them. `why_not` says what keeps them from deciding now, or None.

    `in_stead_of` are those for whom they would decide, where not on their own account; `away_until` is until when they
    are away themselves, and `away_to` names who decides in their stead.
    """

    person: Person
    why_not: str | None
    in_stead_of: tuple[str, ...] = ()
    away_until: datetime | None = None
    away_to: str | None = None


@dataclass(frozen=True, slots=True)
class EffectState:
    """
    How far one effect got: `state` is pending, claimed, failed (tried again), succeeded, dead or cancelled.

    `name` says what it does; `is_retriable` that it was given up, and its loop still stands where it would be of use.
    """

    effect_id: str
    name: str
    instance_id: str
    state: str
    error: str | None
    is_retriable: bool


class Gate(Protocol):
    """The engine as the listeners see it. Every method may raise `loops.errors.StoreUnavailable`."""

    async def answer(self, answer: HumanAnswer, *, tenant: str) -> Executed | Recorded | Refused:
        """
        Judge and commit one person's answer; the return means it is on the ledger.

        A refusal is committed too, with a notice that a worker tells privately. May be called again with the same
        `answer.key`: the first result is given again.
        """

    async def leave(
        self, *, tenant: str, by: Human, until: datetime, to: str, channel: Mapping[str, Any], key: str
    ) -> Executed | Recorded | Refused:
        """
        Let *by* be away until *until*, and the person *to* decide in their stead; once under *key*.

        A refusal is told by the caller.
        """

    async def come_back(self, *, tenant: str, by: Human, channel: Mapping[str, Any]) -> Absence | None:
        """End the absence of *by* and return it; None where they were not away."""

    async def absences(self, tenant: str) -> Sequence[Absence]:
        """Return who is away now, and who decides in their stead."""

    async def load_request(self, tenant: str, request_id: str) -> Loaded | None:
        """Return the instance of an approval request, with that request, or None."""

    async def open_instances(
        self, tenant: str, *, state: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> tuple[Sequence[LoopInstance], str | None]:
        """Return a page of open instances, newest first, and the next page's cursor."""

    # What people look up

    async def open_requests(self, tenant: str, *, limit: int) -> tuple[Sequence[Loaded], bool]:
        """Return the newest open approval requests, and whether there are more."""

    async def requests_of(
        self, tenant: str, person_id: str, part: Literal["asked", "decided"], *, limit: int
    ) -> Sequence[Loaded]:
        """Return the latest requests a person asked for, or decided, each once."""

    async def waiting_for(self, subjects: Sequence[Loaded], by: Human) -> Sequence[Loaded]:
        """Return those of *subjects* whose request *by* could approve now."""

    async def entitled(self, subject: Loaded) -> Sequence[Entitled]:
        """Return everybody who belongs to the stage that is open, with what keeps them from deciding."""

    async def look_up(self, tenant: str, name: str, *, limit: int) -> Sequence[Loaded]:
        """
        Return what *name* means: a request, an instance or an aggregate by its id; else those whose ids it is part of.

        Ids that begin with it come first, then newer ones. Of instances, the newest few hundred are looked through.
        """

    async def archived(self, tenant: str, name: str) -> str | None:
        """Say where the loop of that id, or the latest on that aggregate, is archived; None where it is not."""

    async def events(self, tenant: str, instance_id: str, *, after: int = 0, limit: int = 1000) -> Sequence[Event]:
        """Return a stretch of a ledger, in order."""

    async def effects_of(self, tenant: str, instance_id: str) -> Sequence[EffectState]:
        """Return the effects of an instance, oldest first."""

    async def effect(self, tenant: str, effect_id: str) -> EffectState | None:
        """Return how far one effect of *tenant* got."""

    def now(self) -> datetime:
        """Return the present, as decisions are judged by."""

    def definitions(self) -> Mapping[str, LoopDefinition]:
        """Return the definitions loops may be started from, by id."""

    # What people ask for beside answers

    async def start(
        self, *, tenant: str, loop_id: str, aggregate_id: str, data: Mapping[str, Any], by: Human, key: str
    ) -> Executed | Recorded | Refused:
        """Start a loop as the person *by*, once under *key*."""

    async def may_manage(self, subject: Loaded, by: Human) -> bool:
        """Return whether *by* may cancel the loop or have an effect tried again: they asked, or decide in this loop."""

    async def cancel(
        self, *, tenant: str, instance_id: str, by: Human, reason: str | None, key: str
    ) -> Executed | Recorded | Refused:
        """Cancel an instance as *by*; refused for anybody who neither asked for it nor decides in it."""

    async def retry(
        self, *, tenant: str, effect_id: str, by: Human | None, channel: Mapping[str, Any], key: str
    ) -> Executed | Recorded | Refused:
        """
        Have an effect that failed or was given up tried once more; committed on return. The caller tells a refusal.

        Refused for anybody who neither asked for it nor decides in its loop, where it did not fail (any more), and
        where its loop has moved on since.
        """

    async def consult(self, ask: HumanAsk, *, tenant: str) -> Executed | Recorded | Refused:
        """Take an approver's question, or their part for somebody else; like `answer`, committed on return."""

    async def disclose(self, subject: Loaded, by: Human, channel: Mapping[str, Any]) -> Executed | Recorded | Refused:
        """
        Have *by* sent a complete copy of what the request of *subject* proposes; committed on return.

        Each person gets one of each version: asked again, the same answer is `repeated`, unless it could not be sent.
        *channel* is the evidence of their click, where they are told if it cannot.
        """

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


class Knowledge(Protocol):
    """
    Keeps what Slack said, across processes. Each method may raise `loops.errors.StoreUnavailable`.

    What is known has a name within its workspace, and a turn that grows when Slack says that it changed. An answer is
    kept under the turn that was read before it was asked for, and believed in that turn only: one that was on its way
    while something changed is not.
    """

    async def known(self, team: str, names: Sequence[str]) -> Sequence[str | None]:
        """Return what is kept under each of *names*, or None where nothing is, or no more."""

    async def turn(self, team: str, name: str) -> int:
        """Return the turn of *name*."""

    async def keep(self, team: str, name: str, turn: int, text: str, lifetime: timedelta) -> None:
        """Keep *text* for *lifetime*, believed while *turn* is the turn. A lifetime is a day at most."""

    async def changed(self, team: str, name: str) -> int:
        """Begin a new turn and return it: what is kept is believed no more."""


class Openers(Protocol):
    """Remembers who looks at their Home tab, across processes. May raise `loops.errors.StoreUnavailable`."""

    async def opened(self, team: str, user: str, lifetime: timedelta) -> None:
        """Remember for *lifetime* that *user* looks at the first page of their tab."""

    async def left(self, team: str, user: str) -> None:
        """Forget *user*, who looks at something else."""

    async def recent(self, team: str, *, limit: int) -> Sequence[str]:
        """Return those remembered, the latest first, at most *limit*."""


class SeenOnce(Protocol):
    """Remembers signatures for a while, across processes. May raise `loops.errors.StoreUnavailable`."""

    async def first_time(self, key: str, ttl: timedelta) -> bool:
        """Return True the first time *key* is seen within *ttl*, False ever after."""
