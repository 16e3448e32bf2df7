"""The API's table: every endpoint there is."""

from collections.abc import Iterable

from gateway.api.approvals import Approvals
from gateway.api.endpoint import Endpoint, Handler, Method
from gateway.api.events import Events
from gateway.api.keys import Scope
from gateway.api.loops import Loops
from gateway.api.models import (
    ApprovalAsked,
    ApprovalPage,
    ApprovalsAsked,
    ApprovalView,
    AskApproval,
    Cancel,
    DefinitionPage,
    DefinitionView,
    EventPage,
    EventsAsked,
    EventsFollowed,
    LoopDetail,
    LoopPage,
    LoopsAsked,
    LoopView,
    Moved,
    Parked,
    ReplaySummary,
    RunEvidence,
    RunHistory,
    RunTimeline,
    RunView,
    Standing,
    StartLoop,
    Subscribe,
    SubscriptionMade,
    SubscriptionPage,
    SubscriptionView,
    Transition,
    Withdraw,
)
from gateway.api.runs import Runs
from gateway.api.subscriptions import Subscriptions
from loops.values import Value

#: Where the API lives.
BASE = "/api/v1"

_READ: tuple[Scope, ...] = ("events:read", "loops:write", "approvals:request")
_STARTED_NOT = {404: ("unknown_loop",), 409: ("already_active",), 422: ("bad_evidence", "idempotency_key_reused")}
_NO_LOOP = {404: ("unknown_instance",), 410: ("archived",)}
_CLOSED = {404: ("unknown_instance",), 409: ("loop_closed",), 422: ("idempotency_key_reused",)}
_MOVED_NOT = {
    403: ("unauthorized_actor", "human_actor_forbidden", "system_actor_forbidden"),
    404: ("unknown_instance",),
    409: ("guard_failed", "invalid_transition", "loop_closed", "approval_required", "approval_pending"),
    422: ("bad_evidence", "idempotency_key_reused"),
}
_BROKEN = {404: ("unknown_instance",), 409: ("ledger_broken",)}
_ASKED_NOT = {
    403: ("adhoc_not_allowed", "human_actor_forbidden", "system_actor_forbidden"),
    409: ("already_active",),
    422: ("unmanned", "bad_evidence", "idempotency_key_reused"),
}
_WITHDRAWN_NOT = {403: ("not_the_requester",), 404: ("unknown_request",), 409: ("request_closed",)}


def endpoints(
    loops: Loops, approvals: Approvals, runs: Runs, events: Events, subscriptions: Subscriptions
) -> tuple[Endpoint, ...]:
    """Return the table. Paths that end in a name of any length come after those that say more."""
    return (
        *_of_loops(loops),
        *_of_approvals(approvals),
        *_of_runs(runs),
        *_of_events(events),
        *_of_subscriptions(subscriptions),
    )


def _of_loops(loops: Loops) -> Iterable[Endpoint]:
    one = f"{BASE}/loops/{{aggregate_id:path}}"
    write: tuple[Scope, ...] = ("loops:write",)
    yield Endpoint(
        "POST", f"{BASE}/loops", "Start a loop", write, loops.start_loop,
        {201: LoopView, 200: LoopView}, body=StartLoop, refusals=_STARTED_NOT, opens_work=True,
    )  # fmt: skip
    yield Endpoint(
        "POST", f"{one}/start", "Begin a loop that was made", write, loops.begin_loop,
        {200: Standing}, refusals={404: ("unknown_instance",), 409: ("already_started",)},
    )  # fmt: skip
    yield Endpoint(
        "POST", f"{one}/transition", "Move a loop", write, loops.transition_loop,
        {200: Moved, 202: Parked}, body=Transition, refusals=_MOVED_NOT,
    )  # fmt: skip
    yield Endpoint(
        "POST", f"{one}/cancel", "Cancel a loop", write, loops.cancel_loop,
        {200: Standing}, body=Cancel, refusals=_CLOSED,
    )  # fmt: skip
    yield Endpoint(
        "GET", f"{BASE}/loops", "List loop instances", _READ, loops.list_loops, {200: LoopPage}, query=LoopsAsked
    )
    yield Endpoint("GET", one, "Show a loop instance", _READ, loops.get_loop, {200: LoopDetail}, refusals=_NO_LOOP)
    yield Endpoint(
        "GET", f"{BASE}/definitions", "List the loops that may be started", _READ, loops.list_definitions,
        {200: DefinitionPage}, tag="definitions",
    )  # fmt: skip
    yield Endpoint(
        "GET", f"{BASE}/definitions/{{loop_id}}", "Show a loop that may be started", _READ, loops.get_definition,
        {200: DefinitionView}, refusals={404: ("unknown_loop",)}, tag="definitions",
    )  # fmt: skip


def _of_approvals(approvals: Approvals) -> Iterable[Endpoint]:
    one = f"{BASE}/approvals/{{approval_id}}"
    ask: tuple[Scope, ...] = ("approvals:request",)
    yield Endpoint(
        "POST", f"{BASE}/approvals", "Ask humans without a loop file", ask, approvals.ask_approval,
        {201: ApprovalView, 200: ApprovalView}, body=AskApproval, refusals=_ASKED_NOT, tag="approvals", opens_work=True,
    )  # fmt: skip
    yield Endpoint(
        "GET", f"{BASE}/approvals", "List open approval requests", _READ, approvals.list_approvals,
        {200: ApprovalPage}, query=ApprovalsAsked, tag="approvals",
    )  # fmt: skip
    yield Endpoint(
        "GET", one, "Show an approval request, or wait for its decision", _READ, approvals.get_approval,
        {200: ApprovalView}, query=ApprovalAsked, tag="approvals",
        refusals={404: ("unknown_request",), 429: ("too_many_waits",)},
    )  # fmt: skip
    yield Endpoint(
        "POST", f"{one}/withdraw", "Take an approval request back", ask, approvals.withdraw_approval,
        {200: ApprovalView}, body=Withdraw, refusals=_WITHDRAWN_NOT, tag="approvals",
    )  # fmt: skip


def _of_runs(runs: Runs) -> Iterable[Endpoint]:
    one = f"{BASE}/runs/{{run_id:path}}"
    read: tuple[Scope, ...] = ("events:read",)
    for path, summary, handle, model in (
        (f"{one}/history", "Show the ledger of a run", runs.get_run_history, RunHistory),
        (f"{one}/evidence", "Show the evidence of a run", runs.get_run_evidence, RunEvidence),
        (f"{one}/timeline", "Show what happened when", runs.get_run_timeline, RunTimeline),
        (f"{one}/replay-summary", "Verify and replay a run", runs.get_run_replay_summary, ReplaySummary),
        (one, "Show a run in short", runs.get_run, RunView),
    ):
        yield Endpoint("GET", path, summary, read, handle, {200: model}, refusals=_BROKEN, tag="runs")
    yield Endpoint(
        "GET", f"{BASE}/audit/{{run_id:path}}", "Export a ledger to be verified offline", read, runs.export_audit,
        {200: "application/x-ndjson"}, refusals=_BROKEN, tag="runs",
    )  # fmt: skip


def _of_events(events: Events) -> Iterable[Endpoint]:
    read: tuple[Scope, ...] = ("events:read",)
    yield Endpoint(
        "GET", f"{BASE}/events", "List events after a cursor", read, events.list_events,
        {200: EventPage}, query=EventsAsked, tag="events",
    )  # fmt: skip
    yield Endpoint(
        "GET", f"{BASE}/events/stream", "Follow events as they are committed", read, events.follow_events,
        {200: "text/event-stream"}, query=EventsFollowed, refusals={429: ("too_many_streams",)}, tag="events",
    )  # fmt: skip


def _of_subscriptions(subscriptions: Subscriptions) -> Iterable[Endpoint]:
    one = f"{BASE}/subscriptions/{{subscription_id}}"
    admin: tuple[Scope, ...] = ("admin",)
    none_such = {404: ("unknown_subscription",)}
    yield Endpoint(
        "POST", f"{BASE}/subscriptions", "Have events sent to you", admin, subscriptions.subscribe,
        {201: SubscriptionMade, 200: SubscriptionMade}, body=Subscribe, tag="subscriptions",
        refusals={409: ("too_many_subscriptions",), 422: ("idempotency_key_reused",)},
    )  # fmt: skip
    yield Endpoint(
        "GET", f"{BASE}/subscriptions", "List subscriptions", admin, subscriptions.list_subscriptions,
        {200: SubscriptionPage}, tag="subscriptions",
    )  # fmt: skip
    rows: tuple[tuple[Method, str, str, Handler, type[Value]], ...] = (
        ("POST", f"{one}/rotate", "Change the signing secret", subscriptions.rotate_subscription, SubscriptionMade),
        ("POST", f"{one}/enable", "Go on with deliveries", subscriptions.enable_subscription, SubscriptionView),
        ("GET", one, "Show a subscription", subscriptions.get_subscription, SubscriptionView),
        ("DELETE", one, "Remove a subscription", subscriptions.unsubscribe, SubscriptionView),
    )
    for method, path, summary, handle, model in rows:
        yield Endpoint(method, path, summary, admin, handle, {200: model}, refusals=none_such, tag="subscriptions")
