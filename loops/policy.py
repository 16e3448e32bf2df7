"""The approval policy: who may decide a pending state, how many, until when, and what happens if nobody answers."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

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

    `answers` names the transition behind Approve and Reject where their ids do not already say so. `facts` and
    `title` are templates (see `loops.templates`). Times count from the moment the request is made.
    """

    channel: Identifier | None = None
    approvers: Approvers = Approvers()
    quorum: Annotated[int, Field(ge=1, le=50)] = 1
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
