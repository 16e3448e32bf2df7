"""Events as people read them: one line each, in the thread under a card and in a history. Pure, escaped."""

from collections.abc import Mapping, Sequence
from typing import Any

from channels.slack.course import NO_NAMES, Names
from channels.slack.mrkdwn import exact, inline, quoted
from loops.events import Event
from loops.ports import Loaded

#: `event_type` of the metadata of our replies: how one is found again after a doubtful attempt to post it.
REPLY_TYPE = "loopgate_reply"

NAME_MAX, TEXT_MAX = 80, 300
RUNS_MAX = 5

_KINDS = {
    "card.post": "The card was posted",
    "card.update": "The card was brought up to date",
    "card.thread": "A reply under the card",
    "provider.ask": "The model answered",
}


def told(event: Event, names: Names = NO_NAMES) -> str:
    """
    Return what *event* says in one line of `mrkdwn`; its type where it holds something unexpected.

    *names* are what people are called whom it names by id alone (`loops.naming.names_in`).
    """
    try:
        return _told(event, names)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError):
        return inline(event.type, NAME_MAX).text


def reply_text(event: Event, subject: Loaded, names: Names = NO_NAMES) -> str:
    """Return what the thread says of *event*: the line, and what it set going; *names* as for `told`."""
    line, request = told(event, names), subject.request
    if event.type != "approval.decision.recorded" or not event.data.get("complete") or request is None:
        return line
    decision = event.data.get("decision")
    runs = request.proposal.runs
    if not runs or not isinstance(decision, dict) or decision.get("kind") != "approve":
        return line
    named = [f"{_name(run.integration)}: {_name(run.action)}" for run in runs[:RUNS_MAX]]
    if left := len(runs) - len(named):
        named.append(f"{left} more")
    return f"{line}\n⚙️ Now executing {', '.join(named)}"


def _told(event: Event, names: Names) -> str:
    data = event.data
    match event.type:
        case "loop.started":
            return f"▶️ {_who(data['actor'])} started it, in {_name(data['initialState'])}"
        case "loop.signal.received":
            return f"📨 {_who(data['actor'])} sent {_name(data['signal'])}"
        case "loop.transition.requested":
            return f"➡️ {_who(data['actor'])} asked for {_name(data['transitionId'])}"
        case "loop.transition.executed":
            return f"✔️ {_name(data['fromState'])} → {_name(data['toState'])}, by {_who(data['actor'])}"
        case "loop.guard.failed":
            return f"⚠️ Check {_name(data['guardId'])} objected: {_text(data['message'])}"
        case "loop.transition.blocked":
            objections = "; ".join(str(each.get("message") or each["guardId"]) for each in data["guardFailures"])
            return f"🛑 {_name(data['transitionId'])} was blocked: {_text(objections)}"
        case "loop.transition.refused":
            return f"🛑 {_who(data['actor'])} was refused: {_text(data['message'])}"
        case "approval.requested":
            return f"🙋 People were asked ({_name(data['requestId'])})"
        case "approval.card.posted":
            return "💬 The card was posted"
        case "approval.decision.unconfirmed":
            by = f" of {_who(data['claimedBy'])}" if data.get("claimedBy") else ""
            return f"⏳ An answer{by} waits until Slack has said who gave it"
        case "approval.decision.recorded":
            return _decision(data)
        case "approval.decision.refused":
            by = f" of {_who(data['by'])}" if data.get("by") else ""
            return f"⛔ An answer{by} was refused: {_text(data['message'])}"
        case "approval.edited":
            changes = "; ".join(_change(each) for each in data["changes"])
            voided = " Earlier approvals no longer count." if data.get("voided") else ""
            return f"✏️ {_who(data['by'])} edited the proposal: {changes}.{voided}"
        case "approval.question.asked":
            return f"❓ {_who(data['actor'])} asks: {_text(data['text'])}"
        case "approval.question.answered":
            return f"💡 {_who(data['actor'])} answers: {_text(data['answer'])}"
        case "approval.reassigned":
            giver, taker = _person(data["fromPerson"], names), _person(data["toPerson"], names)
            return f"🤝 {giver} handed their part to {taker}{_because(data)}"
        case "approval.snoozed":
            return f"💤 {_who(data['actor'])} asked to be reminded later"
        case "approval.details.requested":
            return f"📎 {_who(data['actor'])} asked for a copy of version {_name(data['requestVersion'])}"
        case "approval.reminded":
            return _reminded(data, names)
        case "approval.escalated":
            return _escalated(data, names)
        case "approval.closed":
            return _closed(data)
        case "effect.succeeded" | "effect.failed":
            return _effect(event)
        case "effect.retried":
            return f"🔁 {_who(data['actor'])} has {_run(data)} tried again"
        case "effect.abandoned":
            return f"⏹️ {_who(data['actor'])} abandoned {_run(data)}{_because(data)}"
        case "effect.cancelled":
            return f"⏹️ {_run(data)} was not carried out, as the loop was {_name(data['status'])} before"
        case "effect.retry.refused":
            by = f" of {_who(data['by'])}" if data.get("by") else ""
            return f"⛔ A retry{by} was refused: {_text(data['message'])}"
        case "loop.completed":
            return f"🏁 Completed in {_name(data['finalState'])}"
        case "loop.cancelled":
            return f"🚫 {_who(data['actor'])} cancelled the loop{_because(data)}"
        case "loop.failed":
            return f"❌ The loop failed: {_text(data['error']['message'])}"
        case "loop.suspended":
            return f"⏸️ {_who(data['actor'])} suspended the loop{_because(data)}"
        case "loop.resumed":
            return f"⏯️ {_who(data['actor'])} resumed the loop"
        case "loop.learning.recorded":
            return "📈 What was learned was recorded"


def _decision(data: Mapping[str, Any]) -> str:
    decision = data["decision"]
    words = {"approve": "✅ {} approved", "reject": "⛔ {} rejected"}
    other = "☑️ {} answered " + _name(decision["transitionId"])
    said = words.get(decision["kind"], other).format(_who(decision["by"]) + _for(decision))
    needed: Sequence[int] | None = data.get("needed")
    progress = f" ({sum(data['filled'])} of {sum(needed)})" if needed else ""
    return f"{said}{progress}{_because(decision)}"


def _for(decision: Mapping[str, Any]) -> str:
    absent = decision.get("onBehalfOf")
    return f" for *{_name(absent['name'])}*" if absent else ""


def _closed(data: Mapping[str, Any]) -> str:
    by = f" by {_who(data['actor'])}" if data.get("actor") else ""
    icon = {"approved": "✅", "rejected": "⛔", "expired": "⌛", "superseded": "↪️", "withdrawn": "↩️"}.get(
        str(data["status"]), "☑️"
    )
    why = "; nobody decided in time, so nothing was approved" if data["status"] == "expired" else ""
    return f"{icon} The request was closed as {_name(data['status'])}{by}{why}{_because(data)}"


def _reminded(data: Mapping[str, Any], names: Names) -> str:
    if data.get("person"):
        return f"⏰ {_person(data['person'], names)} was reminded, as they had asked"
    # Whom it waits for is said below, by those who mention them (`channel.reply`).
    return f"⏰ This still waits for a decision (reminder {int(data['number'])} of {int(data['of'])})"


def _escalated(data: Mapping[str, Any], names: Names) -> str:
    groups, people = data.get("groups", ()), data.get("onCall", ())
    added = [*map(_name, groups), *(_person(each, names) for each in people)]
    more = f"; {', '.join(added)} may decide it too from now on" if added else ""
    where = f" in {_name(data['channel'])}" if data.get("channel") else ""
    return f"📣 Nobody decided, so it was escalated{where}{more}"


def _effect(event: Event) -> str:
    data = event.data
    succeeded = event.type == "effect.succeeded"
    if data["kind"] == "integration.run":
        run = f"{_name(data['integration'])}: {_name(data['action'])}"
        if succeeded:
            return f"🚀 {run} was carried out"
        detail = data.get("detail") or {}
        error = next((detail[key] for key in ("error", "message") if isinstance(detail.get(key), str)), None)
        return f"❌ {run} failed{f': {_text(error)}' if error else ''}"
    said = _KINDS.get(data["kind"], _name(data["kind"]))
    return said if succeeded else f"⚠️ {_name(data['kind'])} failed"


def _change(change: Mapping[str, Any]) -> str:
    return f"{_name(change['path'])} from {_value(change.get('old'))} to {_value(change.get('new'))}"


def _run(data: Mapping[str, Any]) -> str:
    if "integration" in data:
        return f"{_name(data['integration'])}: {_name(data['action'])}"
    return _name(data["kind"])


def _because(data: Mapping[str, Any]) -> str:
    reason = data.get("reason")
    return f": {_text(reason)}" if reason else ""


def _who(actor: Mapping[str, Any]) -> str:
    kind = {"ai-agent": " (AI)", "automation": " (service)"}.get(str(actor["type"]), "")
    return f"*{_name(actor.get('displayName') or actor['id'])}*{kind}"


def _person(person_id: Any, names: Names) -> str:
    return f"*{_name(names.get(str(person_id), person_id))}*"


def _name(value: Any) -> str:
    return inline(str(value), NAME_MAX).text


def _text(value: Any) -> str:
    return quoted(str(value), TEXT_MAX)


def _value(value: Any) -> str:
    return quoted(value, TEXT_MAX) if isinstance(value, str) else inline(exact(value), TEXT_MAX).text
