"""The Bolt app under uvicorn, with the sandbox on the other side, over HTTP, and a gate that can be away."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx2
import uvicorn
from builders import TENANT, House
from patience import PATIENCE_S
from pydantic import SecretStr
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette
from starlette.types import ASGIApp
from unit.slack.taken import assert_everything_taken

from channels.memory import MemoryOpeners
from channels.slack.app import create_bolt_app
from channels.slack.asgi import slack_routes
from channels.slack.channel import SlackChannel
from channels.slack.client import slack_client
from channels.slack.home import Home
from channels.slack.installation import SlackInstallation
from channels.slack.listening import Desk
from channels.slack.members import Members
from channels.slack.ports import Knowledge
from channels.slack.reception import Reception
from channels.slack.roster import Roster
from channels.slack.socket_mode.counts import SocketCounts
from channels.slack.socket_mode.keeper import Pace, socket_mode
from channels.slack_sandbox.app import create_app
from channels.slack_sandbox.config import SandboxConfig
from channels.slack_sandbox.server import breakable
from gateway.clock import SystemClock
from gateway.gate import EngineGate
from loops.approvals import ApprovalRequest, HumanAnswer
from loops.errors import StoreUnavailable
from loops.outcomes import Outcome
from loops.ports import Loaded

BOT_TOKEN, SIGNING_SECRET, APP_TOKEN = "xoxb-test", "signing-secret", "xapp-test"
PEOPLE = ("UDANA", "USAM", "UROBIN", "UKIM", "UGHOST")


class SeenInMemory:
    """Remembers keys; can be away, or silent."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.is_away = self.is_silent = False

    async def first_time(self, key: str, ttl: timedelta) -> bool:
        """Return True the first time."""
        assert ttl >= timedelta(minutes=10)
        if self.is_away:
            raise StoreUnavailable("away")
        if self.is_silent:
            await asyncio.Event().wait()
        is_first = key not in self.keys
        self.keys.add(key)
        return is_first


@dataclass
class Gate:
    """The real engine behind the port. `answers` are what came in; it can be away, or made to wait."""

    inner: EngineGate
    answers: list[HumanAnswer] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    is_away: bool = False
    loses_answers: bool = False
    before: Callable[[], Awaitable[None]] | None = None

    async def answer(self, answer: HumanAnswer, *, tenant: str) -> Outcome:
        """Take an answer."""
        assert tenant == TENANT
        self._here()
        if self.before:
            await self.before()
        self.answers.append(answer)
        self.outcomes.append(await self.inner.answer(answer, tenant=tenant))
        if self.loses_answers:
            raise StoreUnavailable("committed, but nobody heard")
        return self.outcomes[-1]

    async def load_request(self, tenant: str, request_id: str) -> Loaded | None:
        """Return a request."""
        self._here()
        return await self.inner.load_request(tenant, request_id)

    async def open_instances(self, tenant: str, **page: Any) -> Any:
        """Return open instances."""
        self._here()
        return await self.inner.open_instances(tenant, **page)

    def __getattr__(self, name: str) -> Any:
        """Look up and do what the real gate does beside answers."""
        self._here()
        return getattr(self.inner, name)

    def _here(self) -> None:
        if self.is_away:
            raise StoreUnavailable("away")


@dataclass
class Rig:
    """A workspace, a gateway and a card in it."""

    house: House
    gate: Gate
    seen: SeenInMemory
    client: AsyncWebClient
    channel: SlackChannel
    installation: SlackInstallation
    sandbox: httpx2.AsyncClient
    gateway_url: str
    request: ApprovalRequest
    address: dict[str, Any]
    counts: SocketCounts
    #: Home as a worker has it, which shares with the gateway who looks at their tab.
    home: Home
    #: Stop taking deliveries over Socket Mode, before the rest ends.
    stop: Callable[[], Awaitable[None]]

    async def act(self, kind: str, user: str, **act: Any) -> dict[str, Any]:
        """Act as *user* in the sandbox."""
        answer = await self.sandbox.post(f"/sandbox/act/{kind}", json={"user": user, **act})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def click(self, user: str, action_id: str, **more: Any) -> dict[str, Any]:
        """Press a button on the card."""
        return await self.act("click", user, action_id=action_id, **(self.address | more))

    async def approve(self, user: str) -> dict[str, Any]:
        """Press Approve on the card."""
        return await self.click(user, "loopgate.answer.approve.0")

    async def reject(self, user: str) -> dict[str, Any]:
        """Press Reject on the card."""
        return await self.click(user, "loopgate.ask.reject.1")

    async def get(self, what: str, **query: str) -> list[dict[str, Any]]:
        """Return messages, ephemerals, views, calls or deliveries of the sandbox."""
        answer = (await self.sandbox.get(f"/sandbox/{what}", params=query)).json()
        found = next(value for key, value in answer.items() if key != "ok")
        return list(found)

    async def whispers(self, user: str) -> list[str]:
        """Return what *user* alone was told."""
        return [message["text"] for message in await self.get("ephemerals", user=user)]

    async def fault(self, method: str, kind: str, **more: Any) -> None:
        """Let the next call of *method*, or delivery of that kind, go wrong."""
        answer = await self.sandbox.post("/sandbox/faults", json={"method": method, "kind": kind, **more})
        assert answer.status_code == 200, answer.text

    async def stored(self) -> Loaded:
        """Return the request as the store has it."""
        found = await self.house.store.load_request(TENANT, self.request.request_id)
        assert found is not None
        return found


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    """Serve *app* on a free loopback port and yield its URL. A sandbox's connections can be broken."""
    http = breakable(app) if isinstance(app, Starlette) else "auto"
    config = uvicorn.Config(
        app, port=0, http=http, log_level="error", lifespan="on", date_header=False, timeout_graceful_shutdown=2
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve())
    await server.is_up.wait()
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


def workspace(gateway_url: str, *, is_socket: bool = False) -> SandboxConfig:
    """
    Return a workspace with one channel and the people of the house, and one nobody knows.

    An app has as long to answer as tests have patience: what is late is what a test makes late. Over Socket Mode its
    connections get a ping every tenth of a second.
    """
    return SandboxConfig.model_validate(
        {
            "team": {"id": "T1"},
            "app": {
                "app_id": "A1",
                "bot_token": BOT_TOKEN,
                "signing_secret": SIGNING_SECRET,
                "bot_user": {"id": "UBOT", "name": "loopgate"},
                "request_url": f"{gateway_url}/slack/events",
                "commands": [{"command": "/loops"}],
                "app_token": APP_TOKEN,
                "socket_mode": is_socket,
            },
            "channels": [
                {"id": "C1", "name": "sre-approvals", "members": ["UBOT", *PEOPLE]},
                {"id": "C2", "name": "elsewhere", "members": list(PEOPLE)},
            ],
            "users": [{"id": user, "name": user.lower()} for user in PEOPLE],
            "rate_limits": "off",
            "ack_deadline_s": PATIENCE_S,
            **({"socket_ping_s": 0.1} if is_socket else {}),
        }
    )


@asynccontextmanager
async def a_rig(
    house: House, *, behind: str | None = None, members: Knowledge | None = None, socket: Pace | None = None
) -> AsyncIterator[Rig]:
    """
    Yield a gateway over *house* and a sandbox, with one card posted.

    Args:
        members: Keeps who may decide.
        socket: Slack delivers over Socket Mode, at that pace.
    """
    gateway = Starlette()
    gate = Gate(
        EngineGate(
            house.engine,
            house.store,
            effects=house.store,  # type: ignore[arg-type]
            definitions=house.definitions,
            directory=house.people,
            clock=house.clock,
        )
    )
    seen = SeenInMemory()
    counts = SocketCounts()
    async with (
        served(gateway) as gateway_url,
        served(create_app(workspace(gateway_url, is_socket=socket is not None))) as sandbox_url,
    ):
        installation = SlackInstallation(
            "T1",
            "A1",
            SecretStr(BOT_TOKEN),
            SecretStr(SIGNING_SECRET),
            "UBOT",
            f"{sandbox_url}/api/",
            SecretStr(APP_TOKEN),
        )
        async with (
            slack_client(installation, factor=1000) as client,
            httpx2.AsyncClient(base_url=sandbox_url, trust_env=False, timeout=PATIENCE_S) as driver,
            AsyncExitStack() as stack,
        ):
            known = Members(client, Roster(members, "T1")) if members else None
            openers = MemoryOpeners()
            bolt = create_bolt_app(
                installation,
                client,
                gate=gate,
                directory=house.people,
                tenant=TENANT,
                members=known,
                openers=openers,
            )
            if socket:
                taking = socket_mode(
                    Reception(bolt, installation), client, installation, seen=seen, counts=counts, pace=socket
                )
                await stack.enter_async_context(taking)
            else:
                gateway.router.routes.extend(slack_routes(bolt, installation, seen=seen, clock=SystemClock()))
            channel = SlackChannel(client, installation, routes={"sre-approvals": "C1"})
            request = await house.propose(behind=behind)
            subject = await house.store.load_request(TENANT, request.request_id)
            assert subject is not None
            address = await channel.post(subject, "ef_card", again=False)
            made = Rig(
                house,
                gate,
                seen,
                client,
                channel,
                installation,
                driver,
                gateway_url,
                request,
                address,
                counts,
                Home(Desk(installation, client, gate, house.people, TENANT), openers),
                stack.aclose,
            )
            yield made
            # Whatever a test made us say to Slack: all who know what Slack takes would have taken it.
            sent = await made.get("deliveries")
            assert_everything_taken(await made.get("calls"), [each["answer"] for each in sent if each["status"] == 200])
