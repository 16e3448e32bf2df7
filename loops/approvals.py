"""Approval requests: one asking of humans, what exactly they are asked, and the decisions they gave."""

from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from loops.absence import InStead
from loops.actors import Actor, Human
from loops.canonical import digest
from loops.durations import Duration
from loops.editing import Change
from loops.guards import GuardVerdict
from loops.policy import AnswerKind, ApprovalPolicy
from loops.values import Instant, JsonObject, Value

RequestStatus = Literal["open", "approved", "rejected", "decided", "expired", "superseded", "cancelled", "withdrawn"]

#: The answer that closes a parked transition's request without taking it: there is no transition to name.
DECLINE = "decline"


class Fact(Value):
    """One line of what approvers see: a label and its rendered value."""

    label: str
    value: str


class PlannedEffect(Value):
    """What runs if the request is approved, with its parameters as they will be sent."""

    integration: str
    action: str
    parameters: JsonObject


class Recommendation(Value):
    """What a model said about the proposal. Untrusted text: shown quoted, never as ours."""

    signal: str
    reasoning: str
    confidence: float | None = None
    model_id: str
    provider: str
    data_points: JsonObject


class AnswerOffered(Value):
    """One way out that a human may take."""

    kind: AnswerKind
    transition_id: str
    label: str


class Decision(Value):
    """
    One human's answer to one version of a request.

    `stage` is the stage that was open, counted from 0. `channel` is the evidence of the channel it came through.
    `on_behalf_of` is whose part `by` took, where it was not their own.
    """

    decision_id: str
    request_version: int = 1
    stage: int = 0
    kind: AnswerKind
    transition_id: str
    by: Human
    on_behalf_of: InStead | None = None
    at: Instant
    reason: str | None = None
    channel: Mapping[str, Any] = Field(default_factory=dict)

    @property
    def part(self) -> str:
        """The person whose part it fills."""
        return self.on_behalf_of.person if self.on_behalf_of else self.by.user_id

    @property
    def name(self) -> str:
        """Who gave it, as people read it: ``Bea``, or ``Bea for Ann``."""
        return f"{self.by.name} for {self.on_behalf_of.name}" if self.on_behalf_of else self.by.name


class ParkedTransition(Value):
    """What an agent or a service asked for and a human must approve first: that very transition, with its evidence."""

    transition_id: str
    actor: Actor
    evidence: JsonObject
    correlation_id: str | None = None


class Question(Value):
    """Something an approver wants to know before deciding. Unanswered while `answer` is None."""

    question_id: str
    by: Human
    at: Instant
    text: str
    answer: str | None = None
    answered_by: Actor | None = None
    answered_at: Instant | None = None


class Reassignment(Value):
    """One approver's part, handed to somebody else, who may decide in their place."""

    from_person: str
    to_person: str
    by: Human
    at: Instant
    reason: str | None = None


class RunResult(Value):
    """
    How one approved effect ended, the last time it was tried; `entry` is its instance's when it was asked for.

    `error` is what the integration said went wrong, cut to `ERROR_KEPT` characters: all of it stands on the ledger.
    """

    effect_id: str
    integration: str
    action: str
    succeeded: bool
    error: str | None = None
    at: Instant
    entry: int


#: Characters of an integration's error that are kept with the request it carried out.
ERROR_KEPT = 500


class Ending(Value):
    """
    What ended a request, or what it approved, other than an answer: who, and why they said they did.

    Where a move left the request behind, `instead` is what was done and `state` where the loop went, as people call
    them.
    """

    by: Actor | None = None
    reason: str | None = None
    instead: str | None = None
    state: str | None = None


class Escalation(Value):
    """
    A step of the policy's `escalate` that was taken: its place there, from 0, and who was on call then.

    `channel` is where the request was asked again, the route's name; None where it was put before more people only.
    """

    step: int
    at: Instant
    channel: str | None = None
    on_call: tuple[str, ...] = ()


class Snooze(Value):
    """One approver's wish to be reminded later: a word to them alone, at `until`."""

    person: str
    until: Instant
    channel: JsonObject


class Progress(Value):
    """
    How far the approvals had come when the latest of them was counted, for cards; who may decide is judged anew.

    `stage` is the open stage, counted from 0; `filled` says how many people fill each of its needs. `lapsed` are the
    people whose approvals count no more.
    """

    stage: int
    filled: tuple[int, ...]
    lapsed: tuple[str, ...] = ()


class Proposal(Value):
    """
    Everything an approver agrees to, and nothing else: the request's digest is made over this.

    A changed proposal has another digest, and an approval of the old one is worth nothing. `contributors` are the
    people behind every agent and service that moved the loop, so that no detour hides who had a hand in it. `runs` is
    what runs if it is approved, `if_rejected` what runs if it is rejected: often nothing.
    """

    loop_id: str
    definition_version: str
    definition_digest: str
    aggregate_id: str
    state: str
    requester: Actor
    submitter: Actor | None = None
    contributors: tuple[str, ...] = ()
    parameters: JsonObject
    evidence: JsonObject
    parked: ParkedTransition | None = None
    runs: tuple[PlannedEffect, ...] = ()
    if_rejected: tuple[PlannedEffect, ...] = ()
    policy: ApprovalPolicy

    def runs_on(self, kind: AnswerKind) -> "tuple[PlannedEffect, ...]":
        """Return what an answer of *kind* runs: what was shown, or nothing."""
        return {"approve": self.runs, "reject": self.if_rejected}.get(kind, ())

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of the proposal."""
        return digest(self.as_digested())


class ApprovalRequest(Value):
    """
    One asking of humans.

    `version` grows when the proposal is edited; decisions on an earlier version are in `voided` and count no more.
    `closed_by` is the decision that closed it; requests closed otherwise (a deadline, a cancellation) have none, and
    `ending` says what did. `results` are of the effects it approved, while it is the instance's latest request.
    `reminded` counts the policy's reminders that are over, sent or not. The policy's times count from `created_at`, or,
    once its loop has rested, from `resumed_at` on, when `elapsed` of them had gone by.
    """

    request_id: str
    version: int = 1
    status: RequestStatus = "open"
    tenant: str
    instance_id: str
    aggregate_id: str
    loop_name: str
    title: str
    facts: tuple[Fact, ...] = ()
    proposal: Proposal
    digest: str
    recommendation: Recommendation | None = None
    verdicts: tuple[GuardVerdict, ...] = ()
    answers: tuple[AnswerOffered, ...]
    decisions: tuple[Decision, ...] = ()
    voided: tuple[Decision, ...] = ()
    progress: Progress | None = None
    changes: tuple[Change, ...] = ()
    questions: tuple[Question, ...] = ()
    reassignments: tuple[Reassignment, ...] = ()
    reminded: int = 0
    escalations: tuple[Escalation, ...] = ()
    snoozes: tuple[Snooze, ...] = ()
    created_at: Instant
    resumed_at: Instant | None = None
    elapsed: timedelta = timedelta(0)
    expires_at: Instant | None = None
    closed_at: Instant | None = None
    closed_by: Decision | None = None
    ending: Ending | None = None
    results: tuple[RunResult, ...] = ()

    @property
    def failures(self) -> tuple[RunResult, ...]:
        """What was approved and could not be carried out."""
        return tuple(result for result in self.results if not result.succeeded)

    @property
    def is_open(self) -> bool:
        """Whether an answer still counts."""
        return self.status == "open"

    @property
    def is_parked(self) -> bool:
        """Whether it is about a transition somebody else asked for, not about leaving a pending state."""
        return self.proposal.parked is not None

    @cached_property
    def policy(self) -> ApprovalPolicy:
        """The policy as it stands now: the proposal's, with those who may decide since an escalation."""
        written = widened = self.proposal.policy
        for taken in self.escalations:
            widened = widened.escalated(written.escalate[taken.step], taken.on_call)
        return widened

    @property
    def open_question(self) -> Question | None:
        """The latest question nobody has answered."""
        return next((question for question in reversed(self.questions) if question.answer is None), None)

    def votes_for(self, transition_id: str) -> tuple[Decision, ...]:
        """Return the decisions given for one answer."""
        return tuple(decision for decision in self.decisions if decision.transition_id == transition_id)

    @property
    def approvals(self) -> tuple[Decision, ...]:
        """The approvals given so far; each person is in here at most once."""
        return tuple(decision for decision in self.decisions if decision.kind == "approve")

    def answer(self, transition_id: str) -> AnswerOffered | None:
        """Return the offered answer that takes *transition_id*, or None."""
        return next((offered for offered in self.answers if offered.transition_id == transition_id), None)


class HumanAnswer(Value):
    """
    One person's answer as a channel brings it in.

    `request_version` and `digest` are what the person was shown. `by` is None where the channel could verify the
    click but nobody is mapped to it; `channel` is evidence in the shape of facts/loop-engine-contract.md and also
    where a refusal is told to. `edits` are new values by dotted path, within the policy's `editable`: the answer is
    then about the edited proposal. `key` makes a repeated delivery of the same click count once, and names who gave it.

    `standing` is what the channel found out about who gave it, kept with the evidence. `is_confirmed` is False where it
    has yet to be found out; `by` is then who it seems to be, or None. `is_told_there` says that the
    channel itself tells the person of a refusal, where they are looking: no notice follows it.
    """

    request_id: str
    request_version: int
    digest: str
    transition_id: str
    by: Human | None = None
    reason: str | None = None
    edits: Mapping[str, Any] = Field(default_factory=dict)
    channel: JsonObject
    key: str
    is_told_there: bool = False
    standing: Mapping[str, Any] = Field(default_factory=dict)
    is_confirmed: bool = True

    def said(self) -> dict[str, Any]:
        """Return what was said, without what we found out about who said it, which may change between deliveries."""
        return self.changed(by=None, standing={}, is_confirmed=True).as_json()


class HumanAsk(Value):
    """
    What an approver does short of deciding: ask a question, hand their part to the person `to_person`, put it off.

    Fields as in `HumanAnswer`; exactly one of `question`, `to_person` and `snooze` is set. `snooze` is for how long.
    """

    request_id: str
    by: Human | None
    question: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=3_000)] | None = None
    to_person: str | None = None
    snooze: Duration | None = None
    reason: str | None = None
    channel: JsonObject
    key: str
    is_told_there: bool = False

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        if sum(each is not None for each in (self.question, self.to_person, self.snooze)) != 1:
            raise ValueError("ask a question, name somebody to take over, or say how long to put it off: one of them")
        return self
