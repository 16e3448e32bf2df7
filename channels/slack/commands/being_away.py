"""What the command says and does about being away: until when, who decides meanwhile, and being back."""

import re
from zoneinfo import ZoneInfo

from channels.slack.commands import wording
from channels.slack.commands.parsing import Typed
from channels.slack.commands.showing import Lines
from channels.slack.commands.times import time_of
from channels.slack.deliveries import Command
from channels.slack.evidence import KIND, command_evidence
from channels.slack.listening import Desk
from channels.slack.mrkdwn import inline, when
from loops.absence import Absence
from loops.actors import Human
from loops.outcomes import Refused
from loops.ports import ChannelIdentity, Person

#: How Slack sends a person named in a command that has them escaped.
#: Source: docs.slack.dev, interactivity/implementing-slash-commands, "escape channels, users and links".
_MENTION = re.compile(r"<@([A-Z0-9]+)(?:\|[^>]*)?>")
NAME_MAX, MESSAGE_MAX = 80, 500


class BeingAway:
    """Shows, starts and ends the absence of whoever asks."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def away(self, command: Command, typed: Typed, by: Human, name: str) -> Lines:
        """Show the absence of *by*, or let them be away."""
        if not typed.words:
            return await self._shown(by, name)
        words = typed.words[1:] if typed.words[0].lower() == "until" else typed.words
        # The last "to": a name may not hold one, a time does not.
        place = next((at for at in reversed(range(len(words))) if words[at].lower() == "to"), None)
        if not place or place == len(words) - 1:
            return wording.needs_away(name)
        tenant, now = self._desk.tenant, self._desk.gate.now()
        person = await self._desk.directory.person(tenant, by.user_id)
        zone = ZoneInfo(person.zone if person and person.zone else "UTC")
        until = time_of(words[:place], now, zone)
        if until is None:
            return wording.no_such_time(_name(" ".join(words[:place])), name)
        called = " ".join(words[place + 1 :])
        to = await self._meant(called)
        if to is None:
            return wording.no_such_person(_name(called))
        outcome = await self._desk.gate.leave(
            tenant=tenant,
            by=by,
            until=until,
            to=to.person_id,
            channel=command_evidence(command),
            key=f"slack:{command.trigger_id}",
        )
        if isinstance(outcome, Refused):
            return wording.refused(inline(outcome.message, MESSAGE_MAX).text.rstrip("."))
        there = f"{until.astimezone(zone):%a %d %b %Y %H:%M} {zone.key}"
        return wording.away(_name(to.name), when(until), _name(there), name)

    async def back(self, command: Command, by: Human) -> Lines:
        """Let *by* be back."""
        tenant = self._desk.tenant
        ended = await self._desk.gate.come_back(tenant=tenant, by=by, channel=command_evidence(command))
        return wording.back(await self._called(ended.to)) if ended else [wording.WAS_HERE]

    async def _shown(self, by: Human, name: str) -> Lines:
        absences = await self._desk.gate.absences(self._desk.tenant)
        own = next((each for each in absences if each.person == by.user_id), None)
        lines = wording.stays_away(await self._called(own.to), when(own.until), name) if own else wording.is_here(name)
        return [*lines, *(_stands_in(each) for each in absences if each.to == by.user_id)]

    async def _meant(self, called: str) -> Person | None:
        """Return the person *called* so: mentioned, or by id, name or alias; None for nobody, or several."""
        if mentioned := _MENTION.fullmatch(called):
            identity = ChannelIdentity(KIND, self._desk.installation.team_id, mentioned[1])
            return await self._desk.directory.behind(self._desk.tenant, identity)
        return await self._desk.directory.called(self._desk.tenant, called.removeprefix("@"))

    async def _called(self, person_id: str) -> str:
        person = await self._desk.directory.person(self._desk.tenant, person_id)
        return _name(person.name if person else person_id)


def _stands_in(absence: Absence) -> str:
    return wording.stands_in(_name(absence.name), when(absence.until))


def _name(text: str) -> str:
    return inline(text, NAME_MAX).text
