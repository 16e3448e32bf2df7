"""What the command sets in motion: a start, a cancellation, one more try. Each goes through the gate, under a key."""

from datetime import timedelta
from typing import Any

from slack_bolt import BoltResponse

from channels.slack.commands import wording
from channels.slack.commands.parsing import Typed, nearest, nested, pairs, value_of
from channels.slack.commands.showing import Lines
from channels.slack.commands.wanting import wanted
from channels.slack.commands.windows import (
    ASKED_MAX,
    ID_BLOCK,
    Starting,
    cancel_view,
    read_cancelling,
    read_starting,
    said,
    start_view,
    typed_id,
    typed_reason,
    typed_values,
)
from channels.slack.deliveries import Command, Submission
from channels.slack.evidence import command_evidence
from channels.slack.listening import ANSWER_S, Desk, done, soon, started
from channels.slack.mrkdwn import inline, label
from channels.slack.notices import notice_text
from channels.slack.shown import NotOurs
from channels.slack.snoozing import direct, snooze_words
from loops.actors import Human
from loops.approvals import HumanAsk
from loops.canonical import digest
from loops.cards import Notice
from loops.definition import LoopDefinition
from loops.errors import Unavailable
from loops.outcomes import Executed, Recorded, Refused
from loops.ports import Loaded
from loops.values import dotted

#: The key of `start` that names the business object.
ID = "id"
NAME_MAX, MESSAGE_MAX = 80, 500
#: Characters of an error shown below an input.
ERROR_MAX = 300


class Acting:
    """Starts, cancels and tries again."""

    def __init__(self, desk: Desk, command: str) -> None:
        self._desk = desk
        self._command = command

    async def start(self, command: Command, typed: Typed, by: Human, name: str) -> Lines | None:
        """Start a loop, or open the window that asks for what is missing (None)."""
        deadline = started()
        if not typed.words:
            return wording.needs_loop(name)
        definition = self._meant(typed.words[0])
        if definition is None:
            known = sorted(self._desk.gate.definitions())
            return wording.no_such_loop(_name(typed.words[0]), nearest(typed.words[0], known), name)
        values, others = pairs(typed.words[1:])
        if others:
            return wording.not_a_pair(_name(others[0]), name)
        asked = wanted(definition)
        aggregate = values.get(ID) if ID in asked else values.pop(ID, None)
        data = nested(values)
        if data is None:
            return [wording.CLASHING_KEYS]
        missing = tuple(path for path in asked if dotted(data, path) is None)
        if aggregate is not None and not missing:
            outcome = await self._started(definition, str(aggregate), data, by, f"slack:{command.trigger_id}")
            return self._answer(outcome, name)
        asking = Starting(
            loop=definition.id,
            digest=definition.digest,
            aggregate=None if aggregate is None else str(aggregate),
            given=values,
            asked=missing[:ASKED_MAX],
        )
        view = start_view(definition, asking)
        if view is None:
            return [wording.TOO_MUCH_TO_ASK]
        return None if await self._desk.open(command.trigger_id, view, deadline) else [wording.COULD_NOT_OPEN]

    async def submit_start(self, submission: Submission) -> BoltResponse:
        """Start the loop the window was about, with what was typed into it."""
        try:
            asking = read_starting(submission.view.private_metadata)
        except NotOurs:
            return _said(wording.NOT_DONE_TITLE, [wording.NOT_OURS])
        definition = self._desk.gate.definitions().get(asking.loop)
        if definition is None or definition.digest != asking.digest:
            return _said(wording.NOT_DONE_TITLE, [wording.NOT_OURS])
        typed = {path: value_of(text) for path, text in typed_values(submission, asking).items()}
        data, aggregate = nested(asking.given | typed), asking.aggregate or typed_id(submission)
        if data is None:
            return _said(wording.NOT_DONE_TITLE, [wording.CLASHING_KEYS])
        try:
            by = await self._desk.human(submission)
            if by is None:
                return _said(wording.NOT_DONE_TITLE, [wording.NOT_OURS])
            # What was corrected after a refusal is another start; Slack gives both the same view and hash.
            key = f"slack:{submission.view.id}:{digest([aggregate, data])}"
            outcome = await self._started(definition, aggregate, data, by, key)
        except Unavailable:
            return _said(wording.NOT_DONE_TITLE, [wording.COULD_NOT_RECORD])
        if isinstance(outcome, Refused) and asking.aggregate is None:
            message = label(outcome.message, ERROR_MAX)
            return done({"response_action": "errors", "errors": {ID_BLOCK: message}})
        title = wording.NOT_DONE_TITLE if isinstance(outcome, Refused) else wording.DONE_TITLE
        return _said(title, self._answer(outcome, self._command))

    async def cancel(self, command: Command, subject: Loaded, by: Human) -> Lines | None:
        """Open the window that asks once more (None), or say why there is nothing to cancel."""
        deadline = started()
        instance = subject.instance
        if instance.is_over:
            return wording.is_over(_name(instance.aggregate_id), instance.status)
        if not await self._desk.gate.may_manage(subject, by):
            return wording.may_not_manage(_name(instance.aggregate_id))
        is_open = await self._desk.open(command.trigger_id, cancel_view(instance), deadline)
        return None if is_open else [wording.COULD_NOT_OPEN]

    async def submit_cancel(self, submission: Submission) -> BoltResponse:
        """Cancel the instance the window was about."""
        try:
            instance_id = read_cancelling(submission.view.private_metadata).instance
        except NotOurs:
            return _said(wording.NOT_DONE_TITLE, [wording.NOT_OURS])
        try:
            by = await self._desk.human(submission)
            if by is None:
                return _said(wording.NOT_DONE_TITLE, [wording.NOT_OURS])
            cancelling = self._desk.gate.cancel(
                tenant=self._desk.tenant,
                instance_id=instance_id,
                by=by,
                reason=typed_reason(submission),
                key=f"slack:{submission.view.id}:{submission.view.hash}",
            )
            outcome = await soon(cancelling, ANSWER_S)
        except Unavailable:
            return _said(wording.NOT_DONE_TITLE, [wording.COULD_NOT_RECORD])
        match outcome:
            case Refused(message=message):
                return _said(wording.NOT_DONE_TITLE, wording.refused(inline(message, MESSAGE_MAX).text))
            case _:
                return _said(wording.DONE_TITLE, [wording.cancelled(_name(outcome.instance.aggregate_id))])

    async def snooze(self, command: Command, subject: Loaded, by: Human, span: timedelta) -> Lines:
        """Have *by* reminded of the request that waits, in *span*, by direct message."""
        request = subject.request
        if request is None or not request.is_open:
            return wording.nothing_to_snooze(_name(subject.instance.aggregate_id))
        address = direct(command_evidence(command))
        ask = HumanAsk(
            request_id=request.request_id,
            by=by,
            snooze=span,
            channel=address,
            key=f"slack:{command.trigger_id}",
            is_told_there=True,
        )
        outcome = await self._desk.gate.consult(ask, tenant=self._desk.tenant)

        def refused(code: str, message: str) -> str:
            notice = Notice(code=code, message=message, address=address)
            return notice_text(notice, subject, team_id=self._desk.installation.team_id)

        return [snooze_words(outcome, by, refused)]

    async def retry(self, command: Command, typed: Typed, by: Human, name: str) -> Lines:
        """Have what Loopgate gave up on tried once more."""
        if not typed.words:
            return wording.needs_effect(name)
        effect = await self._desk.gate.effect(self._desk.tenant, typed.rest) if len(typed.rest) <= 200 else None
        if effect is None:
            return wording.no_such_effect(_name(typed.rest), name)
        subjects = await self._desk.gate.look_up(self._desk.tenant, effect.instance_id, limit=1)
        aggregate = _name(subjects[0].instance.aggregate_id if subjects else effect.instance_id)
        key, channel = f"slack:{command.trigger_id}", command_evidence(command)
        retrying = self._desk.gate.retry(
            tenant=self._desk.tenant, effect_id=effect.effect_id, by=by, channel=channel, key=key
        )
        match await soon(retrying, ANSWER_S):
            case Refused(message=message):
                return wording.refused(inline(message, MESSAGE_MAX).text.rstrip("."))
            case _:
                return wording.tried_again(_name(effect.name), aggregate, name)

    def _meant(self, word: str) -> LoopDefinition | None:
        known = self._desk.gate.definitions()
        if word in known:
            return known[word]
        parts = [each for name, each in known.items() if word.casefold() in name.casefold()]
        return parts[0] if len(parts) == 1 else None

    async def _started(
        self, definition: LoopDefinition, aggregate: str, data: dict[str, Any], by: Human, key: str
    ) -> Executed | Recorded | Refused:
        starting = self._desk.gate.start(
            tenant=self._desk.tenant, loop_id=definition.id, aggregate_id=aggregate, data=data, by=by, key=key
        )
        return await soon(starting, ANSWER_S)

    def _answer(self, outcome: Executed | Recorded | Refused, name: str) -> Lines:
        match outcome:
            case Refused(message=message):
                return wording.refused(inline(message, MESSAGE_MAX).text)
            case _:
                instance = outcome.instance
                return wording.started(
                    _name(instance.aggregate_id), _name(instance.loop_id), _name(instance.state), name
                )


def _said(title: str, lines: Lines) -> BoltResponse:
    return done({"response_action": "update", "view": said(title, lines)})


def _name(text: str) -> str:
    return inline(text, NAME_MAX).text
