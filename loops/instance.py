"""A loop instance: one run of a definition on one business object."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal, Self, TypedDict, Unpack

from pydantic import Field

from loops.actors import Actor, ActorType
from loops.ledger import LedgerHead, Letterhead
from loops.requests import TransitionRequest
from loops.values import Instant, Value

Status = Literal["active", "completed", "failed", "cancelled", "suspended"]


class InstanceChanges(TypedDict, total=False):
    """The fields of an instance that commits change, with their types: what it is about and who began it stay."""

    state: str
    status: Status
    version: int
    data: Mapping[str, Any]
    evidence: Mapping[str, Any]
    submitter: Actor | None
    contributors: tuple[str, ...]
    entry: int
    request_id: str | None
    updated_at: Instant
    last_transition_at: Instant | None
    closed_at: Instant | None
    suspended_at: Instant | None
    asked_at: Instant | None
    decided_at: Instant | None
    approved_at: Instant | None
    held_results: tuple[tuple[TransitionRequest, ...], ...]
    moves: Mapping[ActorType, int]
    refusals: int
    head: LedgerHead


_CHANGEABLE = InstanceChanges.__annotations__.keys()


class LoopInstance(Value):
    """
    One run, as it stands after `version` commits.

    `data` is what it was started with. `evidence` gathers what executed transitions brought, the latest value of
    each key. `requester` started it; `submitter` is the last one who moved it other than by an answer, so that neither
    decides its own proposal; `contributors` are the people behind all of those so far. `entry` counts how often a state
    was entered from another: an effect asked for in one round does not move the loop in a later one. `request_id`
    names the latest approval request, open or closed. `held_results` are, for each effect that came back while it was
    suspended, the signals to try. `refusals` are those recorded since it closed. `asked_at` is when humans were first
    asked, `decided_at` and `approved_at` when one of them last closed a request, and approved one.
    """

    tenant: str
    instance_id: str
    aggregate_id: str
    loop_id: str
    definition_version: str
    definition_digest: str
    state: str
    status: Status = "active"
    version: int
    data: Mapping[str, Any] = Field(default_factory=dict)
    evidence: Mapping[str, Any] = Field(default_factory=dict)
    requester: Actor
    submitter: Actor | None = None
    correlation_id: str
    contributors: tuple[str, ...] = ()
    entry: int = 0
    request_id: str | None = None
    started_at: Instant
    updated_at: Instant
    last_transition_at: Instant | None = None
    closed_at: Instant | None = None
    suspended_at: Instant | None = None
    asked_at: Instant | None = None
    decided_at: Instant | None = None
    approved_at: Instant | None = None
    held_results: tuple[tuple[TransitionRequest, ...], ...] = ()
    moves: Mapping[ActorType, int] = Field(default_factory=dict)
    refusals: int = 0
    head: LedgerHead = LedgerHead()

    @property
    def is_closed(self) -> bool:
        """Whether nothing may move it any more: every status but active."""
        return self.status != "active"

    @property
    def is_called_off(self) -> bool:
        """Whether it was ended from outside: nothing it asked for before is to take place any more."""
        return self.status in {"cancelled", "failed"}

    @property
    def is_over(self) -> bool:
        """Whether it will never move again; a suspended one may."""
        return self.status not in {"active", "suspended"}

    @cached_property
    def letterhead(self) -> Letterhead:
        """What all its events have in common. `after` carries it on: no commit changes what it is made of."""
        return Letterhead.of(
            tenant=self.tenant,
            loop_id=self.loop_id,
            aggregate_id=self.aggregate_id,
            instance_id=self.instance_id,
            definition_version=self.definition_version,
            definition_digest=self.definition_digest,
        )

    def after(self, **changes: Unpack[InstanceChanges]) -> Self:
        """
        Return the instance as it stands after *changes* that a decision made, from values already checked.

        The type checker holds their types, so unlike `changed` this validates nothing but the names: every decision
        comes through here twice.

        Raises:
            ValueError: If a name is none of `InstanceChanges`.
        """
        if not changes.keys() <= _CHANGEABLE:
            unknown = ", ".join(sorted(changes.keys() - _CHANGEABLE))
            raise ValueError(f"commits change no field {unknown} of an instance")
        fields = {**self.__dict__, **changes}
        fields.pop("canonical", None)
        return self.trusting(fields)
