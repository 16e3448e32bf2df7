"""A ledger in plain words, for the page: what happened, who did it, and how it turned out."""

from collections.abc import Mapping
from typing import Any, Literal

from gateway.audit import AuditedLedger
from loops.approvals import ApprovalRequest
from loops.definition import LoopDefinition
from loops.events import Event
from loops.instance import LoopInstance
from loops.ledger import Broken, Verified

#: How a line looks: a step of the story, something good, something refused, or a detail between steps.
Tone = Literal["step", "good", "bad", "quiet"]

#: Hex digits of a hash that are shown.
HASH_SHOWN = 8


def ledger_json(audited: AuditedLedger, definition: LoopDefinition, request: ApprovalRequest | None) -> dict[str, Any]:
    """Return one instance's ledger for the page; *request* is its latest approval request."""
    instance = audited.instance
    state = definition.state(instance.state)
    waits = request is not None and request.is_open and not instance.is_closed
    return {
        "instanceId": instance.instance_id,
        "aggregateId": instance.aggregate_id,
        "loop": definition.name,
        "title": request.title if request else str(instance.data.get("summary", instance.aggregate_id)),
        "state": state.label,
        "tone": _standing(instance, request, is_error=state.is_error, waits=waits),
        "isOver": instance.is_closed,
        "waitsFor": request.policy.named() if request and waits else "",
        "isDecided": any(event.type == "approval.decision.recorded" for event in audited.events),
        "startedAt": instance.started_at.isoformat(),
        "chain": _chain(audited.verdict),
        "assessment": _assessment(audited.events),
        "events": [_line(event, definition) for event in audited.events],
    }


def _standing(instance: LoopInstance, request: ApprovalRequest | None, *, is_error: bool, waits: bool) -> str:
    if is_error or instance.status in {"failed", "cancelled"}:
        return "bad"
    if waits:
        return "waiting"
    if not instance.is_closed:
        return "moving"
    return "good" if request is None or request.status == "approved" else "bad"


def _chain(verdict: Verified | Broken) -> dict[str, Any]:
    match verdict:
        case Verified(head=head):
            return {"verified": True, "events": head.sequence, "head": _short(head.hash)}
        case Broken(sequence=sequence, reason=reason):
            return {"verified": False, "at": sequence, "reason": reason}


def _assessment(events: tuple[Event, ...]) -> dict[str, Any] | None:
    for event in reversed(events):
        actor = event.data.get("actor") or {}
        if event.type == "loop.transition.executed" and actor.get("type") == "ai-agent":
            return {key: actor.get(key) for key in ("modelId", "provider", "confidence")}
    return None


def _line(event: Event, definition: LoopDefinition) -> dict[str, Any]:
    tone, text, detail = _words(event, definition)
    return {
        "sequence": event.sequence,
        "type": event.type,
        "at": event.occurred_at.isoformat(),
        "tone": tone,
        "text": text,
        "detail": detail,
        "actor": _actor(event.data),
        "hash": _short(event.hash),
    }


def _words(event: Event, definition: LoopDefinition) -> tuple[Tone, str, str]:
    data = event.data
    match event.type:
        case "loop.started":
            return _proposed(data)
        case "loop.transition.executed":
            return _moved(data, definition)
        case "loop.transition.blocked":
            return "bad", f"Blocked: {data['transitionId']}", _each(data["guardFailures"], "message")
        case "loop.transition.refused":
            return "bad", f"Refused: {data['name']}", str(data["message"])
        case "loop.guard.failed":
            return "quiet", f"Guard {data['guardId']} objects", str(data["message"])
        case "approval.requested":
            return "step", "A human must decide", _policy(data["policy"])
        case "approval.card.posted":
            return "quiet", "Card posted in Slack", ""
        case "approval.decision.refused":
            by = data.get("by")
            return "bad", f"Refused: {_name(by) if by else 'somebody Loopgate does not know'}", str(data["message"])
        case "approval.decision.unconfirmed":
            by = data.get("claimedBy")
            return (
                "quiet",
                f"Checking who answered{f': {_name(by)}?' if by else ''}",
                "nothing counts before Slack says",
            )
        case "approval.decision.recorded":
            return _decision(data["decision"])
        case "effect.succeeded" | "effect.failed":
            return _effect(event.type == "effect.succeeded", data)
        case "effect.retried":
            return "step", f"{_name(data['actor'])} has it tried again", f"{data.get('integration') or data['kind']}"
        case "effect.abandoned":
            what = f"{data.get('integration') or data['kind']}"
            return "bad", f"{_name(data['actor'])} abandoned {what}", str(data["reason"])
        case "effect.cancelled":
            return (
                "quiet",
                f"Not carried out: {data.get('integration') or data['kind']}",
                f"the loop was {data['status']}",
            )
        case "effect.retry.refused":
            return "bad", "Refused: trying again", str(data["message"])
        case "loop.completed":
            label = definition.state(data["finalState"]).label
            return "step", f"Ended: {label}", f"{data['durationMs'] / 1000:.1f} s from proposal to end"
        case "loop.learning.recorded":
            return "quiet", "Learning signal recorded", f"{data['transitionCount']} transitions"
        case "loop.cancelled":
            return "bad", "Cancelled", str(data.get("reason", ""))
        case "loop.failed":
            return "bad", "Failed", str(data["error"]["message"])
        case "loop.transition.requested":
            return "quiet", f"Asked: {data['transitionId']}", ""
        case "approval.closed":
            return "quiet", f"Request closed: {data['status']}", ""
        case "loop.signal.received":
            return "quiet", f"Signal {data['signal']}", ""
        case "loop.suspended":
            return "bad", "Suspended", str(data.get("reason", ""))
        case "loop.resumed":
            return "step", "Resumed", ""
        case "approval.edited":
            return "step", f"Edited by {_name(data['by'])}", ", ".join(change["path"] for change in data["changes"])
        case "approval.question.asked":
            return "step", f"{_name(data['actor'])} asks", str(data["text"])
        case "approval.question.answered":
            return "step", "Answered", str(data["answer"])
        case "approval.reassigned":
            return "quiet", "Reassigned", f"{data['fromPerson']} to {data['toPerson']}"
        case "approval.snoozed":
            return "quiet", f"{_name(data['actor'])} will be reminded", f"at {data['until']}"
        case "approval.details.requested":
            return "quiet", f"{_name(data['actor'])} asked for a copy of it", f"version {data['requestVersion']}"
        case "approval.reminded":
            return "quiet", "Reminded", str(data.get("person") or f"{data['number']} of {data['of']}")
        case "approval.escalated":
            added = ", ".join((*data.get("groups", ()), *data.get("onCall", ())))
            return "step", "Escalated: nobody decided", added or str(data.get("channel", ""))


def _moved(data: Mapping[str, Any], definition: LoopDefinition) -> tuple[Tone, str, str]:
    actor, to = data["actor"], definition.state(data["toState"])
    guards = data.get("guards", [])
    passed = sum(1 for guard in guards if guard["passed"])
    judged = f"{passed} of {len(guards)} guards passed" if guards else ""
    if actor["type"] == "ai-agent":
        sure = f"confidence {actor['confidence']:.0%}".replace("%", " %") if actor.get("confidence") is not None else ""
        return "step", f"Assessed by {_name(actor)}", ", ".join(part for part in (sure, judged) if part)
    if to.is_terminal:
        return "quiet", f"Now: {to.label}", judged
    return "step", f"Now: {to.label}", judged


def _effect(succeeded: bool, data: Mapping[str, Any]) -> tuple[Tone, str, str]:
    detail = data.get("detail") or {}
    if data["kind"] == "integration.run":
        what = f"{data['integration']}: {data['action']}"
        body = detail.get("body")
        said = body.get("done", "") if isinstance(body, Mapping) else ""
        return ("good", f"{what} done", str(said)) if succeeded else ("bad", f"{what} failed", str(detail.get("error")))
    if succeeded:
        return "quiet", "Submission received", ""
    return "bad", "No submission", str(detail.get("error", ""))


def _policy(policy: Mapping[str, Any]) -> str:
    approvers = policy.get("approvers", {})
    who = ", ".join([*approvers.get("groups", ()), *approvers.get("users", ())])
    roles = {"requester": "who asked", "submitter": "who proposed"}
    apart = " or ".join(roles[role] for role in policy.get("separation", ()))
    return f"one of {who}" + (f"; never {apart}" if apart else "") if who else ""


def _decision(decision: Mapping[str, Any]) -> tuple[Tone, str, str]:
    did = {"approve": "approved", "reject": "rejected"}.get(decision["kind"], "answered")
    reason = decision.get("reason")
    said = f"“{reason}”" if reason else f"in Slack, as {decision['channel'].get('slackUserId', 'a verified user')}"
    return ("bad" if decision["kind"] == "reject" else "good"), f"{_name(decision['by'])} {did}", said


def _actor(data: Mapping[str, Any]) -> dict[str, str] | None:
    actor = data.get("actor") or (data.get("decision") or {}).get("by") or data.get("by")
    return {"name": _name(actor), "type": actor["type"]} if actor else None


def _proposed(data: Mapping[str, Any]) -> tuple[Tone, str, str]:
    actor = data["actor"]
    behind = actor.get("onBehalfOf")
    via = f"signed webhook from {_name(actor)}" + (f", on behalf of {behind}" if behind else "")
    return "step", f"{data['data'].get('agent') or _name(actor)} proposes", via


def _name(actor: Mapping[str, Any]) -> str:
    return str(actor.get("displayName") or actor["id"])


def _each(things: list[dict[str, Any]], key: str) -> str:
    return "; ".join(str(thing.get(key) or thing) for thing in things)


def _short(digest: str) -> str:
    return digest.rpartition(":")[2][:HASH_SHOWN]
