"""The export: what the store, the system of record and the channel hold when it is over, as the checker takes it."""

from chaos.feed import card_of
from chaos.records import Call, CardSeen, EffectSeen, Found, Ledger
from chaos.world import World
from redis.asyncio import Redis
from stack import CHANNEL

from gateway.audit import audit
from gateway.storage import keys
from gateway.storage.connect import connect
from gateway.storage.redis_effects import RedisEffects
from gateway.storage.redis_store import RedisStore
from loops.instance import LoopInstance
from loops.ledger import Verified

_TENANT = "default"


async def is_quiet(world: World) -> bool:
    """Whether the store holds nothing that still has to happen."""
    async with connect(world.store_url) as client:
        open_now, _ = await RedisStore(client).instances(_TENANT, limit=1)
        return not open_now and not any((await _leftovers(client)).values())


async def export(world: World, found: Found) -> None:
    """Read everything into *found*."""
    found.calls = [_call(each) for each in world.calls()["received"]]
    found.cards = _cards(world)
    async with connect(world.store_url) as client:
        store, effects = RedisStore(client), RedisEffects(client)
        for instance in await _instances(store):
            found.ledgers.append(await _ledger(store, instance))
            found.effects += [
                EffectSeen(
                    effect_id=record.effect.effect_id,
                    change=instance.aggregate_id,
                    kind=record.effect.kind,
                    state=record.state,
                    request_id=record.effect.grant.request_id if record.effect.grant else "",
                    error=record.why or "",
                    attempts=record.attempts,
                )
                for record in await effects.effects_of(_TENANT, instance.instance_id)
            ]
        found.leftovers = await _leftovers(client)


async def _leftovers(client: "Redis") -> dict[str, int]:
    return {
        "outbox entries": await client.llen(keys.OUTBOX),
        "effects to look at again": await client.zcard(keys.EFFECTS_OPEN),
        "deadlines": await client.zcard(keys.DEADLINES),
        "cards behind": await client.zcard(keys.CARDS_BEHIND),
    }


async def _instances(store: RedisStore) -> list[LoopInstance]:
    found = dict[str, LoopInstance]()
    for closed in (False, True):
        cursor = None
        while True:
            page, cursor = await store.instances(_TENANT, cursor=cursor, limit=100, closed=closed)
            found |= {instance.instance_id: instance for instance in page}
            if cursor is None:
                break
    return list(found.values())


async def _ledger(store: RedisStore, instance: LoopInstance) -> Ledger:
    audited = await audit(store, _TENANT, instance.instance_id)
    if audited is None:
        return Ledger(instance.aggregate_id, instance.instance_id, instance.status, (), "it is not there")
    broken = "" if isinstance(audited.verdict, Verified) else audited.verdict.reason
    events = tuple(event.as_json() for event in audited.events)
    return Ledger(instance.aggregate_id, instance.instance_id, audited.instance.status, events, broken)


def _call(each: dict[str, object]) -> Call:
    data = each["data"]
    assert isinstance(data, dict)
    approval = data.get("approval", {})
    return Call(
        effect_id=str(each["id"]),
        change=data["aggregateId"],
        request_id=approval.get("requestId", ""),
        digest=approval.get("digest", ""),
        at=float(str(each["at"])),
        acted=bool(each["acted"]),
    )


def _cards(world: World) -> list[CardSeen]:
    answer = world.http.get(f"{world.sandbox}/sandbox/messages", params={"channel": CHANNEL}).json()
    return [seen for message in answer["messages"] if (seen := card_of(message))]
