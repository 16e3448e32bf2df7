"""
The card: an approval request as one Slack message, drawn from the ledger's values alone.

Pure. Whatever the request holds, the message is within Slack's limits: each part has a budget, what does not fit is
counted on the card and complete under Details. Everything that is not ours is escaped and neutral (see `mrkdwn`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from channels.slack import blocks as b
from channels.slack import wording
from channels.slack.blocks import Block
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
from channels.slack.faces import OPEN, Face, face_of, integration_result
from channels.slack.limits import ACTIONS_ELEMENTS_MAX, BUTTON_TEXT_MAX, MESSAGE_BLOCK_TEXT_MAX, SECTION_FIELDS_MAX
from channels.slack.mrkdwn import code, exact, inline, one_line, quote, quoted, size, utc, when, worded
from channels.slack.shown import (
    ANSWER,
    ASK,
    DETAILS,
    EDIT,
    HAND_OVER,
    LATER,
    MORE,
    QUESTION,
    RETRY,
    WHY,
    WITHDRAW,
    More,
    Retry,
    Shown,
)
from loops.approvals import AnswerOffered, ApprovalRequest, Ending, PlannedEffect, Recommendation
from loops.canonical import canonical_json
from loops.errors import Rejected
from loops.guards import GuardVerdict
from loops.managing import retriable
from loops.policy import AnswerKind
from loops.ports import Loaded
from loops.timeline import ahead

#: `event_type` of our message metadata: how a card is found again after a doubtful attempt to post it.
EVENT_TYPE = "loopgate_card"

# The budget of each part, in units of `mrkdwn.size`. Facts and what a model wrote share what the rest leaves.
TITLE_MAX = 300
FACTS_MAX, FACT_LABEL_MAX, FACT_VALUE_MAX, FACT_COUNT_MAX = 2_400, 80, 300, 2 * SECTION_FIELDS_MAX
REASONING_MAX, REASONING_MIN = 1_800, 200
#: What the head of a recommendation and its last line take beside the quote; what all of it stays below the limit.
RECOMMENDATION_HEAD_MAX, MARGIN = 450, 150
REASON_MAX = 700
VERDICTS_MAX, VERDICT_MAX = 8, 110
RUNS_MAX, RUN_NAME_MAX, RUN_PARAMETERS_MAX = 5, 60, 240
RESULT_MAX = 600
#: Failures told one by one, each with a Retry button where it may be tried again.
FAILURES_MAX, FAILURE_MAX = 3, 300
ENDING_REASON_MAX = 700
APPROVERS_MAX = 300
ANSWERS_MAX = 1_000
#: Hex digits of the digest on the card; all of them stand under Details.
DIGEST_SHOWN = 12

_STYLES: Mapping[AnswerKind, Literal["primary", "danger"] | None] = {
    "approve": "primary",
    "reject": "danger",
    "other": None,
}


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


def summary(subject: Loaded, request: ApprovalRequest) -> str:
    """Return how *request* stands in one line, for notifications and lists; escaped, without formatting."""
    face = face_of(subject, request)
    title = quoted(request.title, TITLE_MAX)
    by = decider(request.closed_by) if request.closed_by else None
    line = wording.notification(face, title, by=by, chosen=chosen(request))
    if face in OPEN and request.expires_at:
        line += f" ({wording.decide_by(utc(request.expires_at))})"
    return line


def chosen(request: ApprovalRequest) -> str | None:
    """Return the label of the answer that closed *request* where that was neither approve nor reject."""
    decision = request.closed_by
    if decision is None or decision.kind != "other":
        return None
    offered = request.answer(decision.transition_id)
    return inline(offered.label if offered else decision.transition_id, NAME_MAX).text


def parameters_size(request: ApprovalRequest) -> int:
    """Return the bytes the proposal's parameters take as canonical JSON."""
    return len(canonical_json(request.proposal.parameters))


def approvers(request: ApprovalRequest, names: Names = NO_NAMES) -> str:
    """Return who may decide, escaped; with stages, how many of each."""
    policy = request.policy
    who = policy.named(names) if policy.stages else policy.approvers.named(names)
    return inline(who, APPROVERS_MAX).text


def short_digest(digest: str) -> str:
    """Return the first digits of *digest*."""
    kind, _, digits = digest.rpartition(":")
    return f"{kind}:{digits[:DIGEST_SHOWN]}…" if kind else f"{digits[:DIGEST_SHOWN]}…"


def _blocks(subject: Loaded, request: ApprovalRequest, face: Face, names: Names) -> list[Block]:
    above = [
        b.header(request.title),
        b.section(_status(request, face, names)),
        b.context(_origin(request)),
        *_parked(subject, request),
        *_decision(request),
        *(() if face in OPEN else _result(subject, request)),
        *questions(request, is_open=face in OPEN),
        *versions(request),
    ]
    below = [
        *(_verdicts(request.verdicts) if face in OPEN else ()),
        *_runs(request.proposal.runs, face),
        *(_listed(wording.RUNS_IF_REJECTED, request.proposal.if_rejected) if face in OPEN else ()),
        *_rules(subject, request, face, names),
        *_buttons(subject, request, face),
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


def _result(subject: Loaded, request: ApprovalRequest) -> Iterator[Block]:
    for failure in request.failures[:FAILURES_MAX]:
        run = wording.run_name(_run_name(failure.integration), _run_name(failure.action))
        said = quote(failure.error, FAILURE_MAX, lines=6).text if failure.error else None
        yield b.section(wording.run_failed(run, said))
    if (left := len(request.failures) - FAILURES_MAX) > 0:
        yield b.context(wording.more_items(left, "failure"))
    result = integration_result(subject, request)
    if result is None or request.failures:
        return
    kind = str(result.get("integrationConnectionId") or result.get("integrationKind") or "integration")
    inner = result.get("result")
    # What an integration of ours reported stands under `result`; others may say it beside their status.
    places = [result, inner] if isinstance(inner, Mapping) else [result]
    said_at = [place[key] for place in places for key in ("error", "message", "summary") if key in place]
    detail = next((text for text in said_at if isinstance(text, str)), None)
    said = _cut(detail, RESULT_MAX, lines=8) if detail else None
    status = inline(str(result.get("applyStatus")), NAME_MAX).text
    yield b.section(wording.result(inline(kind, NAME_MAX).text, status, said))


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
    return f"{head}\n{_cut(text, maximum)}"


def _cut(text: str, maximum: int, *, lines: int = 30) -> str:
    """Return *text* quoted, and how much of it stands under Details only."""
    cut = quote(text, maximum, lines=lines)
    return f"{cut.text}\n{wording.more_characters(cut.left)}" if cut.left else cut.text


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


def _runs(runs: Sequence[PlannedEffect], face: Face) -> Iterator[Block]:
    if not runs:
        if face in OPEN:
            yield b.context(wording.RUNS_NOTHING)
        return
    head = {
        **dict.fromkeys((*OPEN, "suspended"), wording.RUNS_IF_APPROVED),
        "executing": wording.RUNS_NOW,
        "approved": wording.APPROVED_TO_RUN,
        "handed_over": wording.APPROVED_TO_RUN,
        "executed": wording.RAN,
        "execution_failed": wording.APPROVED_TO_RUN,
    }.get(face, wording.WOULD_HAVE_RUN)
    yield from _listed(head, runs)


def _listed(head: str, runs: Sequence[PlannedEffect]) -> Iterator[Block]:
    if not runs:
        return
    lines = [head, *(_run(planned) for planned in runs[:RUNS_MAX])]
    if len(runs) > RUNS_MAX:
        lines.append(wording.more_items(len(runs) - RUNS_MAX, "action"))
    yield b.section("\n".join(lines))


def _run(planned: PlannedEffect) -> str:
    name = wording.run(_run_name(planned.integration), _run_name(planned.action))
    size_bytes = len(canonical_json(planned.parameters))
    shown = code(exact(planned.parameters)) if size_bytes <= RUN_PARAMETERS_MAX else ""
    if shown and size(shown) <= RUN_PARAMETERS_MAX:
        return f"{name} {shown}"
    return f"{name} ({wording.byte_count(size_bytes)} of parameters under {wording.DETAILS})"


def _run_name(name: str) -> str:
    return inline(name, RUN_NAME_MAX).text


def _buttons(subject: Loaded, request: ApprovalRequest, face: Face) -> Iterator[Block]:
    offered = sorted(request.answers, key=lambda answer: ("approve", "reject", "other").index(answer.kind))
    if face not in OPEN:
        offered = []
    room = max(8, min(BUTTON_TEXT_MAX, ANSWERS_MAX // max(1, len(offered))))
    buttons = [_answer_button(request, answer, index, room) for index, answer in enumerate(offered)]
    approving = next((answer for answer in offered if answer.kind == "approve"), None)
    if approving and request.proposal.policy.editable:
        edit = Shown.of(request, transition_id=approving.transition_id).encode()
        buttons.append(b.button(wording.EDIT, EDIT, edit))
    buttons.extend(_retries(subject, request))
    buttons.append(b.button(wording.DETAILS, DETAILS, Shown.of(request).encode()))
    if face in OPEN:
        buttons.append(_menu(request))
    for row, start in enumerate(range(0, len(buttons), ACTIONS_ELEMENTS_MAX)):
        yield b.actions(f"loopgate.answers.{row}", buttons[start : start + ACTIONS_ELEMENTS_MAX])


def _retries(subject: Loaded, request: ApprovalRequest) -> Iterator[Block]:
    failures = retriable(subject, request)
    for index, failure in enumerate(failures[:FAILURES_MAX]):
        run = f"{one_line(failure.integration)[:30]}: {one_line(failure.action)[:30]}"
        text = wording.confirm_retry(run, worded(request.title))
        is_risky = request.proposal.policy.risk == "high"
        yield b.button(
            wording.retry_one(run) if len(failures) > 1 else wording.RETRY,
            f"{RETRY}{index}",
            Retry(effect_id=failure.effect_id).encode(),
            confirm=b.confirm(wording.CONFIRM_TITLE, text, wording.RETRY, wording.CONFIRM_NO) if is_risky else None,
        )


def _menu(request: ApprovalRequest) -> Block:
    entries = [(wording.QUESTION, QUESTION), (wording.HAND_OVER, HAND_OVER), (wording.LATER, LATER), (wording.WHY, WHY)]
    if request.proposal.policy.reassign == "no":
        del entries[1]
    entries.append((wording.WITHDRAW, WITHDRAW))
    return b.menu(
        MORE, [b.option(text, More(request_id=request.request_id, verb=verb).encode()) for text, verb in entries]
    )


def _answer_button(request: ApprovalRequest, answer: AnswerOffered, index: int, room: int) -> Block:
    rule = request.proposal.policy.reason.for_kind(answer.kind)
    # An approval is one click unless the policy wants a reason; any other answer asks for one where it may be given.
    asks = rule == "required" or (rule == "optional" and answer.kind != "approve")
    # A modal is a second step already; one click of a risky answer gets one of Slack's own.
    is_risky = request.proposal.policy.risk == "high" and answer.kind != "reject"
    return b.button(
        answer.label or answer.transition_id,
        f"{ASK if asks else ANSWER}{answer.kind}.{index}",
        Shown.of(request, transition_id=answer.transition_id).encode(),
        style=_STYLES[answer.kind],
        maximum=room,
        confirm=_confirm(request, answer) if is_risky and not asks else None,
    )


def _confirm(request: ApprovalRequest, answer: AnswerOffered) -> Block:
    label = one_line(answer.label or answer.transition_id)[:NAME_MAX]
    runs = [f"{one_line(run.integration)[:20]}: {one_line(run.action)[:20]}" for run in request.proposal.runs[:2]]
    text = wording.confirm_text(label, worded(request.title), runs if answer.kind == "approve" else [])
    return b.confirm(wording.CONFIRM_TITLE, text, label, wording.CONFIRM_NO)
