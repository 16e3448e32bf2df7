"""The approval policy: who may decide a pending state, how many, until when, and what happens if nobody answers."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from loops.durations import Duration
from loops.values import Identifier, Value

#: Whose own proposals a decider must not decide.
SeparatedRole = Literal["requester", "submitter"]
ReasonRule = Literal["required", "optional", "none"]
#: What an answer does to a request. `other` is a human exit that is neither, offered under its own label.
AnswerKind = Literal["approve", "reject", "other"]


class Approvers(Value):
    """The people who may decide: members of any of *groups*, and *users* by person id. Both empty means nobody."""

    groups: tuple[Identifier, ...] = ()
    """Members of any of these groups, as they are when they decide."""
    users: tuple[Identifier, ...] = ()
    """People by id."""

    def named(self) -> str:
        """Say who this is, for cards and errors: ``sre, dana``."""
        return ", ".join((*self.groups, *self.users)) or "nobody"


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

    def named(self) -> str:
        """Say who this is: ``2 of sre``."""
        who = self.name or ", ".join((*self.groups, *self.users)) or "nobody"
        return f"{self.quorum} of {who}"


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
    """Whom it is put before."""


class ApprovalPolicy(Value):
    """
    How humans are asked in one `PENDING_HUMAN_*` state.

    Who must approve is either `quorum` of `approvers`, or `stages` one after the other, each with needs of their own.
    `answers` names the transition behind Approve and Reject where their ids do not already say so. `facts` and
    `title` are templates (see `loops.templates`). `editable` says what approvers may change, by dotted path into the
    data (see `loops.editing`); `reassign` to whom an approver may hand their part. Times count from the moment the
    request is made.
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
    """When those asked are reminded, such as 30m."""
    escalate: tuple[EscalationStep, ...] = ()
    """Where it is asked again when nobody answered, in the order of time."""
    expire_after: Duration | None = None
    """When the request expires, such as 4h."""
    on_expiry: Identifier | None = None
    """The transition the system takes then; without one the request is refused."""
    reassign: Literal["no", "approvers", "anyone"] = "approvers"
    """To whom an approver may hand their part: nobody, other approvers, or anyone known."""
    risk: Literal["low", "high"] = "low"
    """Whether an answer that is one click is asked for twice: high for what cannot be taken back."""
    entitled_until: Literal["decision", "effect"] = "effect"
    """Until when approvers must still be entitled: when the last approval counts, or also before the effect runs."""

    @model_validator(mode="after")
    def _one_way_to_say_who(self) -> Self:
        if self.stages and (self.approvers != Approvers() or self.quorum != 1):
            raise ValueError("say who must approve with approvers and quorum, or with stages, not both")
        return self

    @property
    def gates(self) -> tuple[Stage, ...]:
        """The stages, of which there is always at least one."""
        if self.stages:
            return self.stages
        return (Stage(needs=(Need(groups=self.approvers.groups, users=self.approvers.users, quorum=self.quorum),)),)

    def named(self) -> str:
        """Say who must approve: ``2 of sre and 1 of security, then 1 of cto``."""
        return ", then ".join(" and ".join(need.named() for need in stage.needs) for stage in self.gates)
