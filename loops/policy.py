"""The approval policy: who may decide a pending state, how many, until when, and what happens if nobody answers."""

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from loops.durations import Duration
from loops.hours import Hours
from loops.values import Identifier, Value

#: Whose own proposals a decider must not decide.
SeparatedRole = Literal["requester", "submitter"]
ReasonRule = Literal["required", "optional", "none"]
#: What an answer does to a request. `other` is a human exit that is neither, offered under its own label.
AnswerKind = Literal["approve", "reject", "other"]

#: Names of nobody: people stand by their ids.
_BY_ID: Mapping[str, str] = MappingProxyType({})


class Approvers(Value):
    """The people who may decide: members of any of *groups*, and *users* by person id. Both empty means nobody."""

    groups: tuple[Identifier, ...] = ()
    """Members of any of these groups, as they are when they decide."""
    users: tuple[Identifier, ...] = ()
    """People by id."""

    def named(self, names: Mapping[str, str] = _BY_ID) -> str:
        """Say who this is, for cards and errors: ``sre, Dana``; people by what *names* calls them, else by id."""
        return _joined_names(self.groups, self.users, names)


class Need(Value):
    """So many of these people. Both lists empty means nobody, so the need is never met."""

    name: str | None = None
    """What this need is called on cards."""
    groups: tuple[Identifier, ...] = ()
    """Members of any of these groups may fill it."""
    users: tuple[Identifier, ...] = ()
    """These people may fill it, by id."""
    quorum: Annotated[int, Field(ge=1, le=50)] = 1
    """How many people it takes. One person counts once in the whole request."""

    def who(self, names: Mapping[str, str] = _BY_ID) -> str:
        """Say whom this takes: ``sre``; people by what *names* calls them, else by id."""
        return self.name or _joined_names(self.groups, self.users, names)

    def named(self, names: Mapping[str, str] = _BY_ID) -> str:
        """Say who this is: ``2 of sre``."""
        return f"{self.quorum} of {self.who(names)}"


class Stage(Value):
    """Needs that are asked for together. The next stage is asked when all are met."""

    name: str | None = None
    """What this stage is called on cards."""
    needs: Annotated[tuple[Need, ...], Field(min_length=1, max_length=10)]
    """What is asked for at the same time, up to ten."""


class ReasonRules(Value):
    """Whether an answer must, may or does not carry a reason."""

    approve: ReasonRule = "optional"
    """Whether an approval carries a reason."""
    reject: ReasonRule = "required"
    """Whether a rejection carries a reason."""

    def for_kind(self, kind: AnswerKind) -> ReasonRule:
        """Return the rule for an answer of *kind*; answers of their own may carry one."""
        return "optional" if kind == "other" else getattr(self, kind)


class EscalationStep(Value):
    """Ask again elsewhere, `after` the request was made."""

    after: Duration
    """How long after the request was made, such as 1h30m."""
    channel: str | None = None
    """Where it is asked again: a route of the gateway's configuration."""
    groups: tuple[Identifier, ...] = ()
    """Whose members may decide from then on, too."""
    on_call: Identifier | None = None
    """A schedule of the gateway's configuration: who is on call at that moment may decide from then on, too."""
    need: str | None = None
    """With stages: the name of the need that these groups, or who is on call, may fill."""

    @property
    def entitles(self) -> bool:
        """Whether more people may decide from then on."""
        return bool(self.groups) or self.on_call is not None


class ApprovalPolicy(Value):
    """
    How humans are asked in one `PENDING_HUMAN_*` state.

    Who must approve is either `quorum` of `approvers`, or `stages` one after the other, each with needs of their own.
    `answers` names the transition behind Approve and Reject where their ids do not already say so. `facts` and
    `title` are templates (see `loops.templates`). `editable` says what approvers may change, by dotted path into the
    data (see `loops.editing`); `reassign` to whom an approver may leave their part. Times count from the moment the
    request is made, in business hours where the policy has `hours`.
    """

    channel: Identifier | None = None
    """Where humans are asked: a route of the gateway's configuration."""
    approvers: Approvers = Approvers()
    """Who may decide, where one stage is enough."""
    quorum: Annotated[int, Field(ge=1, le=50)] = 1
    """How many of the approvers must approve."""
    stages: Annotated[tuple[Stage, ...], Field(max_length=10)] = ()
    """Who must approve, one stage after the other; instead of approvers and quorum."""
    separation: tuple[SeparatedRole, ...] = ("requester", "submitter")
    """Whose own proposals nobody may decide: the one who started the loop, the one who submitted the proposal."""
    title: str | None = None
    """The card's headline; may have templates such as `{{ data.changeId }}`."""
    facts: Mapping[str, str] = Field(default_factory=dict)
    """What approvers see, label by label; may have templates."""
    reason: ReasonRules = ReasonRules()
    """Whether answers carry a reason."""
    answers: Mapping[Literal["approve", "reject"], Identifier] = Field(default_factory=dict)
    """Which transitions Approve and Reject take, where ids or signals do not begin with approve and reject."""
    editable: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)
    """What approvers may change, by dotted path into the data."""
    remind_after: Duration | None = None
    """When those asked are reminded, such as 30m; again after every such span, up to `reminders` times."""
    reminders: Annotated[int, Field(ge=1, le=20)] = 3
    """How many times they are reminded at most."""
    escalate: Annotated[tuple[EscalationStep, ...], Field(max_length=10)] = ()
    """Where it is asked again when nobody answered, in the order of time."""
    expire_after: Duration | None = None
    """When the request expires, such as 4h."""
    on_expiry: Identifier | None = None
    """The transition the system takes then; without one the request is refused."""
    hours: Hours | None = None
    """Business hours: reminders, escalation and expiry count only these."""
    calendar: Identifier | None = None
    """Business hours by the name of a calendar of the gateway's configuration, instead of `hours`."""
    reassign: Literal["no", "approvers", "anyone"] = "approvers"
    """To whom an approver may leave their part, by hand or while away: nobody, other approvers, or anyone known."""
    notify: Literal["none", "approvers"] | Approvers = "none"
    """Whom a direct message asks, beside the card: none, all who may decide, or of those only these."""
    risk: Literal["low", "high"] = "low"
    """Whether an answer that is one click is asked for twice: high for what cannot be taken back."""
    entitled_until: Literal["decision", "effect"] = "effect"
    """Until when approvers must still be entitled: when the last approval counts, or also before the effect runs."""

    @model_validator(mode="after")
    def _one_way_to_say_who(self) -> Self:
        if self.stages and (self.approvers != Approvers() or self.quorum != 1):
            raise ValueError("say who must approve with approvers and quorum, or with stages, not both")
        return self

    @cached_property
    def gates(self) -> tuple[Stage, ...]:
        """The stages, of which there is always at least one."""
        if self.stages:
            return self.stages
        return (Stage(needs=(Need(groups=self.approvers.groups, users=self.approvers.users, quorum=self.quorum),)),)

    def escalated(self, step: EscalationStep, on_call: tuple[str, ...] = ()) -> Self:
        """Return the policy with those among the approvers whom *step* adds: its groups, and who is *on_call*."""
        if not step.groups and not on_call:
            return self
        if not self.stages:
            return self.changed(approvers=self.approvers.changed(**_joined(self.approvers, step, on_call)))
        return self.changed(
            stages=tuple(
                stage.changed(
                    needs=tuple(
                        need.changed(**_joined(need, step, on_call)) if need.name == step.need else need
                        for need in stage.needs
                    )
                )
                for stage in self.stages
            )
        )

    def named(self, names: Mapping[str, str] = _BY_ID) -> str:
        """Say who must approve: ``2 of sre and 1 of security, then 1 of Dana``."""
        return ", then ".join(" and ".join(need.named(names) for need in stage.needs) for stage in self.gates)


def _joined_names(groups: tuple[str, ...], users: tuple[str, ...], names: Mapping[str, str]) -> str:
    return ", ".join((*groups, *(names.get(user, user) for user in users))) or "nobody"


def _joined(who: Approvers | Need, step: EscalationStep, on_call: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    groups, users = dict.fromkeys((*who.groups, *step.groups)), dict.fromkeys((*who.users, *on_call))
    return {"groups": tuple(groups), "users": tuple(users)}
