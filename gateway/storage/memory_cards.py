"""Where cards are, and which of them show less than they should, in memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.jobs.ports import CardBehind
from gateway.storage.asked import cards_asked_for
from gateway.storage.memory_time import Timed
from gateway.storage.spans import BEHIND_LONGEST, BEHIND_LOOKS
from loops.cards import Card
from loops.commit import Commit


@dataclass(slots=True)
class _Behind:
    """What a card is to show, when it is looked at next, and how often it was."""

    wanted: int
    look_at: datetime
    looks: int = 0


class MemoryCards(Timed):
    """`gateway.jobs.ports.Cards`. A card that is behind is looked at first after *behind_after*."""

    def __init__(self, now: Callable[[], datetime], behind_after: timedelta) -> None:
        Timed.__init__(self, now)
        self._behind_after = behind_after
        self._cards: dict[tuple[str, str, int], str] = {}
        self._behind: dict[tuple[str, str], _Behind] = {}

    async def card(self, tenant: str, request_id: str, copy_number: int = 0) -> Card | None:
        """Return the posted card of a request, or one of its copies; None where it is not posted."""
        body = self._cards.get((tenant, request_id, copy_number))
        return None if body is None else Card.model_validate_json(body)

    async def save_card(self, card: Card) -> None:
        """Keep *card*; one with a lower `rendered_version` than the kept one changes nothing."""
        kept = await self.card(card.tenant, card.request_id, card.copy_number)
        if kept is None or kept.rendered_version <= card.rendered_version:
            self._cards[card.tenant, card.request_id, card.copy_number] = card.model_dump_json(exclude_none=True)
            behind = None if card.copy_number else self._behind.get((card.tenant, card.request_id))
            if behind and behind.wanted <= card.rendered_version:
                await self.put_aside(card.tenant, card.request_id)

    async def behind(self, *, limit: int = 20) -> Sequence[CardBehind]:
        """Return cards that show less than commits asked them to, each again after a pause that doubles."""
        now = self._now()
        due = sorted((behind.look_at, owner) for owner, behind in self._behind.items() if behind.look_at <= now)
        found = []
        for _, (tenant, request_id) in due[: max(0, limit)]:
            behind = self._behind[tenant, request_id]
            behind.looks += 1
            is_last = behind.looks >= BEHIND_LOOKS
            behind.look_at = now + min(self._behind_after * 2.0 ** (behind.looks - 1), BEHIND_LONGEST)
            if is_last:
                await self.put_aside(tenant, request_id)
            found.append(CardBehind(tenant, request_id, behind.looks, is_last))
        return found

    async def put_aside(self, tenant: str, request_id: str) -> None:
        """Look no more after the card of a request, until a commit asks for it again."""
        self._behind.pop((tenant, request_id), None)

    def expect_cards(self, commit: Commit) -> None:
        """Note which cards *commit* asks for."""
        instance = commit.instance
        for request_id in cards_asked_for(commit):
            self._behind[instance.tenant, request_id] = _Behind(instance.version, self._now() + self._behind_after)

    def drop_cards(self, tenant: str, request_id: str) -> None:
        """Forget the card of a request, and its copies."""
        self._behind.pop((tenant, request_id), None)
        for card in [each for each in self._cards if each[:2] == (tenant, request_id)]:
            del self._cards[card]
