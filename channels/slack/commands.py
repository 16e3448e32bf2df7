"""The slash command: what waits, how a request stands, help. Answers are private and decide nothing."""

from typing import Any

from slack_bolt import BoltResponse

from channels.slack import wording
from channels.slack.card import summary
from channels.slack.deliveries import Command
from channels.slack.listening import LOAD_S, Desk, done, soon
from channels.slack.mrkdwn import inline, when
from loops.definition import HUMAN_STATE_PREFIX
from loops.errors import Unavailable
from loops.instance import LoopInstance

#: Lines of `pending`; the command's answer is one message.
PENDING_MAX = 20
#: Instances looked through for those lines.
LOOKED_THROUGH = 100
NAME_MAX = 80


class Commands:
    """The listener of the slash command."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def run(self, command: Command) -> BoltResponse:
        """Answer one command, in the ack itself."""
        verb, _, rest = command.text.strip().partition(" ")
        name = inline(command.command, NAME_MAX).text
        if verb.lower() in {"", "help"}:
            return _said(wording.help_text(name))
        try:
            if await self._desk.human(command) is None:
                return _said(self._unmapped(command))
            match verb.lower():
                case "pending":
                    return _said(await self._pending())
                case "show":
                    return _said(await self._show(name, rest.strip()))
                case _:
                    return _said(wording.unknown_words(inline(command.text, NAME_MAX).text, name))
        except Unavailable:
            return _said(wording.COULD_NOT_LOAD)

    def _unmapped(self, command: Command) -> str:
        ours = self._desk.installation.team_id
        if command.team_id != ours:
            return wording.foreign(inline(ours, NAME_MAX).text)
        return wording.command_unmapped(inline(command.user_id, NAME_MAX).text, inline(command.team_id, NAME_MAX).text)

    async def _pending(self) -> str:
        page = self._desk.gate.open_instances(self._desk.tenant, limit=LOOKED_THROUGH)
        instances, cursor = await soon(page, LOAD_S)
        waiting = [instance for instance in instances if instance.state.startswith(HUMAN_STATE_PREFIX)]
        if not waiting and cursor is None:
            return wording.NOTHING_PENDING
        shown = waiting[:PENDING_MAX]
        has_more = cursor is not None or len(waiting) > len(shown)
        return "\n".join([wording.pending_head(len(shown), has_more=has_more), *map(_line, shown)])

    async def _show(self, name: str, request_id: str) -> str:
        if not request_id:
            return wording.show_needs_id(name)
        subject = await self._desk.load(request_id) if len(request_id) <= 200 else None
        if subject is None or subject.request is None:
            return wording.no_such_request(inline(request_id, NAME_MAX).text)
        return summary(subject, subject.request)


def _line(instance: LoopInstance) -> str:
    return wording.pending_line(
        inline(instance.aggregate_id, NAME_MAX).text,
        inline(instance.loop_id, NAME_MAX).text,
        inline(instance.state, NAME_MAX).text,
        inline(instance.request_id, NAME_MAX).text if instance.request_id else None,
        when(instance.last_transition_at or instance.started_at),
    )


def _said(text: str) -> BoltResponse:
    answer: dict[str, Any] = {"response_type": "ephemeral", "text": text, "unfurl_links": False}
    return done(answer)
