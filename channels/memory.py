"""A channel without a vendor: keeps what it was asked to show, for tests of loops and gateways."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

from loops.actors import Human
from loops.canonical import canonical_json
from loops.cards import LostCard, Notice
from loops.effects import GivenUp
from loops.errors import Gone, LoopgateError, Rejected
from loops.events import Event
from loops.ports import Loaded, Person


@dataclass(frozen=True, slots=True)
class MemoryCard:
    """A card as it stands: what it was last rendered from, and how often it was."""

    effect_id: str
    subject: Loaded
    renderings: int
    route: str | None = None


class MemoryChannel:
    """
    Fits `loops.ports.Channel`. An address is ``{memory: number}``.

    `cards` are by that number, `replies` by effect (the card's number and the event), in order, as `notices` are;
    `messages`, with whom they are `in_stead_of`, and `files` by effect and person, `alarms` and `alerts` by effect.
    `fail_next` makes the next call raise; with `after=True` only after it did its work, as when an answer is lost on
    the way back.
    """

    def __init__(self) -> None:
        self.cards: dict[int, MemoryCard] = {}
        self.notices: list[tuple[Notice, Loaded | None]] = []
        self.alarms: dict[str, LostCard] = {}
        self.alerts: dict[str, GivenUp] = {}
        self.replies: dict[str, tuple[int, Event]] = {}
        self.messages: dict[tuple[str, str], Event | None] = {}
        self.in_stead_of: dict[tuple[str, str], tuple[str, ...]] = {}
        self.files: dict[tuple[str, str], bytes] = {}
        self._numbers = count(1)
        self._failure: tuple[LoopgateError, bool] | None = None

    def fail_next(self, error: LoopgateError, *, after: bool = False) -> None:
        """Let the next call raise *error*."""
        self._failure = (error, after)

    async def post(self, subject: Loaded, effect_id: str, *, again: bool, route: str | None = None) -> dict[str, Any]:
        """Keep the card; *again* gives the address of the one posted under *effect_id* before."""
        self._fail(after=False)
        if subject.request is None:
            raise Rejected(f"instance {subject.instance.instance_id} has no approval request to show")
        posted = (number for number, card in self.cards.items() if card.effect_id == effect_id)
        number = next(posted, None) if again else None
        if number is None:
            number = next(self._numbers)
            self.cards[number] = MemoryCard(effect_id, subject, 1, route)
        self._fail(after=True)
        return {"memory": number}

    async def update(self, subject: Loaded, address: Mapping[str, Any]) -> None:
        """Keep what the card now shows."""
        self._fail(after=False)
        if subject.request is None:
            raise Rejected(f"instance {subject.instance.instance_id} has no approval request to show")
        number = address.get("memory")
        card = self.cards.get(number) if isinstance(number, int) else None
        if card is None or not isinstance(number, int):
            raise Gone(f"there is no card at {dict(address)}; it was deleted, or not posted through this channel")
        self.cards[number] = MemoryCard(card.effect_id, subject, card.renderings + 1, card.route)
        self._fail(after=True)

    async def reply(
        self, subject: Loaded, event: Event, address: Mapping[str, Any], effect_id: str, *, again: bool
    ) -> None:
        """Keep the reply; *again* leaves one that was posted under *effect_id* before."""
        del subject
        self._fail(after=False)
        number = address.get("memory")
        if not isinstance(number, int) or number not in self.cards:
            raise Rejected(f"there is no card at {dict(address)}; it was not posted through this channel")
        if not again and effect_id in self.replies:
            raise Rejected(f"the reply {effect_id} was posted twice")
        self.replies[effect_id] = (number, event)
        self._fail(after=True)

    async def message(
        self,
        person: Person,
        subject: Loaded,
        event: Event | None,
        address: Mapping[str, Any],
        effect_id: str,
        *,
        again: bool,
        in_stead_of: Sequence[str] = (),
    ) -> bool:
        """Keep the message; *again* leaves one that *person* was sent under *effect_id* before."""
        del subject
        self._fail(after=False)
        number = address.get("memory")
        if not isinstance(number, int) or number not in self.cards:
            raise Rejected(f"there is no card at {dict(address)}; it was not posted through this channel")
        if not person.identities:
            return False
        if not again and (effect_id, person.person_id) in self.messages:
            raise Rejected(f"the message {effect_id} was sent twice")
        self.messages[effect_id, person.person_id] = event
        self.in_stead_of[effect_id, person.person_id] = tuple(in_stead_of)
        self._fail(after=True)
        return True

    async def alert(self, given_up: GivenUp, subject: Loaded | None, effect_id: str, *, again: bool) -> bool:
        """Keep what was given up, once under *effect_id*."""
        del subject, again
        self._fail(after=False)
        self.alerts[effect_id] = given_up
        self._fail(after=True)
        return True

    async def alarm(self, lost: LostCard, subject: Loaded | None, effect_id: str, *, again: bool) -> bool:
        """Keep the alarm; *again* leaves one that was raised under *effect_id* before."""
        del subject, again
        self._fail(after=False)
        self.alarms[effect_id] = lost
        self._fail(after=True)
        return True

    async def disclose(self, person: Person, subject: Loaded, effect_id: str, *, again: bool) -> bool:
        """Keep the file; *again* leaves one that *person* was sent under *effect_id* before."""
        self._fail(after=False)
        if subject.request is None:
            raise Rejected(f"instance {subject.instance.instance_id} has no approval request to show")
        if not person.identities:
            return False
        if not again and (effect_id, person.person_id) in self.files:
            raise Rejected(f"the file {effect_id} was sent twice")
        self.files[effect_id, person.person_id] = canonical_json(subject.request.proposal.as_digested())
        self._fail(after=True)
        return True

    async def tell(self, notice: Notice, subject: Loaded | None) -> None:
        """Keep the notice."""
        self._fail(after=False)
        if not isinstance(notice.address.get("slackUserId"), str):
            raise Rejected("the notice's address names no user; nobody can be told")
        self.notices.append((notice, subject))
        self._fail(after=True)

    def _fail(self, *, after: bool) -> None:
        if self._failure and self._failure[1] is after:
            error, self._failure = self._failure[0], None
            raise error


class MemoryConfirmer:
    """
    Fits `loops.ports.Confirmer`: knows the people tests tell it of, by the channel's user id, and notes who was asked.

    `standing` is what keeps somebody from deciding, by the same ids; `on_learn` does what learning does to a directory.
    """

    def __init__(self, people: Mapping[str, Human] | None = None) -> None:
        self.people = dict(people or {})
        self.standing: dict[str, str] = {}
        self.learned: list[str] = []
        self.on_learn: Callable[[Sequence[str]], None] = self.learned.extend
        self._failures: list[LoopgateError] = []

    def fail_next(self, *errors: LoopgateError) -> None:
        """Let the next calls raise *errors*, one each."""
        self._failures += errors

    async def who(self, tenant: str, evidence: Mapping[str, Any]) -> tuple[Human | None, Mapping[str, Any]]:
        """Return who it was."""
        del tenant
        self._fail()
        user = str(evidence.get("slackUserId"))
        if standing := self.standing.get(user):
            return None, {"slackStanding": standing}
        return self.people.get(user), {}

    async def learn(self, tenant: str, people: Sequence[str]) -> None:
        """Note who was asked about."""
        del tenant
        self._fail()
        self.on_learn(people)

    def _fail(self) -> None:
        if self._failures:
            raise self._failures.pop(0)


class MemoryOpeners:
    """Keeps who opened their tab, for ever. Fits `channels.slack.ports.Openers`."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], None] = {}

    async def opened(self, team: str, user: str, lifetime: timedelta) -> None:
        """Remember *user*."""
        del lifetime
        await self.left(team, user)
        self._kept[team, user] = None

    async def left(self, team: str, user: str) -> None:
        """Forget *user*."""
        self._kept.pop((team, user), None)

    async def recent(self, team: str, *, limit: int) -> list[str]:
        """Return who looked last, the latest first."""
        return [user for of, user in reversed(self._kept) if of == team][:limit]


class MemoryKnowledge:
    """Keeps what a channel said, for ever. Fits `channels.slack.ports.Knowledge`."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[int, str]] = {}
        self._turns: dict[tuple[str, str], int] = {}

    async def known(self, team: str, names: Sequence[str]) -> Sequence[str | None]:
        """Return what is believed."""
        return [self._believed(team, name) for name in names]

    async def turn(self, team: str, name: str) -> int:
        """Return the turn of *name*."""
        return self._turns.get((team, name), 0)

    async def keep(self, team: str, name: str, turn: int, text: str, lifetime: timedelta) -> None:
        """Keep *text*."""
        del lifetime
        if turn == await self.turn(team, name):
            self._kept[team, name] = (turn, text)

    async def changed(self, team: str, name: str) -> int:
        """Begin a new turn."""
        self._turns[team, name] = turn = await self.turn(team, name) + 1
        return turn

    def _believed(self, team: str, name: str) -> str | None:
        turn, text = self._kept.get((team, name), (-1, ""))
        return text if turn == self._turns.get((team, name), 0) else None
