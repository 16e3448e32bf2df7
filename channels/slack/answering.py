"""
Answering: from a click or a submitted reason to a decision on the ledger.

The order is the promise: parse, find out who, commit through the gate, then ack. Nothing runs after the ack, so what
was acknowledged is recorded; what could not be recorded is answered 500 and said privately.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from slack_bolt import BoltResponse

from channels.slack import wording
from channels.slack.course import NO_NAMES, Names
from channels.slack.deliveries import Click, Submission
from channels.slack.editing import block_id, edit_view, edits_of
from channels.slack.evidence import click_evidence, click_key, submission_evidence, submission_key
from channels.slack.listening import ANSWER_S, Desk, done, failed, log, soon, started
from channels.slack.mrkdwn import exact, one_line
from channels.slack.notices import notice_text
from channels.slack.reason import REASON_BLOCK, reason_of, reason_view
from channels.slack.shown import Asked, NotOurs, Shown
from channels.slack.views import View, told
from loops.approvals import AnswerOffered, ApprovalRequest, HumanAnswer
from loops.cards import Notice
from loops.errors import Unavailable
from loops.outcomes import Executed, Recorded, Refused
from loops.ports import Loaded

Outcome = Executed | Recorded | Refused

#: Draws the modal that an answer is given in.
Draw = Callable[[Loaded, ApprovalRequest, AnswerOffered, Asked, Names], View]

#: Characters of the engine's words at an input.
ERROR_MAX = 300

#: Refusals the engine gives without a commit: there is no ledger, or no right one, to write them on.
UNRECORDED = frozenset({"unknown_request", "idempotency_key_reused"})


class Answering:
    """Listeners for the answer buttons and the reason modal."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def decide(self, click: Click) -> BoltResponse:
        """Take the answer of the button that was pressed, at once."""
        deadline = started()
        try:
            shown, transition_id = _answered(click.actions[0].value)
        except NotOurs:
            return await self._not_ours(click, deadline)
        return await self._decide(click, shown, transition_id, deadline)

    async def ask(self, click: Click) -> BoltResponse:
        """Open the reason modal for the button that was pressed; nothing is decided yet."""
        return await self._open(click, _reason_modal)

    async def edit(self, click: Click) -> BoltResponse:
        """Open the edit modal for the button that was pressed; nothing is decided yet."""
        return await self._open(click, _edit_modal)

    async def _open(self, click: Click, draw: Draw) -> BoltResponse:
        deadline = started()
        try:
            shown, transition_id = _answered(click.actions[0].value)
        except NotOurs:
            return await self._not_ours(click, deadline)
        evidence = click_evidence(click, transition_id)
        try:
            who = await self._desk.who(click)
            if who.by is None and who.is_confirmed:
                # Who cannot decide should not type a reason first: the gate records the refusal and has them told.
                return await self._decide(click, shown, transition_id, deadline)
            subject = await self._desk.load(shown.request_id)
        except Unavailable:
            await self._desk.tell(evidence, wording.COULD_NOT_LOAD, deadline)
            return failed("store_unavailable")
        names = await self._desk.names(subject.request) if subject and subject.request else {}
        view = self._asking(click, subject, shown, transition_id, draw, names)
        if await self._desk.open(click.trigger_id, view, deadline):
            return done()
        is_told = await self._desk.tell(evidence, wording.COULD_NOT_OPEN, deadline)
        return done() if is_told else failed("view_not_opened")

    async def _decide(self, click: Click, shown: Shown, transition_id: str, deadline: float) -> BoltResponse:
        evidence = click_evidence(click, transition_id)
        match await self._commit(click, shown, transition_id, evidence, click_key(click), None):
            case None:
                await self._desk.tell(evidence, wording.COULD_NOT_RECORD, deadline)
                return failed("store_unavailable")
            case Refused(code=code) as refused if code in UNRECORDED:
                # Nothing was committed, so no worker will tell them.
                await self._desk.tell(evidence, await self._refusal(refused, shown, evidence), deadline)
        return done()

    async def _not_ours(self, click: Click, deadline: float) -> BoltResponse:
        is_told = await self._desk.tell(click_evidence(click, None), wording.NOT_OUR_BUTTON, deadline)
        return done() if is_told else failed("unknown_button")

    def _asking(
        self, click: Click, subject: Loaded | None, shown: Shown, transition_id: str, draw: Draw, names: Names
    ) -> View:
        request = subject.request if subject else None
        if subject is None or request is None:
            return told(wording.REFUSED_TITLE, wording.UNKNOWN_REQUEST)
        offered = request.answer(transition_id)
        if not request.is_open or offered is None or shown.digest != request.digest:
            code = "already_decided" if not request.is_open else "stale_request"
            notice = Notice(code=code, message=wording.STALE_REASON, address=click_evidence(click, None))
            return told(wording.REFUSED_TITLE, self._words(notice, subject, names))
        place = click.container
        asked = Asked(
            shown=shown,
            action_id=click.actions[0].action_id,
            channel=place.channel_id,
            message_ts=place.message_ts,
            thread_ts=place.thread_ts,
        )
        return draw(subject, request, offered, asked, names)

    async def submit(self, submission: Submission) -> BoltResponse:
        """Take the answer the modal stands for, with the reason typed into it."""
        deadline = started()
        try:
            asked = Asked.decode(submission.view.private_metadata)
            shown, transition_id = asked.shown, _transition(asked.shown)
        except NotOurs:
            return _told(wording.NOT_OUR_BUTTON)
        reason = reason_of(submission)
        evidence = submission_evidence(submission, asked)
        key = submission_key(submission, reason)
        outcome = await self._commit(submission, shown, transition_id, evidence, key, reason)
        return await self._submitted(outcome, shown, evidence, deadline)

    async def submit_edit(self, submission: Submission) -> BoltResponse:
        """Approve with the changes made in the modal; what does not fit the policy is said at its input."""
        deadline = started()
        try:
            asked = Asked.decode(submission.view.private_metadata)
            shown, transition_id = asked.shown, _transition(asked.shown)
        except NotOurs:
            return _told(wording.NOT_OUR_BUTTON)
        evidence, reason = submission_evidence(submission, asked), reason_of(submission)
        try:
            subject = await self._desk.load(shown.request_id)
        except Unavailable:
            await self._desk.tell(evidence, wording.COULD_NOT_RECORD, deadline)
            return failed("store_unavailable")
        edits: dict[str, Any] = {}
        if subject and subject.request and subject.request.digest == shown.digest and subject.request.is_open:
            found = edits_of(submission, subject.request, subject.instance.data)
            errors = found.errors or ({} if found.values else {block_id(0): wording.NOTHING_EDITED})
            if errors:
                return done({"response_action": "errors", "errors": errors})
            edits = found.values
        # Else the proposal is another one or closed: the engine refuses on the record, whatever was typed.
        key = submission_key(submission, reason, exact(edits))
        outcome = await self._commit(submission, shown, transition_id, evidence, key, reason, edits)
        if isinstance(outcome, Refused) and outcome.code == "bad_edit":
            return done({"response_action": "errors", "errors": {block_id(0): one_line(outcome.message)[:ERROR_MAX]}})
        return await self._submitted(outcome, shown, evidence, deadline)

    async def _submitted(
        self, outcome: Outcome | None, shown: Shown, evidence: dict[str, Any], deadline: float
    ) -> BoltResponse:
        match outcome:
            case None:
                await self._desk.tell(evidence, wording.COULD_NOT_RECORD, deadline)
                return failed("store_unavailable")
            case Refused(code="reason_required"):
                return done({"response_action": "errors", "errors": {REASON_BLOCK: wording.REASON_MISSING}})
            case Refused():
                return _told(await self._refusal(outcome, shown, evidence))
            case Recorded(code="unconfirmed"):
                return _told(wording.CHECKING, wording.CHECKING_TITLE)
            case Executed() | Recorded():
                return done()

    async def _commit(
        self,
        delivery: Click | Submission,
        shown: Shown,
        transition_id: str,
        evidence: dict[str, Any],
        key: str,
        reason: str | None,
        edits: Mapping[str, Any] = MappingProxyType({}),
    ) -> Outcome | None:
        """Return what became of the answer, or None where nobody can know."""

        async def commit() -> Outcome:
            who = await self._desk.who(delivery)
            answer = HumanAnswer(
                request_id=shown.request_id,
                request_version=shown.version,
                digest=shown.digest,
                transition_id=transition_id,
                by=who.by,
                reason=reason,
                edits=dict(edits),
                channel=evidence,
                key=key,
                standing=who.evidence if who.is_confirmed else {},
                is_confirmed=who.is_confirmed,
                is_told_there=isinstance(delivery, Submission),
            )
            return await self._desk.gate.answer(answer, tenant=self._desk.tenant)

        try:
            return await soon(commit(), ANSWER_S)
        except Unavailable as error:
            log.error("slack.answer.unrecorded", request_id=shown.request_id, error=type(error).__name__)
            return None

    async def _refusal(self, refused: Refused, shown: Shown, evidence: dict[str, Any]) -> str:
        try:
            subject = await self._desk.load(shown.request_id)
        except Unavailable:
            subject = None
        names = await self._desk.names(subject.request) if subject and subject.request else {}
        return self._words(Notice(code=refused.code, message=refused.message, address=evidence), subject, names)

    def _words(self, notice: Notice, subject: Loaded | None, names: Names = NO_NAMES) -> str:
        return notice_text(notice, subject, team_id=self._desk.installation.team_id, names=names)


def _reason_modal(
    subject: Loaded, request: ApprovalRequest, offered: AnswerOffered, asked: Asked, names: Names
) -> View:
    del subject, names
    return reason_view(request, offered, asked)


def _edit_modal(subject: Loaded, request: ApprovalRequest, offered: AnswerOffered, asked: Asked, names: Names) -> View:
    return edit_view(request, subject.instance.data, offered, asked, names)


def _answered(value: str | None) -> tuple[Shown, str]:
    shown = Shown.decode(value)
    return shown, _transition(shown)


def _transition(shown: Shown) -> str:
    if shown.transition_id is None:
        raise NotOurs("names no answer")
    return shown.transition_id


def _told(text: str, title: str = wording.REFUSED_TITLE) -> BoltResponse:
    return done({"response_action": "update", "view": told(title, text)})
