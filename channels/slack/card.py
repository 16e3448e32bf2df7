"""
The card: an approval request as one Slack message, drawn from the ledger's values alone.

Pure. Whatever the request holds, the message is within Slack's limits: each part has a budget, what does not fit is
counted on the card and complete under Details. Everything that is not ours is escaped and neutral (see `mrkdwn`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from channels.slack import blocks as b
from channels.slack import wording
from channels.slack.blocks import Block
from channels.slack.buttons import buttons
from channels.slack.course import (
    NAME_MAX,
    NO_NAMES,
    Names,
    counted,
    decider,
    handovers,
    is_shared,
    name_of,
    named,
    not_counted,
    questions,
    standing,
    versions,
)
from channels.slack.faces import OPEN, Face, face_of
from channels.slack.limits import MESSAGE_BLOCK_TEXT_MAX, SECTION_FIELDS_MAX
from channels.slack.mrkdwn import code, inline, one_line, quoted, size, when
from channels.slack.quoting import shortened
from channels.slack.runs import outcome, planned
from channels.slack.shortening import TITLE_MAX, approvers, chosen, parameters_size, short_digest, summary
from loops.approvals import ApprovalRequest, Ending, Recommendation
from loops.errors import Rejected
from loops.guards import GuardVerdict
from loops.ports import Loaded
from loops.timeline import ahead

#: `event_type` of our message metadata: how a card is found again after a doubtful attempt to post it.
EVENT_TYPE = "loopgate_card"

# The budget of each part, in units of `mrkdwn.size`. Facts and what a model wrote share what the rest leaves.
FACTS_MAX, FACT_LABEL_MAX, FACT_VALUE_MAX, FACT_COUNT_MAX = 2_400, 80, 300, 2 * SECTION_FIELDS_MAX
REASONING_MAX, REASONING_MIN = 1_800, 200
#: What the head of a recommendation and its last line take beside the quote; what all of it stays below the limit.
RECOMMENDATION_HEAD_MAX, MARGIN = 450, 150
REASON_MAX = 700
VERDICTS_MAX, VERDICT_MAX = 8, 110
ENDING_REASON_MAX = 700


@dataclass(frozen=True, slots=True)
class SlackMessage:
    """What `chat.postMessage` and `chat.update` take: the notification's `text`, the blocks, metadata for a post."""

    text: str
    blocks: list[Block]
    metadata: dict[str, Any] | None = None


def render(subject: Loaded, *, effect_id: str | None = None, names: Names = NO_NAMES) -> SlackMessage:
    """
    Return the card of *subject*'s request; with *effect_id*, carrying the metadata it is found again by.

    *names* are what those whom the policy names are called, by id.

    Raises:
        Rejected: If *subject* has no request.
    """
    request = subject.request
    if request is None:
        raise Rejected(f"instance {subject.instance.instance_id} has no approval request to show")
    face = face_of(subject, request)
    return SlackMessage(
        text=summary(subject, request),
        blocks=_blocks(subject, request, face, names),
        metadata={"event_type": EVENT_TYPE, "event_payload": {"effect_id": effect_id, "request_id": request.request_id}}
        if effect_id
        else None,
    )


def _blocks(subject: Loaded, request: ApprovalRequest, face: Face, names: Names) -> list[Block]:
    above = [
        b.header(request.title),
        b.section(_status(request, face, names)),
        b.context(_origin(request)),
        *_parked(subject, request),
        *_decision(request),
        *(() if face in OPEN else outcome(subject, request)),
        *questions(request, is_open=face in OPEN),
        *versions(request),
    ]
    below = [
        *(_verdicts(request.verdicts) if face in OPEN else ()),
        *planned(request, face),
        *_rules(subject, request, face, names),
        *buttons(subject, request, face),
    ]
    room = MESSAGE_BLOCK_TEXT_MAX - MARGIN - text_size([*above, *below])
    said = request.recommendation if face in OPEN else None
    facts = list(_facts(request, min(FACTS_MAX, room - (RECOMMENDATION_HEAD_MAX + REASONING_MIN if said else 0))))
    quoted = list(_recommendation(said, room - text_size(facts) - RECOMMENDATION_HEAD_MAX)) if said else []
    return [*above, *facts, *quoted, *below]


def text_size(value: Any) -> int:
    """Return the units of all text in blocks, button labels and what menus hold included."""
    if isinstance(value, list):
        return sum(map(text_size, value))
    if not isinstance(value, dict):
        return 0
    own = size(value["text"]) if value.get("type") in {"mrkdwn", "plain_text"} else 0
    return own + sum(map(text_size, value.values()))


def _ahead(subject: Loaded, request: ApprovalRequest) -> Iterator[str]:
    """Yield what happens next while nobody decides, in the order of time."""
    policy = request.proposal.policy
    for moment in ahead(request):
        match moment.kind:
            case "remind":
                yield wording.next_reminder(when(moment.at))
            case "escalate":
                step = policy.escalate[moment.number]
                added = [*step.groups, *([wording.on_call(step.on_call)] if step.on_call else [])]
                where = inline(step.channel, NAME_MAX).text if step.channel else None
                yield wording.next_escalation(where, inline(", ".join(added), NAME_MAX).text, when(moment.at))
            case "expire":
                name = policy.on_expiry
                taken = subject.definition.exit_named(request.proposal.state, name) if name else None
                state = subject.definition.state(taken.to).label if taken else None
                yield wording.at_expiry(inline(state, NAME_MAX).text if state else None)
            case "snooze":
                pass  # one person's own affair


def _rules(subject: Loaded, request: ApprovalRequest, face: Face, names: Names) -> Iterator[Block]:
    yield from handovers(request, names)
    if face in OPEN:
        policy = request.policy
        quorum = None if policy.stages else policy.quorum
        yield b.context(wording.who_may_decide(approvers(request, names), quorum, policy.separation))
        if coming := " · ".join(_ahead(subject, request)):
            yield b.context(coming)
    digest = code(inline(short_digest(request.digest), NAME_MAX).text)
    yield b.context(wording.fingerprint(inline(request.request_id, 200).text, digest, parameters_size(request)))


def _status(request: ApprovalRequest, face: Face, names: Names) -> str:
    decision = request.closed_by
    lines = [wording.headline(face, chosen=chosen(request))]
    if size(one_line(request.title)) > TITLE_MAX // 2:
        lines.insert(0, f"*{inline(request.title, TITLE_MAX).text}*")
    if decision:
        lines.append(wording.decided_by(decider(decision), when(decision.at)))
    elif request.closed_at:
        lines[-1] += f", {when(request.closed_at)}"
    lines.extend(_ending(request.ending, face))
    if face in OPEN:
        parts = [standing(request, names)] if is_shared(request) else []
        if request.expires_at:
            parts.append(wording.decide_by(when(request.expires_at)))
        lines.append(" · ".join(parts))
        if approved := counted(request):
            lines.append(wording.so_far(named(approved)))
        lines.extend(not_counted(request))
    elif len(request.approvals) > 1:
        lines.append(wording.all_approved(named(request.approvals)))
    lines.append(wording.MEANING[face])
    return "\n".join(line for line in lines if line)


def _ending(ending: Ending | None, face: Face) -> Iterator[str]:
    if ending is None or ending.by is None:
        return
    name, kind = name_of(ending.by), ending.by.type
    if ending.instead:
        state = inline(ending.state or "", NAME_MAX).text
        yield wording.superseded_by(name, kind, inline(ending.instead, NAME_MAX).text, state)
    else:
        yield wording.ended_by(face, name, kind)


def _origin(request: ApprovalRequest) -> str:
    proposal = request.proposal
    parts = [inline(request.loop_name, NAME_MAX).text, code(inline(request.aggregate_id, NAME_MAX).text)]
    parts.append(wording.asked_by(name_of(proposal.requester), proposal.requester.type))
    if proposal.submitter and proposal.submitter.id != proposal.requester.id:
        parts.append(wording.proposed_by(name_of(proposal.submitter), proposal.submitter.type))
    return " · ".join(parts)


def _parked(subject: Loaded, request: ApprovalRequest) -> Iterator[Block]:
    parked = request.proposal.parked
    if parked is None:
        return
    name = code(inline(parked.transition_id, NAME_MAX).text)
    transition = subject.definition.exit_named(request.proposal.state, parked.transition_id)
    if transition and transition.label:
        name = f"*{inline(transition.label, NAME_MAX).text}* ({name})"
    state = inline(request.proposal.state, NAME_MAX).text
    yield b.section(wording.parked(name_of(parked.actor), parked.actor.type, name, state))


def _decision(request: ApprovalRequest) -> Iterator[Block]:
    given = [decision for decision in request.decisions if decision.reason]
    latest = request.closed_by if request.closed_by and request.closed_by.reason else (given[-1] if given else None)
    if latest and latest.reason:
        yield b.section(_quoted(wording.REASON_GIVEN, latest.reason, REASON_MAX))
    if not request.is_open and request.ending and request.ending.reason:
        yield b.section(_quoted(wording.REASON_GIVEN, request.ending.reason, ENDING_REASON_MAX))


def _facts(request: ApprovalRequest, room: int) -> Iterator[Block]:
    texts: list[str] = []
    for fact in request.facts[:FACT_COUNT_MAX]:
        value = inline(fact.value, FACT_VALUE_MAX)
        more = f" {wording.more_characters(value.left)}" if value.left else ""
        text = f"*{inline(fact.label, FACT_LABEL_MAX).text}*\n{value.text}{more}"
        if size(text) > room:
            break
        room -= size(text)
        texts.append(text)
    if texts:
        yield b.context(wording.FACTS)
    for start in range(0, len(texts), SECTION_FIELDS_MAX):
        yield b.fields(texts[start : start + SECTION_FIELDS_MAX])
    if left := len(request.facts) - len(texts):
        yield b.context(wording.more_items(left, "fact"))


def _recommendation(said: Recommendation, room: int) -> Iterator[Block]:
    head = wording.recommendation(
        inline(said.signal.replace("_", " ").replace("-", " "), NAME_MAX).text,
        code(inline(said.model_id, NAME_MAX).text),
        code(inline(said.provider, NAME_MAX).text),
        wording.confidence(said.confidence) if said.confidence is not None else None,
    )
    yield b.section(_quoted(head, said.reasoning, max(REASONING_MIN, min(REASONING_MAX, room))))


def _quoted(head: str, text: str, maximum: int) -> str:
    return f"{head}\n{shortened(text, maximum)}"


def _verdicts(verdicts: Sequence[GuardVerdict]) -> Iterator[Block]:
    if not verdicts:
        return
    # Objections first: they must not be the ones that do not fit.
    ordered = sorted(verdicts, key=lambda verdict: (verdict.passed, verdict.severity == "soft"))
    lines = [wording.CHECKS, *(_verdict(verdict) for verdict in ordered[:VERDICTS_MAX])]
    if left := len(ordered) - VERDICTS_MAX:
        lines += [wording.more_items(left, "check")] if left > 0 else []
    yield b.context("\n".join(lines))


def _verdict(verdict: GuardVerdict) -> str:
    guard = inline(verdict.guard_id, NAME_MAX).text
    if verdict.passed:
        return wording.guard_passed(guard)
    message = quoted(verdict.message or verdict.code or "no reason given", VERDICT_MAX)
    return wording.guard_warned(guard, message) if verdict.severity == "soft" else wording.guard_failed(guard, message)
