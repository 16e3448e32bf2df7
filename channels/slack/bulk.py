"""
Approving several requests at once: one window that lists each, and one decision through the guards for each.

Nothing is decided for a group: every selected request is answered as by its own click, under its own key, against the
version and digest that the window listed, and the result says what became of each.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from slack_bolt import BoltResponse

from channels.slack import blocks as b
from channels.slack import wording
from channels.slack.blocks import Block
from channels.slack.deliveries import Click, Submission
from channels.slack.evidence import click_evidence, submission_evidence
from channels.slack.limits import INPUT_LABEL_MAX, PLAIN_TEXT_INPUT_MAX
from channels.slack.listening import ANSWER_S, Desk, done, failed, log, soon, started
from channels.slack.mrkdwn import code, inline, value
from channels.slack.notices import notice_text
from channels.slack.shortening import short_digest
from channels.slack.shown import TOLD_VIEW, Asked, NotOurs, Shown
from channels.slack.views import View, modal, told
from loops.actors import Human
from loops.approvals import ApprovalRequest, HumanAnswer
from loops.cards import Notice
from loops.errors import Unavailable
from loops.outcomes import Executed, Recorded, Refused
from loops.ports import Loaded

BULK = "loopgate.bulk."
BULK_VIEW = "loopgate.bulk"
SELECTED_BLOCK, REASON_BLOCK, ACTION = "loopgate.bulk.selected", "loopgate.bulk.reason", "value"

#: Requests one window lists: as many as a group of checkboxes may have options.
#: Source: docs.slack.dev, reference/block-kit/block-elements/checkboxes-element.
LISTED_MAX = 10
#: Requests looked through for those of one kind.
LOOKED_THROUGH = 100
OPTION_MAX = 75
NAME_MAX, TITLE_MAX, FACT_MAX, FACTS_MAX, RUNS_MAX, NEEDS_MAX = 80, 150, 120, 8, 3, 400


@dataclass(frozen=True, slots=True)
class Group:
    """Requests of one loop that the same transition approves."""

    loop_id: str
    loop_name: str
    transition_id: str
    subjects: tuple[Loaded, ...]


class _Kind(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    loop: str
    transition: str


class _Listed(BaseModel):
    """What a window listed, in its order: request, version, digest. One-letter keys keep it short."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, serialize_by_alias=True)

    transition: str = Field(alias="t")
    requests: tuple[tuple[str, int, str], ...] = Field(alias="r", max_length=LISTED_MAX)


def groups_of(subjects: Sequence[Loaded]) -> list[Group]:
    """Return the groups of two and more among *subjects*, the largest first."""
    found: dict[tuple[str, str], list[Loaded]] = {}
    for subject in subjects:
        request = subject.request
        approving = _approving(request) if request else None
        if approving:
            found.setdefault((subject.instance.loop_id, approving), []).append(subject)
    groups = [
        Group(loop_id, _loop_name(each[0]), transition_id, tuple(each))
        for (loop_id, transition_id), each in found.items()
        if len(each) > 1
    ]
    return sorted(groups, key=lambda group: -len(group.subjects))


def bulk_button(group: Group) -> Block:
    """Return the button that opens the window for *group*."""
    kind = _Kind(loop=group.loop_id, transition=group.transition_id)
    digest = hashlib.sha256(kind.model_dump_json().encode()).hexdigest()[:16]
    return b.button(wording.bulk_button(group.loop_name, len(group.subjects)), BULK + digest, kind.model_dump_json())


class Bulk:
    """Listeners for the button and its window."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def open(self, click: Click) -> BoltResponse:
        """Open the window that lists what may be approved together, as it stands now."""
        deadline = started()
        evidence = click_evidence(click, None)
        try:
            kind = _Kind.model_validate_json(click.actions[0].value or "")
            by = await self._desk.human(click)
            group = await soon(self._group(kind, by), ANSWER_S) if by else None
        except ValidationError:
            await self._desk.tell(evidence, wording.NOT_OUR_BUTTON, deadline)
            return done()
        except Unavailable:
            await self._desk.tell(evidence, wording.COULD_NOT_LOAD, deadline)
            return failed("store_unavailable")
        view = bulk_view(group) if group else told(wording.BULK_TITLE, wording.BULK_NOTHING)
        if await self._desk.open(click.trigger_id, view, deadline):
            return done()
        is_told = await self._desk.tell(evidence, wording.COULD_NOT_OPEN, deadline)
        return done() if is_told else failed("view_not_opened")

    async def submit(self, submission: Submission) -> BoltResponse:
        """Answer every selected request by itself, and say what became of each."""
        deadline = asyncio.get_running_loop().time() + ANSWER_S
        try:
            listed = _Listed.model_validate_json(submission.view.private_metadata)
            chosen = [listed.requests[number] for number in _selected(submission)]
        except (ValidationError, NotOurs, IndexError):
            return _told([wording.NOT_OUR_BUTTON])
        if not chosen:
            return done({"response_action": "errors", "errors": {SELECTED_BLOCK: wording.BULK_NONE_SELECTED}})
        reason = _reason(submission)
        lines: list[str] = []
        for request_id, version, digest in chosen:
            shown = Shown(request_id=request_id, version=version, digest=digest, transition_id=listed.transition)
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                lines.append(wording.bulk_not_tried(_name(request_id)))
            else:
                lines.append(await self._answered(submission, shown, reason, left))
        return _told(lines)

    async def _group(self, kind: _Kind, by: Human) -> Group | None:
        found, _ = await self._desk.gate.open_requests(self._desk.tenant, limit=LOOKED_THROUGH)
        waiting = await self._desk.gate.waiting_for(found, by)
        same = [group for group in groups_of(waiting) if group.loop_id == kind.loop]
        return next((group for group in same if group.transition_id == kind.transition), None)

    async def _answered(self, submission: Submission, shown: Shown, reason: str | None, seconds: float) -> str:
        """Answer one request within *seconds*, and say what became of it."""
        said = hashlib.sha256((reason or "").encode()).hexdigest()[:16]
        asked = Asked(shown=shown, action_id=BULK_VIEW)
        evidence = submission_evidence(submission, asked)

        async def answer() -> Executed | Recorded | Refused:
            who = await self._desk.who(submission)
            return await self._desk.gate.answer(
                HumanAnswer(
                    request_id=shown.request_id,
                    request_version=shown.version,
                    digest=shown.digest,
                    transition_id=shown.transition_id or "",
                    by=who.by,
                    reason=reason,
                    channel=evidence,
                    standing=who.evidence if who.is_confirmed else {},
                    is_confirmed=who.is_confirmed,
                    key=f"slack:view:{submission.view.id}:{submission.user.id}:{shown.request_id}:{said}",
                    is_told_there=True,
                ),
                tenant=self._desk.tenant,
            )

        try:
            outcome = await soon(answer(), seconds)
        except Unavailable as error:
            log.error("slack.answer.unrecorded", request_id=shown.request_id, error=type(error).__name__)
            return wording.bulk_unknown(_name(shown.request_id))
        return await self._line(outcome, shown, evidence)

    async def _line(self, outcome: Executed | Recorded | Refused, shown: Shown, evidence: dict[str, Any]) -> str:
        request = outcome.request
        title = inline(request.title, TITLE_MAX).text if request else _name(shown.request_id)
        match outcome:
            case Executed():
                return wording.bulk_approved(title)
            case Recorded(code="unconfirmed"):
                return wording.bulk_checking(title)
            case Recorded():
                needs = request.policy.named(await self._desk.names(request)) if request else ""
                return wording.bulk_counted(title, inline(needs, NEEDS_MAX).text)
            case Refused():
                notice = Notice(code=outcome.code, message=outcome.message, address=evidence)
                try:
                    subject = await self._desk.load(shown.request_id)
                except Unavailable:
                    subject = None
                words = notice_text(notice, subject, team_id=self._desk.installation.team_id)
                return wording.bulk_refused(title, words)


def bulk_view(group: Group) -> View:
    """Return the window that lists the requests of *group*, every one selected."""
    subjects = group.subjects[:LISTED_MAX]
    requests = [subject.request for subject in subjects if subject.request]
    listed = _Listed(
        transition=group.transition_id,
        requests=tuple((each.request_id, each.version, each.digest) for each in requests),
    )
    blocks: list[Block] = [b.section(wording.bulk_about(_name(group.loop_name), len(requests)))]
    for number, request in enumerate(requests, 1):
        blocks += [b.section(_described(number, request)), b.context(_origin(request))]
    if left := len(group.subjects) - len(requests):
        blocks.append(b.context(wording.bulk_more(left)))
    blocks.append(_choice(requests))
    rules = {request.proposal.policy.reason.approve for request in requests}
    if rules != {"none"}:
        blocks.append(_reason_input(is_required="required" in rules))
    return modal(
        wording.BULK_TITLE,
        blocks,
        callback_id=BULK_VIEW,
        submit=wording.BULK_SUBMIT,
        close=wording.CANCEL,
        private_metadata=listed.model_dump_json(),
    )


def _described(number: int, request: ApprovalRequest) -> str:
    lines = [f"*{number}. {inline(request.title, TITLE_MAX).text}*"]
    shown = request.facts[:FACTS_MAX]
    lines += [wording.fact(inline(fact.label, NAME_MAX).text, inline(fact.value, FACT_MAX).text) for fact in shown]
    if left := len(request.facts) - len(shown):
        lines.append(wording.more_items(left, "fact"))
    lines += [wording.run(_name(run.integration), _name(run.action)) for run in request.proposal.runs[:RUNS_MAX]]
    return "\n".join(lines)


def _origin(request: ApprovalRequest) -> str:
    by = wording.asked_by(_name(request.proposal.requester.name), request.proposal.requester.type)
    return f"{code(_name(request.aggregate_id))} · {by} · {_name(short_digest(request.digest))}"


def _choice(requests: Sequence[ApprovalRequest]) -> Block:
    options = [
        {"text": b.plain(f"{number}. {value(request.title)}", OPTION_MAX), "value": str(number - 1)}
        for number, request in enumerate(requests, 1)
    ]
    return {
        "type": "input",
        "block_id": SELECTED_BLOCK,
        "label": b.plain(wording.BULK_CHOICE, INPUT_LABEL_MAX),
        "element": {"type": "checkboxes", "action_id": ACTION, "options": options, "initial_options": options},
    }


def _reason_input(*, is_required: bool) -> Block:
    return {
        "type": "input",
        "block_id": REASON_BLOCK,
        "optional": not is_required,
        "label": b.plain(wording.REASON_LABEL, INPUT_LABEL_MAX),
        "hint": b.plain(wording.BULK_REASON_HINT, INPUT_LABEL_MAX),
        "element": {
            "type": "plain_text_input",
            "action_id": ACTION,
            "multiline": True,
            "max_length": PLAIN_TEXT_INPUT_MAX,
        },
    }


def _selected(submission: Submission) -> list[int]:
    """Return which of the listed were selected, each once, in the window's order. Raises NotOurs for none of ours."""
    held = submission.view.state.values.get(SELECTED_BLOCK, {}).get(ACTION)
    values = [option.value for option in held.selected_options] if held else []
    if not all(value.isascii() and value.isdigit() and len(value) <= 2 for value in values):
        raise NotOurs("selects what the window did not list")
    return sorted({int(value) for value in values})


def _reason(submission: Submission) -> str | None:
    held = submission.view.state.values.get(REASON_BLOCK, {}).get(ACTION)
    return (held.value or "").strip() or None if held else None


def _approving(request: ApprovalRequest) -> str | None:
    return next((offered.transition_id for offered in request.answers if offered.kind == "approve"), None)


def _loop_name(subject: Loaded) -> str:
    return subject.request.loop_name if subject.request else subject.instance.loop_id


def _told(lines: Sequence[str]) -> BoltResponse:
    view = modal(wording.BULK_DONE, [b.section(line) for line in lines], callback_id=TOLD_VIEW)
    return done({"response_action": "update", "view": view})


def _name(text: str) -> str:
    return inline(text, NAME_MAX).text
