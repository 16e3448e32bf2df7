"""
Consulting: the menu of a card, and what people do there short of deciding.

As in `answering`: parse, find out who, commit through the gate, then ack. What the engine refuses is said in the modal.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from slack_bolt import BoltResponse

from channels.slack import wording
from channels.slack.asking import (
    PERSON_BLOCK,
    TEXT_BLOCK,
    hand_over_view,
    person_of,
    question_view,
    reply_view,
    text_of,
    withdraw_view,
)
from channels.slack.deliveries import Click, Submission
from channels.slack.evidence import KIND, click_evidence, click_key, submission_evidence, submission_key
from channels.slack.listening import ANSWER_S, LOAD_S, Desk, done, failed, log, soon, started
from channels.slack.mrkdwn import one_line
from channels.slack.notices import notice_text
from channels.slack.reason import reason_of
from channels.slack.shown import HAND_OVER, LATER, QUESTION, WHY, WITHDRAW, Asked, More, NotOurs, Shown
from channels.slack.snoozing import LATER_SPAN, direct, snooze_words
from channels.slack.views import View, told
from channels.slack.why import why_text
from loops.actors import Human
from loops.approvals import ApprovalRequest, HumanAsk
from loops.cards import Notice
from loops.errors import Unavailable
from loops.explaining import Explanation
from loops.outcomes import Executed, Recorded, Refused
from loops.ports import ChannelIdentity, Loaded

Outcome = Executed | Recorded | Refused

#: Commits a submission, given what its modal was opened from and its key; None where nobody is known to have sent it.
Act = Callable[[Asked, str], Awaitable[Outcome | None]]

#: Characters of the engine's words at an input.
ERROR_MAX = 300


class Consulting:
    """Listeners for the menu, the Answer button of a question, and their modals."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def choose(self, click: Click) -> BoltResponse:
        """Do what the chosen entry, or the Answer button, stands for: explain, or open a modal. Decides nothing."""
        deadline, evidence = started(), click_evidence(click, None)
        try:
            more = _more(click)
            text, view = await self._answer(click, more)
        except NotOurs:
            text, view = wording.NOT_OUR_BUTTON, None
        except Unavailable:
            await self._desk.tell(evidence, wording.COULD_NOT_LOAD, deadline)
            return failed("store_unavailable")
        if view is not None:
            if await self._desk.open(click.trigger_id, view, deadline):
                return done()
            text = wording.COULD_NOT_OPEN
        is_told = await self._desk.tell(evidence, text, deadline)
        return done() if is_told else failed("not_told")

    async def _answer(self, click: Click, more: More) -> tuple[str, View | None]:
        """Return what to say privately, or the modal to open instead."""
        who = await self._desk.who(click)
        by = who.human
        if by is None:
            return self._words("unmapped_identity", "", click_evidence(click, None) | who.evidence, None), None
        subject = await self._desk.load(more.request_id)
        request = subject.request if subject else None
        if subject is None or request is None:
            return wording.UNKNOWN_REQUEST, None
        gate, tenant = self._desk.gate, self._desk.tenant
        found = await soon(gate.explain(request.request_id, by, tenant=tenant), LOAD_S)
        found = found or Explanation("unknown_request")
        if found.stop:
            return self._words(found.stop, found.stop, click_evidence(click, None), subject), None
        asked = _asked(click, request, more)
        names = await self._desk.names(request)
        match more.verb:
            case "why":
                return why_text(request, found, names), None
            case "ask" if found.may_act:
                return "", question_view(request, asked)
            case "hand" if found.may_act:
                return "", hand_over_view(request, asked, names)
            case "later" if found.may_act:
                return await self._later(click, by, who.evidence, subject, request.request_id), None
            case "back":
                return "", withdraw_view(request, asked)
            case None if more.question_id is not None:
                return self._reply(request, asked, more.question_id)
            case _:
                return why_text(request, found, names), None

    async def _later(
        self, click: Click, by: Human, evidence: Mapping[str, Any], subject: Loaded, request_id: str
    ) -> str:
        """Have *by* reminded in an hour, by direct message; return what to say about it."""
        address = direct(click_evidence(click, None) | dict(evidence))
        ask = HumanAsk(
            request_id=request_id, by=by, snooze=LATER_SPAN, channel=address, key=click_key(click), is_told_there=True
        )
        return snooze_words(
            await soon(self._desk.gate.consult(ask, tenant=self._desk.tenant), ANSWER_S),
            by,
            lambda code, message: self._words(code, message, address, subject),
        )

    def _reply(self, request: ApprovalRequest, asked: Asked, question_id: str) -> tuple[str, View | None]:
        question = next((each for each in request.questions if each.question_id == question_id), None)
        if question is None or question.answer is not None:
            return wording.ANSWERED_ALREADY, None
        return "", reply_view(request, question, asked)

    async def ask(self, submission: Submission) -> BoltResponse:
        """Put the question that was typed on the record."""
        text = text_of(submission)
        if text is None:
            return _wrong(TEXT_BLOCK, wording.TEXT_MISSING)
        return await self._consult(submission, TEXT_BLOCK, question=text)

    async def hand_over(self, submission: Submission) -> BoltResponse:
        """Hand the person's part to whom they chose."""
        deadline, user = started(), person_of(submission)
        if user is None:
            return _wrong(PERSON_BLOCK, wording.NOBODY_KNOWN)
        desk = self._desk
        identity = ChannelIdentity(KIND, desk.installation.team_id, user)
        try:
            person = await soon(desk.directory.behind(desk.tenant, identity), LOAD_S)
        except Unavailable:
            return await self._lost(submission, deadline)
        if person is None:
            return _wrong(PERSON_BLOCK, wording.NOBODY_KNOWN)
        reason = reason_of(submission)
        return await self._consult(submission, PERSON_BLOCK, to_person=person.person_id, reason=reason)

    async def reply(self, submission: Submission) -> BoltResponse:
        """Put the answer to a question on the record."""
        text = text_of(submission)
        if text is None:
            return _wrong(TEXT_BLOCK, wording.TEXT_MISSING)

        async def inform(asked: Asked, key: str) -> Outcome | None:
            by = await self._desk.human(submission)
            if by is None or asked.question_id is None:
                return None
            return await self._desk.gate.inform(
                tenant=self._desk.tenant,
                request_id=asked.shown.request_id,
                question_id=asked.question_id,
                text=text,
                actor=by,
                idempotency_key=key,
            )

        return await self._submit(submission, inform, text)

    async def withdraw(self, submission: Submission) -> BoltResponse:
        """Take the request back."""
        reason = reason_of(submission)

        async def withdraw(asked: Asked, key: str) -> Outcome | None:
            by = await self._desk.human(submission)
            if by is None:
                return None
            return await self._desk.gate.withdraw(
                tenant=self._desk.tenant,
                request_id=asked.shown.request_id,
                actor=by,
                reason=reason,
                idempotency_key=key,
            )

        return await self._submit(submission, withdraw, reason)

    async def _consult(self, submission: Submission, block_id: str, **what: str | None) -> BoltResponse:
        async def consult(asked: Asked, key: str) -> Outcome:
            who = await self._desk.who(submission)
            ask = HumanAsk(
                request_id=asked.shown.request_id,
                by=who.human,
                channel=submission_evidence(submission, asked) | who.evidence,
                key=key,
                is_told_there=True,
                **what,
            )
            return await self._desk.gate.consult(ask, tenant=self._desk.tenant)

        return await self._submit(submission, consult, *what.values(), wrong_at=block_id)

    async def _submit(
        self, submission: Submission, act: Act, *typed: str | None, wrong_at: str | None = None
    ) -> BoltResponse:
        deadline = started()
        try:
            asked = Asked.decode(submission.view.private_metadata)
        except NotOurs:
            return _told(wording.NOT_OUR_BUTTON)
        evidence = submission_evidence(submission, asked)
        try:
            outcome = await soon(act(asked, submission_key(submission, *typed)), ANSWER_S)
        except Unavailable as error:
            log.error("slack.ask.unrecorded", request_id=asked.shown.request_id, error=type(error).__name__)
            return await self._lost(submission, deadline, evidence)
        match outcome:
            case None:
                return _told(self._words("unmapped_identity", "", evidence, None))
            case Refused(code="cannot_reassign") if wrong_at:
                return _wrong(wrong_at, one_line(outcome.message)[:ERROR_MAX])
            case Refused():
                return _told(await self._refusal(outcome, asked, evidence))
            case Executed() | Recorded():
                return done()

    async def _lost(
        self, submission: Submission, deadline: float, evidence: dict[str, Any] | None = None
    ) -> BoltResponse:
        address = evidence or {"slackUserId": submission.user.id}
        await self._desk.tell(address, wording.COULD_NOT_RECORD, deadline)
        return failed("store_unavailable")

    async def _refusal(self, refused: Refused, asked: Asked, evidence: dict[str, Any]) -> str:
        try:
            subject = await self._desk.load(asked.shown.request_id)
        except Unavailable:
            subject = None
        return self._words(refused.code, refused.message, evidence, subject)

    def _words(self, code: str, message: str, address: dict[str, Any], subject: Loaded | None) -> str:
        notice = Notice(code=code, message=message, address=address)
        return notice_text(notice, subject, team_id=self._desk.installation.team_id)


def _more(click: Click) -> More:
    action = click.actions[0]
    more = More.decode(action.selected_option.value if action.selected_option else action.value)
    if more.verb not in {None, QUESTION, HAND_OVER, LATER, WHY, WITHDRAW} or (more.verb is None) == (
        not more.question_id
    ):
        raise NotOurs("names nothing to do")
    return more


def _asked(click: Click, request: ApprovalRequest, more: More) -> Asked:
    place = click.container
    return Asked(
        shown=Shown.of(request),
        action_id=click.actions[0].action_id,
        channel=place.channel_id,
        message_ts=place.message_ts,
        thread_ts=place.thread_ts,
        question_id=more.question_id,
    )


def _wrong(block_id: str, text: str) -> BoltResponse:
    return done({"response_action": "errors", "errors": {block_id: text}})


def _told(text: str) -> BoltResponse:
    return done({"response_action": "update", "view": told(wording.REFUSED_TITLE, text)})
