"""
What the engine needs from the world.

Adapters fit these protocols without inheriting; the type checker proves it in `gateway/wiring`, and one contract
suite per port runs against every implementation.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from loops.actors import Human
from loops.approvals import ApprovalRequest
from loops.cards import LostCard, Notice
from loops.commit import Commit
from loops.definition import LoopDefinition
from loops.effects import GivenUp
from loops.events import Event
from loops.instance import LoopInstance
from loops.outcomes import Outcome
from loops.submission import Ask, Submission


class Loaded(NamedTuple):
    """An instance with the definition it is judged by and its latest approval request."""

    instance: LoopInstance
    definition: LoopDefinition
    request: ApprovalRequest | None


@dataclass(frozen=True, slots=True)
class Stored:
    """The commit took place."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Somebody else moved the instance first, or started one on the aggregate; nothing was written."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """The idempotency key was used before; nothing was written. `answer` is None where the body was another one."""

    answer: Outcome | None


@dataclass(frozen=True, slots=True)
class StaleClaim:
    """The commit settles an effect under a claim that is no longer the latest; nothing was written."""


class Store(Protocol):
    """Keeps instances, ledgers, requests and effects. Every method may raise `loops.errors.StoreUnavailable`."""

    async def load(self, tenant: str, instance_id: str) -> Loaded | None:
        """Return the instance *instance_id*, open or closed."""

    async def load_aggregate(self, tenant: str, aggregate_id: str) -> Loaded | None:
        """Return the latest instance on the business object *aggregate_id*, open or closed."""

    async def load_request(self, tenant: str, request_id: str) -> Loaded | None:
        """Return the instance of an approval request, with *that* request (which may not be its latest)."""

    async def commit(self, commit: Commit) -> Stored | Conflict | Repeated | StaleClaim:
        """Write all of *commit* in one atomic step, or nothing. The idempotency key is looked at first."""

    async def events(self, tenant: str, instance_id: str, *, after: int = 0, limit: int = 1000) -> Sequence[Event]:
        """Return up to *limit* events of one ledger with a sequence greater than *after*, in order."""

    async def lines(self, tenant: str, instance_id: str, *, after: int = 0, limit: int = 1000) -> Sequence[bytes]:
        """Return the stored lines of the same stretch as `events`, as they are: what an audit checks."""

    async def instances(
        self,
        tenant: str,
        *,
        state: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
        closed: bool = False,
    ) -> tuple[Sequence[LoopInstance], str | None]:
        """
        Return a page of open instances, newest first, or of *closed* ones, last closed first; and the next cursor.

        With *state* only those in it. A suspended instance is listed as open.
        """

    async def requests(
        self,
        tenant: str,
        *,
        asked_by: str | None = None,
        decided_by: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> tuple[Sequence[Loaded], str | None]:
        """
        Return a page of open approval requests, newest first, each with its instance; and the next cursor.

        Or of those, open or closed, that the person *asked_by* asked for (alone or through an agent or service), or
        that *decided_by* answered, last answered first, once for each answer. Of each person's the newest 200 are kept.
        """


@dataclass(frozen=True, slots=True)
class ChannelIdentity:
    """A person as a channel knows them: Slack's team and user id."""

    kind: str
    team: str
    user: str


@dataclass(frozen=True, slots=True)
class Person:
    """
    Somebody the gateway knows. `groups` are those they are in at the moment of asking.

    `barred` is what keeps them from deciding anything, such as ``guest``. Where a channel has said nothing about them
    lately, `is_confirmed` is False; `doubtful` are the groups whose members nobody knows just now, which are not among
    `groups`. Either way their answer waits until it is found out. `zone` is the time zone they live in, where known.
    """

    person_id: str
    name: str
    roles: tuple[str, ...]
    groups: frozenset[str]
    identities: tuple[ChannelIdentity, ...]
    barred: str | None = None
    is_confirmed: bool = True
    doubtful: frozenset[str] = frozenset()
    zone: str | None = None

    def as_actor(self, via: str) -> Human:
        """Return the human actor of this person, verified by the channel *via*."""
        return Human(
            id=self.person_id,
            user_id=self.person_id,
            display_name=self.name,
            roles=self.roles,
            authenticated_by=via,
        )


@dataclass(frozen=True, slots=True)
class Account:
    """An account in a channel, with the e-mail address that the channel confirmed of it, if any."""

    identity: ChannelIdentity
    email: str | None = None


class Identities(Protocol):
    """One way of knowing who stands behind an account. Fails closed: whoever is not known for sure is not known."""

    async def behind(self, tenant: str, account: Account) -> str | None:
        """Return the id of the one person behind *account*, or None."""


class Directory(Protocol):
    """Knows people: who stands behind a channel's user, and what they belong to now."""

    async def behind(self, tenant: str, identity: ChannelIdentity) -> Person | None:
        """Return the person mapped to *identity*, or None: unmapped means refused."""

    async def person(self, tenant: str, person_id: str) -> Person | None:
        """Return the person *person_id* as they stand now, or None for somebody unknown."""

    async def people(self, tenant: str, person_ids: Collection[str]) -> Mapping[str, Person]:
        """Return those of *person_ids* who are known, by id, as they all stand at one moment."""

    async def called(self, tenant: str, name: str) -> Person | None:
        """
        Return whom another system means by *name*: a person's id, name, alias or channel id, however it is cased.

        None where that is nobody, or more than one.
        """

    async def everybody(self, tenant: str) -> Sequence[Person]:
        """Return everybody known, as they stand now: to say who may do something, never to judge whether they may."""


class Confirmer(Protocol):
    """
    Asks a channel about people at once, where what is kept about them is too old to judge by.

    Both methods may raise `Unavailable` (with `retry_after` where the channel said so) or `Rejected`.
    """

    async def who(self, tenant: str, evidence: Mapping[str, Any]) -> tuple[Human | None, Mapping[str, Any]]:
        """
        Return the person whose act left the channel's *evidence*.

        Or None, and what about them belongs into the evidence: why they may not decide.
        """

    async def learn(self, tenant: str, people: Sequence[str]) -> None:
        """Find out how the *people* (by id) stand now, and who is in the groups, so that the directory knows."""


class OnCall(Protocol):
    """Knows who is on call."""

    async def on_call(self, tenant: str, schedule: str, at: datetime) -> Sequence[str]:
        """Return who is on call on *schedule* at *at*, by person id; nobody on one that is unknown."""


class Definitions(Protocol):
    """The loop definitions new instances may be started from."""

    def get(self, loop_id: str) -> LoopDefinition | None:
        """Return the current definition of *loop_id*, or None."""

    def all(self) -> Mapping[str, LoopDefinition]:
        """Return every current definition by id."""


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """Return the present, aware, in UTC."""


class IdSource(Protocol):
    """Where new ids come from. They sort by time of making within one process and never repeat."""

    def new(self, prefix: str) -> str:
        """Return a fresh id that begins with *prefix*, such as ``li_``."""


class Provider(Protocol):
    """Where intelligence enters. Produces a submission; never commits, never calls an integration."""

    async def submit(self, ask: Ask) -> Submission:
        """
        Return the model's submission on *ask*.

        Raises:
            Unavailable: If the vendor cannot answer now.
            Rejected: If it refused, or its answer is not a submission with one of the offered signals.
        """


class Channel(Protocol):
    """
    Where humans take part. Shows a request, tells one person something; never decides.

    Addresses are the channel's own JSON; whoever asked for the post keeps them. Every method may raise `Unavailable`
    (with `retry_after` where the channel said so) or `Rejected`.
    """

    async def post(self, subject: Loaded, effect_id: str, *, again: bool, route: str | None = None) -> dict[str, Any]:
        """
        Show the card of *subject*'s request and return its address; on *route* instead of its policy's, if given.

        *again* says that an earlier attempt under the same *effect_id* may have got through: look for it first.
        """

    async def update(self, subject: Loaded, address: Mapping[str, Any]) -> None:
        """Render the card at *address* anew from *subject*. Raises `Gone` where it was deleted."""

    async def reply(
        self, subject: Loaded, event: Event, address: Mapping[str, Any], effect_id: str, *, again: bool
    ) -> None:
        """
        Tell of *event* in the thread of the card at *address*.

        *again* says that an earlier attempt under the same *effect_id* may have got through: look for it first.
        """

    async def message(
        self,
        person: Person,
        subject: Loaded,
        event: Event | None,
        address: Mapping[str, Any],
        effect_id: str,
        *,
        again: bool,
        in_stead_of: Sequence[str] = (),
    ) -> bool:
        """
        Tell *person* directly of *event*, or, without one, that they are asked; with the way to the card at *address*.

        *in_stead_of* are the names of those who are away and in whose stead they are asked. False where the channel
        does not know the person. *again* as for `post`; one *effect_id* may tell several.
        """

    async def alarm(self, lost: LostCard, subject: Loaded | None, effect_id: str, *, again: bool) -> bool:
        """
        Tell whoever runs this that a card cannot be shown; False where nobody is named to be told.

        *again* says that an earlier attempt under the same *effect_id* may have got through: look for it first.
        """

    async def alert(self, given_up: GivenUp, subject: Loaded | None, effect_id: str, *, again: bool) -> bool:
        """Tell whoever runs this that an effect was given up; False where nobody is named. *again* as for `alarm`."""

    async def disclose(self, person: Person, subject: Loaded, effect_id: str, *, again: bool) -> bool:
        """
        Send *person* the whole proposal of *subject*'s request, byte for byte what its digest covers.

        False where the channel does not know the person. *again* as for `post`.
        """

    async def tell(self, notice: Notice, subject: Loaded | None) -> None:
        """Tell one person, privately, what became of their click."""
