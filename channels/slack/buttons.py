"""The buttons of a card: the answers offered, changes, retries, Details, and a menu of all that is rarer. Pure."""

from collections.abc import Iterator, Mapping
from typing import Literal

from channels.slack import blocks as b
from channels.slack import wording
from channels.slack.blocks import Block
from channels.slack.course import NAME_MAX
from channels.slack.faces import OPEN, Face
from channels.slack.limits import ACTIONS_ELEMENTS_MAX, BUTTON_TEXT_MAX
from channels.slack.mrkdwn import one_line, worded
from channels.slack.runs import FAILURES_MAX
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
from loops.approvals import AnswerOffered, ApprovalRequest
from loops.managing import retriable
from loops.policy import AnswerKind
from loops.ports import Loaded

#: Units (`mrkdwn.size`) of the labels of all answers together.
ANSWERS_MAX = 1_000

_STYLES: Mapping[AnswerKind, Literal["primary", "danger"] | None] = {
    "approve": "primary",
    "reject": "danger",
    "other": None,
}


def buttons(subject: Loaded, request: ApprovalRequest, face: Face) -> Iterator[Block]:
    """Yield the rows of buttons that *request* has with this *face*; Details is always there."""
    offered = sorted(request.answers, key=lambda answer: ("approve", "reject", "other").index(answer.kind))
    if face not in OPEN:
        offered = []
    room = max(8, min(BUTTON_TEXT_MAX, ANSWERS_MAX // max(1, len(offered))))
    shown = [_answer_button(request, answer, index, room) for index, answer in enumerate(offered)]
    approving = next((answer for answer in offered if answer.kind == "approve"), None)
    if approving and request.proposal.policy.editable:
        edit = Shown.of(request, transition_id=approving.transition_id).encode()
        shown.append(b.button(wording.EDIT, EDIT, edit))
    shown.extend(_retries(subject, request))
    shown.append(b.button(wording.DETAILS, DETAILS, Shown.of(request).encode()))
    if face in OPEN:
        shown.append(_menu(request))
    for row, start in enumerate(range(0, len(shown), ACTIONS_ELEMENTS_MAX)):
        yield b.actions(f"loopgate.answers.{row}", shown[start : start + ACTIONS_ELEMENTS_MAX])


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
