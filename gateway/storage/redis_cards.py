"""Where the cards are, in Redis, and which of them are behind."""

from collections.abc import Sequence
from datetime import timedelta

from redis.asyncio import Redis

from gateway.jobs.ports import CardBehind
from gateway.storage import keys
from gateway.storage.scripts import Script, script
from gateway.storage.seam import store_errors
from gateway.storage.spans import BEHIND_AFTER, BEHIND_LONGEST, BEHIND_LOOKS, milliseconds
from loops.cards import Card


class RedisCards:
    """`gateway.jobs.ports.Cards`."""

    def __init__(self, client: "Redis", *, first_pause: timedelta = BEHIND_AFTER) -> None:
        self._client = client
        self._first_pause_ms = milliseconds(first_pause, least=1)
        self._save: Script = script(client, "card")
        self._behind: Script = script(client, "behind")

    async def card(self, tenant: str, request_id: str, copy_number: int = 0) -> Card | None:
        """Return the posted card of a request, or one of its copies; None where it is not posted."""
        with store_errors():
            body = await self._client.hget(keys.CARD + _member(tenant, request_id, copy_number), "b")
        return None if body is None else Card.model_validate_json(body)

    async def save_card(self, card: Card) -> None:
        """Keep *card*; one with a lower `rendered_version` than the kept one changes nothing."""
        with store_errors():
            await self._save(
                _member(card.tenant, card.request_id, card.copy_number),
                card.rendered_version,
                card.model_dump_json(exclude_none=True),
            )

    async def behind(self, *, limit: int = 20) -> Sequence[CardBehind]:
        """Return cards that show less than commits asked them to, each again after a pause that doubles."""
        with store_errors():
            found = await self._behind(limit, self._first_pause_ms, milliseconds(BEHIND_LONGEST), BEHIND_LOOKS)
        return [_behind(card.decode(), looks) for card, looks in found]

    async def put_aside(self, tenant: str, request_id: str) -> None:
        """Look no more after the card of a request, until a commit asks for it again."""
        with store_errors():
            await self._client.zrem(keys.CARDS_BEHIND, keys.pair(tenant, request_id))


def _behind(card: str, looks: int) -> CardBehind:
    tenant, _, request = card.partition(":")
    return CardBehind(keys.unpart(tenant), keys.unpart(request), looks, is_last=looks >= BEHIND_LOOKS)


def _member(tenant: str, request_id: str, copy_number: int) -> str:
    first = keys.pair(tenant, request_id)
    return f"{first}:{copy_number}" if copy_number else first
