"""The listener of the slash command: reads what was typed, has the right module answer, in the ack itself."""

from datetime import timedelta

from slack_bolt import BoltResponse

from channels.slack import wording as card_words
from channels.slack.commands import wording
from channels.slack.commands.acting import Acting
from channels.slack.commands.answer import answered
from channels.slack.commands.being_away import BeingAway
from channels.slack.commands.parsing import VERBS, Typed, nearest, parse, span_of
from channels.slack.commands.showing import MEANT_MAX, Lines, Showing
from channels.slack.deliveries import Command, Submission
from channels.slack.listening import ANSWER_S, Desk, done, soon
from channels.slack.mrkdwn import inline
from loops.actors import Human
from loops.errors import Unavailable
from loops.ports import Loaded

NAME_MAX = 80
#: Longer words are no id of ours; they are not looked for.
ID_MAX = 200
#: What is told of something archived, at most: names are of any length.
ARCHIVED_MAX = 800


class Commands:
    """The listener of the slash command and of its windows. *command* is its name where none was typed."""

    def __init__(self, desk: Desk, command: str) -> None:
        self._desk = desk
        self._showing = Showing(desk)
        self._acting = Acting(desk, command)
        self._being_away = BeingAway(desk)

    async def run(self, command: Command) -> BoltResponse:
        """Answer one command. May answer with nothing but a window that opened."""
        name = _name(command.command)
        typed = parse(command.text)
        if typed.verb == "help":
            return answered(wording.help_text(name), is_shared=typed.is_shared)
        try:
            by = await self._desk.human(command)
            if by is None:
                return answered([self._unmapped(command)])
            lines = await self._lines(command, typed, by, name)
        except Unavailable:
            # What starts something may have got through; the rest only read.
            is_doubtful = typed.verb in {"start", "retry", "snooze", "away", "back"}
            return answered([wording.COULD_NOT_RECORD if is_doubtful else card_words.COULD_NOT_LOAD])
        return done() if lines is None else answered(lines, is_shared=typed.is_shared)

    async def submit_start(self, submission: Submission) -> BoltResponse:
        """Take what was typed into the window of `start`."""
        return await self._acting.submit_start(submission)

    async def submit_cancel(self, submission: Submission) -> BoltResponse:
        """Take the confirmation of `cancel`."""
        return await self._acting.submit_cancel(submission)

    async def _lines(self, command: Command, typed: Typed, by: Human, name: str) -> Lines | None:
        match typed.verb:
            case "pending":
                return await soon(self._showing.pending(typed, by, name), ANSWER_S)
            case "definitions":
                return self._showing.definitions(typed, name)
            case "start":
                return await self._acting.start(command, typed, by, name)
            case "retry":
                return await soon(self._acting.retry(command, typed, by, name), ANSWER_S)
            case "snooze":
                return await self._snooze(command, typed, by, name)
            case "away":
                return await soon(self._being_away.away(command, typed, by, name), ANSWER_S)
            case "back":
                return await soon(self._being_away.back(command, by), ANSWER_S)
            case "show" | "history" | "who" | "cancel":
                return await self._about_one(command, typed, by, name)
            case _:
                return await self._unknown(command, typed, name)

    async def _snooze(self, command: Command, typed: Typed, by: Human, name: str) -> Lines | None:
        span = span_of(typed.words[-1]) if typed.words else None
        if typed.words and span is None:
            return wording.needs_span(name)
        about = Typed("snooze", typed.words[:-1])
        return await self._about_one(command, about, by, name, span)

    async def _about_one(
        self, command: Command, typed: Typed, by: Human, name: str, span: timedelta | None = None
    ) -> Lines | None:
        if not typed.rest:
            return wording.needs_id(typed.verb, name)
        found = await self._found(typed.rest)
        if not found and (where := await self._archived(typed.rest)):
            return [wording.archived(inline(where, ARCHIVED_MAX).text)]
        if not found:
            return wording.no_such_thing(_name(typed.rest), name)
        if len(found) > 1:
            return [wording.several(_name(typed.rest), typed.verb, name), *map(_one_of_several, found)]
        subject = found[0]
        match typed.verb:
            case "show":
                return await soon(self._showing.show(subject, name), ANSWER_S)
            case "history":
                return await soon(self._showing.history(subject, typed, name), ANSWER_S)
            case "who":
                return await soon(self._showing.who(subject, by), ANSWER_S)
            case "snooze" if span:
                return await soon(self._acting.snooze(command, subject, by, span), ANSWER_S)
            case _:
                return await self._acting.cancel(command, subject, by)

    async def _unknown(self, command: Command, typed: Typed, name: str) -> Lines:
        verb = nearest(typed.verb, VERBS)
        words = _name(" ".join((typed.verb, *typed.words)))
        if verb is None and not typed.words and len(await self._found(parse(command.text).verb)) == 1:
            return wording.is_an_id(words, name)
        return wording.unknown_verb(words, verb, name)

    async def _found(self, name: str) -> list[Loaded]:
        if len(name) > ID_MAX:
            return []
        return list(await soon(self._desk.gate.look_up(self._desk.tenant, name, limit=MEANT_MAX), ANSWER_S))

    async def _archived(self, name: str) -> str | None:
        return await soon(self._desk.gate.archived(self._desk.tenant, name), ANSWER_S) if len(name) <= ID_MAX else None

    def _unmapped(self, command: Command) -> str:
        ours = self._desk.installation.team_id
        if command.team_id != ours:
            return card_words.foreign(_name(ours))
        return card_words.command_unmapped(_name(command.user_id), _name(command.team_id))


def _one_of_several(subject: Loaded) -> str:
    instance = subject.instance
    return wording.one_of_several(_name(instance.aggregate_id), _name(instance.loop_id), _name(instance.state))


def _name(text: str) -> str:
    return inline(text, NAME_MAX).text
