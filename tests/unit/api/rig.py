"""The API in one process: the real table and door, the real engine, storage in memory."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from builders import CountingIds, House, a_change, a_house
from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from gateway.api.adhoc import AdhocConfig
from gateway.api.api import api_routes
from gateway.api.approvals import Approvals
from gateway.api.bell import Bell
from gateway.api.endpoint import BODY_DEADLINE_S, Door, Endpoint
from gateway.api.events import Events
from gateway.api.keys import ApiKey, Scope, digest_of, new_token
from gateway.api.loops import Loops
from gateway.api.problems import unrouted
from gateway.api.runs import Runs
from gateway.api.subscriptions import Subscriptions
from gateway.api.table import endpoints
from gateway.backpressure import always
from gateway.destinations import Destinations
from gateway.storage.memory import MemoryStore
from gateway.storage.memory_api_keys import MemoryApiKeys
from gateway.storage.memory_feed import MemoryFeed
from gateway.storage.memory_subscriptions import MemorySubscriptions
from loops.definition import LoopDefinition
from loops.staffing import shortfalls

ALL: tuple[Scope, ...] = ("loops:write", "approvals:request", "events:read")
ADHOC = AdhocConfig(channels=("sre-approvals",), groups=("sre",), users=("kim",))


@dataclass
class Rig:
    """The API, what stands behind it, and a client with a key of its own."""

    house: House
    store: MemoryStore
    keys: MemoryApiKeys
    client: httpx2.AsyncClient
    table: tuple[Endpoint, ...]
    key: ApiKey
    token: str
    bell: Bell
    app: Starlette
    feed: MemoryFeed
    subscriptions: MemorySubscriptions

    async def a_token(self, *scopes: Scope, tenant: str = "default", service: str = "ci", **said: Any) -> str:
        """Return the token of a fresh key."""
        token, _ = await a_key(self.keys, self.house, scopes or ALL, tenant=tenant, service=service, **said)
        return token

    async def post(self, path: str, body: Any = None, *, token: str | None = None, **headers: str) -> httpx2.Response:
        sent = {"authorization": f"Bearer {token or self.token}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        return await self.client.post(f"/api/v1{path}", json=body, headers=sent)

    async def get(self, path: str, *, token: str | None = None, **headers: str) -> httpx2.Response:
        sent = {"authorization": f"Bearer {token or self.token}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        return await self.client.get(f"/api/v1{path}", headers=sent)

    async def delete(self, path: str, *, token: str | None = None) -> httpx2.Response:
        headers = {"authorization": f"Bearer {token or self.token}"}
        return await self.client.delete(f"/api/v1{path}", headers=headers)

    async def started(self, aggregate: str = "CHG-1", **payload: Any) -> dict[str, Any]:
        """Start the test loop on *aggregate*."""
        known = {"changeId": aggregate, "service": "checkout"}
        answer = await self.post(
            "/loops", {"loopId": "test.change", "aggregateId": aggregate, "payload": known | payload}
        )
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def submitted(self, aggregate: str = "CHG-1") -> dict[str, Any]:
        """Have an agent submit its analysis, so that humans are asked."""
        answer = await self.post(f"/loops/{aggregate}/transition", an_analysis())
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


def an_analysis(**evidence: Any) -> dict[str, Any]:
    known = {"confidence": 0.9, "blast_radius_score": 0.2, "affected_services": ["checkout"], "reasoning": "Small."}
    agent = {"id": "analyst", "type": "ai-agent", "modelId": "m-1", "provider": "anthropic", "confidence": 0.9}
    return {"signalId": "submit_analysis", "actor": agent, "evidence": known | evidence}


async def a_key(
    keys: MemoryApiKeys, house: House, scopes: Iterable[Scope], *, tenant: str, service: str, **said: Any
) -> tuple[str, ApiKey]:
    token = new_token()
    fields = {
        "key_id": f"ak_{token[-6:]}",
        "tenant": tenant,
        "service": service,
        "scopes": tuple(scopes),
        "token_digest": digest_of(token),
        "created_at": house.clock.now(),
    }
    key = ApiKey.model_validate(fields | said)
    await keys.save(key)
    return token, key


@asynccontextmanager
async def an_api(
    *,
    adhoc: AdhocConfig | None = ADHOC,
    key_limit: int = 10_000,
    tenant_limit: int = 10**9,
    store: MemoryStore | None = None,
    body_deadline_s: float = BODY_DEADLINE_S,
    let_in: Callable[[], Awaitable[None]] = always,
) -> AsyncIterator[Rig]:
    """Yield the API with one key that may do everything but administer."""
    store = store or MemoryStore()
    ids = CountingIds()
    house = a_house(a_change(), store=store, ids=ids)
    keys, feed, subscriptions = MemoryApiKeys(house.clock.now), MemoryFeed(store), MemorySubscriptions()
    bell = Bell(feed)

    def unmanned(definition: LoopDefinition) -> list[str]:
        people = {person_id: person.groups for person_id, person in house.people.known.items()}
        policies = [state.approval for state in definition.states if state.approval]
        return [f"needs {policy.named()}" for policy in policies if list(shortfalls(policy, people))]

    table = endpoints(
        Loops(house.engine, store, store, house.definitions, ids, house.people),
        Approvals(house.engine, store, ids, house.people, adhoc, unmanned, bell),
        Runs(store, store, house.clock),
        Events(feed, bell, keys, house.clock, heartbeat_s=0.05),
        Subscriptions(subscriptions, feed, house.clock, ids, Destinations()),
    )
    token, key = await a_key(keys, house, ALL, tenant="default", service="ci")
    door = Door(
        keys,
        house.clock.now,
        key_limit=key_limit,
        tenant_limit=tenant_limit,
        body_deadline_s=body_deadline_s,
        let_in=let_in,
    )
    app = Starlette(routes=api_routes(table, door), exception_handlers={HTTPException: unrouted})
    listening = asyncio.create_task(bell.listen())
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://gateway") as client:
        yield Rig(house, store, keys, client, table, key, token, bell, app, feed, subscriptions)
    listening.cancel()
