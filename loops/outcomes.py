"""What the engine answers: a closed set of values, not exceptions, so that every caller says what became of each."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from loops.approvals import ApprovalRequest
from loops.guards import GuardVerdict
from loops.instance import LoopInstance
from loops.values import Value

RefusalCode = Literal[
    "unknown_loop",
    "already_active",
    "unknown_instance",
    "unknown_request",
    "loop_closed",
    "invalid_transition",
    "unauthorized_actor",
    "approval_required",
    "approval_pending",
    "guard_failed",
    "bad_evidence",
    "bad_request",
    "idempotency_key_reused",
    # answers to an approval request
    "unmapped_identity",
    "unconfirmed",
    "already_decided",
    "request_closed",
    "request_expired",
    "stale_request",
    "answer_not_offered",
    "not_an_approver",
    "self_approval",
    "already_answered",
    "part_taken",
    "reason_required",
    "not_needed",
    "bad_edit",
    "not_the_requester",
    "cannot_reassign",
    "cannot_snooze",
    "cannot_be_away",
    "unknown_question",
    # effects
    "stale_claim",
    "stale_result",
    "unknown_effect",
    "not_failed",
]


class Executed(Value):
    """The instance moved (or was started or closed): what was asked for is now on the ledger."""

    outcome: Literal["executed"] = "executed"
    instance: LoopInstance
    request: ApprovalRequest | None = None
    transition_id: str | None = None
    from_state: str | None = None
    warnings: tuple[GuardVerdict, ...] = ()
    repeated: bool = False


#: What a `Recorded` outcome kept.
RecordedCode = Literal[
    "pending_approval",  # a transition that waits for a human's approval
    "unconfirmed",  # an answer that waits until it is known who gave it
    "decision_recorded",  # an approval that does not complete the quorum, a declined parked transition
    "edited",
    "question_asked",
    "question_answered",
    "reassigned",
    "snoozed",
    "details_requested",  # a copy of the proposal that one person is sent
    "request_closed",
    "effect_settled",
    "effect_retried",
    "deadline_met",  # a reminder, an escalation
    "deadline_cleared",
    "card_behind",
]


class Recorded(Value):
    """Kept on the ledger without a move; `code` says what."""

    outcome: Literal["recorded"] = "recorded"
    code: RecordedCode
    instance: LoopInstance
    request: ApprovalRequest | None = None
    repeated: bool = False


class Refused(Value):
    """
    Nothing moved. `code` is stable, `message` says why and what to do; `failures` are the hard guards that objected.

    `instance` and `request` are as they stand, so that a late clicker can be told who decided; None where the thing
    asked about does not exist.
    """

    outcome: Literal["refused"] = "refused"
    code: RefusalCode
    message: str
    failures: tuple[GuardVerdict, ...] = ()
    instance: LoopInstance | None = None
    request: ApprovalRequest | None = None
    repeated: bool = False


Outcome = Annotated[Executed | Recorded | Refused, Field(discriminator="outcome")]

#: Reads a stored outcome back, for answers given again under the same idempotency key.
OUTCOME: TypeAdapter[Executed | Recorded | Refused] = TypeAdapter(Outcome)
