"""Where the cards are, in Redis."""

from redis.asyncio import Redis

from gateway.storage import keys
from gateway.storage.scripts import Script, script
from gateway.storage.seam import store_errors
from loops.cards import Card


class RedisCards:
    """`gateway.jobs.ports.Cards`."""

    def __init__(self, client: "Redis") -> None:
        self._client = client
        self._save: Script = script(client, "card")

    async def card(self, tenant: str, request_id: str) -> Card | None:
        """Return the posted card of a request, or None."""
        with store_errors():
            body = await self._client.hget(keys.CARD + keys.pair(tenant, request_id), "b")
        return None if body is None else Card.model_validate_json(body)

    async def save_card(self, card: Card) -> None:
        """Keep *card*; one with a lower `rendered_version` than the kept one changes nothing."""
        with store_errors():
            await self._save(
                keys.pair(card.tenant, card.request_id), card.rendered_version, card.model_dump_json(exclude_none=True)
            )
