"""
What requests say and answers hold, as they stand in the OpenAPI document. Names are camelCase on the wire.

Source of the loops and runs: facts/loop-engine-contract.md, "HTTP /api/v1".
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints

from loops.durations import Duration
from loops.events import EventType
from loops.instance import Status
from loops.values import Identifier, Instant, Value

#: What reads of a run carry, so that a client knows what it reads.
CONTRACT = "runtime-api-2026-05"

#: Instances or requests on one page.
PAGE_MAX = 200

#: The longest a long poll may wait.
WAIT_MAX_S = 60

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=3_000)]
Limit = Annotated[int, Field(ge=1, le=PAGE_MAX)]
Json = Mapping[str, Any]

#: A place in the feed of events. Source: `gateway.storage.feeds`.
Cursor = Annotated[str, StringConstraints(pattern=r"^\d{1,16}-\d{1,16}\.\d{1,12}$")]


def _visible(given: str) -> str:
    if not given.isprintable():
        raise ValueError("must be printable: an invisible character makes another name that reads the same")
    return given


#: The name of a business object, a person or a conversation, as callers write it.
Name = Annotated[Identifier, AfterValidator(_visible)]


def _a_wait(given: Any) -> Any:
    """Read ``30s`` or ``30`` as seconds."""
    return given.removesuffix("s") if isinstance(given, str) else given


class Described(Value):
    """A value of the document, which says what its fields are, too."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class StartLoop(Described):
    """Start a loop. Without an `aggregate_id`, the business object gets an id of its own."""

    loop_id: Identifier
    payload: Json = Field(default_factory=dict)
    aggregate_id: Name | None = None
    idempotency_key: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$")] | None = None
    """The same as the header Idempotency-Key, which comes first."""
    correlation_id: Name | None = None
    on_behalf_of: Name | None = None
    """The person behind the service, who may not approve what it asks."""
    metadata: Json = Field(default_factory=dict)
    """Kept with who asked, at most 16 kB."""


class LoopView(Described):
    """A loop instance."""

    instance_id: str
    aggregate_id: str
    loop_id: str
    tenant_id: str
    current_state: str
    status: Status
    context: Json
    definition_version: str
    correlation_id: str
    created_at: Instant
    updated_at: Instant
    closed_at: Instant | None = None
    approval_id: str | None = None
    """The approval request that is open."""
    idempotent: bool | None = None
    """True where an earlier request with the same key had this answer."""


class EffectView(Described):
    """Something a loop asked the world to do, and how far it got."""

    effect_id: str
    kind: str
    state: str
    attempts: int
    error: str | None = None


class LoopDetail(LoopView):
    """A loop instance with what waits in it."""

    evidence: Json
    pending_approvals: tuple["ApprovalView", ...] = ()
    effects: tuple[EffectView, ...] = ()


class LoopPage(Described):
    """A page of loop instances, newest first."""

    loops: tuple[LoopView, ...]
    next_cursor: str | None = None


class LoopsAsked(Described):
    """Which loop instances."""

    loop_id: Identifier | None = None
    state: Identifier | None = None
    status: Status | None = None
    """Without it, those that are open: active and suspended."""
    waiting_for: Identifier | None = None
    """Those whose open approval request this person or group may answer: an id that the policy names now."""
    cursor: str | None = None
    limit: Limit = 50


class CallerActor(Described):
    """
    Who acts. A key is a service: `automation`, or the carrier of an `ai-agent`'s submission. Never a human.

    An ai-agent needs `model_id` and `provider`.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"type": {"const": "ai-agent"}}},
            "then": {"required": ["modelId", "provider"]},
        }
    )

    id: Name
    # Text, so that a human or the system is refused by name, and not as a mistyped word.
    type: Annotated[str, Field(json_schema_extra={"enum": ["automation", "ai-agent"]})]
    display_name: Annotated[str, StringConstraints(max_length=200)] | None = None
    on_behalf_of: Name | None = None
    model_id: Name | None = None
    provider: Name | None = None
    confidence: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    prompt_hash: Annotated[str, StringConstraints(max_length=128)] | None = None
    tools_used: tuple[Annotated[str, StringConstraints(max_length=200)], ...] = ()


class Transition(Described):
    """Move a loop by a signal, or a transition's id."""

    signal_id: Identifier
    actor: CallerActor
    evidence: Json = Field(default_factory=dict)
    correlation_id: Name | None = None


class Moved(Described):
    """The loop moved."""

    aggregate_id: str
    previous_state: str
    current_state: str
    status: Status
    transitioned_at_iso: Instant
    warnings: tuple[Json, ...] = ()
    """Soft guards that objected."""
    approval_id: str | None = None
    """The approval request the loop waits for now."""


class Parked(Described):
    """Nothing moved yet: humans must approve what was asked."""

    aggregate_id: str
    current_state: str
    status: Status
    outcome: Literal["pending_approval"] = "pending_approval"
    approval_id: str


class Cancel(Described):
    """Cancel a loop."""

    reason: Text | None = None


class Standing(Described):
    """How a loop stands."""

    aggregate_id: str
    current_state: str
    status: Status


class RunView(Described):
    """One run of a loop, for audit."""

    contract_version: str = CONTRACT
    loop_run_id: str
    loop_id: str
    aggregate_id: str
    started_at: Instant
    completed_at: Instant | None = None
    terminal_state: str | None = None
    step_count: int
    blocked_count: int
    governed: bool = True
    read_surfaces: Mapping[str, str]


class RunHistory(Described):
    """The ledger of a run, event by event."""

    contract_version: str = CONTRACT
    loop_run_id: str
    events: tuple[Json, ...]


class RunEvidence(Described):
    """The evidence each transition brought."""

    contract_version: str = CONTRACT
    loop_run_id: str
    evidence: tuple[Json, ...]


class RunTimeline(Described):
    """What happened when, in short."""

    contract_version: str = CONTRACT
    loop_run_id: str
    steps: tuple[Json, ...]


class ReplaySummary(Described):
    """Whether the run's ledger holds, and whether judging it again gives the same."""

    contract_version: str = CONTRACT
    loop_run_id: str
    sequence_valid: bool
    first_bad_sequence: int | None = None
    reason: str | None = None
    event_count: int
    head_hash: str
    replayed_steps: int
    first_deviation: int | None = None


class DecisionView(Described):
    """One person's answer."""

    kind: str
    transition_id: str
    person_id: str
    name: str
    on_behalf_of: str | None = None
    """The id of who was away, where it is their part."""
    on_behalf_of_name: str | None = None
    """What people call them."""
    at: Instant
    reason: str | None = None


class ApprovalView(Described):
    """
    An approval request as it stands.

    `digest` covers everything that was shown and is approved; `parameters` are what that is, edits included.
    """

    approval_id: str
    version: int
    status: str
    title: str
    loop_id: str
    aggregate_id: str
    instance_id: str
    state: str
    digest: str
    parameters: Json
    parameters_digest: str
    """SHA-256 over the canonical JSON (RFC 8785) of `parameters`."""
    facts: Mapping[str, str] = Field(default_factory=dict)
    waiting_for: str
    """Who may answer, as the policy stands now: groups and people by name."""
    decisions: tuple[DecisionView, ...] = ()
    decided_by: DecisionView | None = None
    edited: bool = False
    question: str | None = None
    """What an approver wants to know, and nobody has answered yet."""
    created_at: Instant
    expires_at: Instant | None = None
    closed_at: Instant | None = None


class ApprovalPage(Described):
    """A page of open approval requests, newest first."""

    approvals: tuple[ApprovalView, ...]
    next_cursor: str | None = None


class ApprovalsAsked(Described):
    """Which open approval requests."""

    loop_id: Identifier | None = None
    cursor: str | None = None
    limit: Limit = 50


class ApprovalAsked(Described):
    """How long to wait for a decision, such as ``30s``: the answer comes as soon as there is one."""

    wait: Annotated[int, Field(ge=0, le=WAIT_MAX_S), BeforeValidator(_a_wait)] = 0


class ApproversAsked(Described):
    """Who may decide: members of `groups`, and `users` by id."""

    groups: tuple[Identifier, ...] = ()
    users: tuple[Identifier, ...] = ()


class AskApproval(Described):
    """
    Ask humans, without a loop file. What is allowed here stands in the gateway's configuration under `adhoc`.

    `parameters` are what is approved: they are shown, covered by the digest, and given back with the decision. What
    `editable` names approvers may change, by dotted path, as in a loop file's policy.
    """

    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=150)]
    parameters: Json = Field(default_factory=dict)
    facts: Mapping[
        Annotated[str, StringConstraints(min_length=1, max_length=100)],
        Annotated[str, StringConstraints(max_length=2_000)],
    ] = Field(default_factory=dict)
    channel: Identifier | None = None
    approvers: ApproversAsked | None = None
    quorum: Annotated[int, Field(ge=1, le=50)] = 1
    editable: Mapping[str, Json] = Field(default_factory=dict)
    risk: Literal["low", "high"] = "low"
    expires_after: Duration | None = None
    """Such as ``30m``."""
    aggregate_id: Name | None = None
    correlation_id: Name | None = None
    on_behalf_of: Name | None = None
    actor: CallerActor | None = None
    """The ai-agent that asks through this service; without it the service itself does."""


class Withdraw(Described):
    """Take an approval request back."""

    reason: Text | None = None
    actor: CallerActor | None = None


class DefinitionView(Described):
    """A loop that may be started."""

    loop_id: str
    version: str
    name: str
    description: str
    digest: str
    states: tuple[str, ...]
    signals: tuple[str, ...]


class DefinitionPage(Described):
    """Every loop that may be started."""

    definitions: tuple[DefinitionView, ...]


class EventsAsked(Described):
    """Which events: those after a cursor, of one type, of one loop."""

    after: Cursor | None = None
    limit: Limit = 100
    type: Identifier | None = None
    loop_id: Identifier | None = None


class EventsFollowed(Described):
    """Which events to follow. `after` is the same as the header Last-Event-ID, and comes before it."""

    after: Cursor | None = None
    type: Identifier | None = None
    loop_id: Identifier | None = None


class EventPage(Described):
    """
    Events in the order of their commits, each with its `cursor`.

    Go on after `next_cursor`. With `gap`, events after the cursor asked for are no longer kept here: read the ledgers.
    """

    events: tuple[Json, ...]
    next_cursor: str
    gap: bool = False


class Subscribe(Described):
    """Have events sent to `url`: https, to a public address or a network that the configuration names.

    Redirects are not followed."""

    url: Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
    events: Annotated[tuple[EventType, ...], Field(max_length=40)] = ()
    """Of which types; without one, of all."""
    loop_id: Identifier | None = None


class SubscriptionView(Described):
    """
    A subscription, and how its deliveries stand.

    `status` is `active`, `failing` (tried again at `next_attempt_at`) or `disabled`; `error` says why.
    """

    subscription_id: str
    url: str
    events: tuple[EventType, ...]
    loop_id: str | None = None
    created_at: Instant
    status: Literal["active", "failing", "disabled"]
    cursor: str
    """The last event that is dealt with."""
    failures: int
    failing_since: Instant | None = None
    next_attempt_at: Instant | None = None
    disabled_at: Instant | None = None
    error: str | None = None


class SubscriptionMade(SubscriptionView):
    """A subscription with its signing secret, which is not shown again."""

    secret: str


class SubscriptionPage(Described):
    """Every subscription of the tenant, the oldest first."""

    subscriptions: tuple[SubscriptionView, ...]


class ProblemView(Described):
    """Why a call was refused."""

    error: str
    code: str
    fields: Mapping[str, str] = Field(default_factory=dict)
    guard_failures: tuple[Json, ...] = ()
    """Which guards objected."""
    aggregate_id: str | None = None
    """The loop it was about, and how that stands."""
    current_state: str | None = None
    status: Status | None = None
