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
    users: tuple[Identifier, ...] = ()

    def named(self) -> str:
        """Say who this is, for cards and errors: ``sre, dana``."""
        return ", ".join((*self.groups, *self.users)) or "nobody"


class Need(Value):
    """So many of these people. Both lists empty means nobody, so the need is never met."""

    name: str | None = None
    groups: tuple[Identifier, ...] = ()
    users: tuple[Identifier, ...] = ()
    quorum: Annotated[int, Field(ge=1, le=50)] = 1

    def named(self) -> str:
        """Say who this is: ``2 of sre``."""
        who = self.name or ", ".join((*self.groups, *self.users)) or "nobody"
        return f"{self.quorum} of {who}"


class Stage(Value):
    """Needs that are asked for together. The next stage is asked when all are met."""

    name: str | None = None
    needs: Annotated[tuple[Need, ...], Field(min_length=1, max_length=10)]


class ReasonRules(Value):
    """Whether an answer must, may or does not carry a reason."""

    approve: ReasonRule = "optional"
    reject: ReasonRule = "required"

    def for_kind(self, kind: AnswerKind) -> ReasonRule:
        """Return the rule for an answer of *kind*; answers of their own may carry one."""
        return "optional" if kind == "other" else getattr(self, kind)


class EscalationStep(Value):
    """Ask again elsewhere, `after` the request was made."""

    after: Duration
    channel: str | None = None
    groups: tuple[Identifier, ...] = ()


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
    approvers: Approvers = Approvers()
    quorum: Annotated[int, Field(ge=1, le=50)] = 1
    stages: Annotated[tuple[Stage, ...], Field(max_length=10)] = ()
    separation: tuple[SeparatedRole, ...] = ("requester", "submitter")
    title: str | None = None
    facts: Mapping[str, str] = Field(default_factory=dict)
    reason: ReasonRules = ReasonRules()
    answers: Mapping[Literal["approve", "reject"], Identifier] = Field(default_factory=dict)
    editable: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)
    remind_after: Duration | None = None
    escalate: tuple[EscalationStep, ...] = ()
    expire_after: Duration | None = None
    on_expiry: Identifier | None = None
    reassign: Literal["no", "approvers", "anyone"] = "approvers"

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
