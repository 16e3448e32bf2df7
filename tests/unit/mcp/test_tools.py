"""The MCP tools, called by the official client: a model asks, waits, withdraws, and can never decide."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

pytest.importorskip("mcp")

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from unit.api.rig import an_api
from unit.api.test_approvals import decide
from unit.client.rig import GATEWAY, Clients, clients

from gateway.backpressure import TooMuchWaits
from gateway.client import AsyncLoopgate
from gateway.mcp.server import http_app, mcp_server
from gateway.mcp.tools import TOOLS, Asker
from loops.errors import Rejected

ASK: dict[str, Any] = {"title": "Delete it", "parameters": {"database": "staging", "replicas": 3}}
TOKEN = "a" * 32


@asynccontextmanager
async def model(asker: Asker | None = None) -> AsyncIterator[tuple[Clients, Client]]:
    """Yield the API, and an MCP client on the server of its key."""
    async with clients() as on, Client(mcp_server(on.awaiting, asker or Asker())) as client:
        yield on, client


async def told(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call *tool*, which must work, and return what it says."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return dict(result.structured_content or {})


async def refusal(client: Client, tool: str, **arguments: Any) -> str:
    """Call *tool*, which must refuse, and return the reason a model reads."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error, result.content
    return str(result.content[0].text)  # type: ignore[union-attr]


async def test_a_model_asks_waits_and_learns_what_people_changed() -> None:
    """Asked, still open, edited and approved: each answer says what to do now."""
    async with model() as (on, client):
        asked = await told(
            client, "request_approval", **ASK, editable={"replicas": {"type": "integer", "minimum": 1, "maximum": 5}}
        )
        still = await told(client, "wait_for_approval", approval_id=asked["approvalId"], timeout_s=0)
        waiting = asyncio.create_task(told(client, "wait_for_approval", approval_id=asked["approvalId"]))
        await decide(on.api, asked["approvalId"], edits={"parameters.replicas": 2})
        found = await waiting
        again = await told(client, "get_approval", approval_id=asked["approvalId"])

    assert (asked["status"], still["status"], found["status"]) == ("open", "open", "approved")
    assert "Do not act" in still["next"]
    assert found["parameters"] == ASK["parameters"] | {"replicas": 2}
    assert "not what you asked" in found["next"]
    assert again["decidedBy"]["personId"] == "dana"


async def test_a_rejection_says_what_not_to_do() -> None:
    """A model that only reads `next` is stopped."""
    async with model() as (on, client):
        asked = await told(client, "request_approval", **ASK)
        await decide(on.api, asked["approvalId"], "reject", reason="Not today")
        found = await told(client, "wait_for_approval", approval_id=asked["approvalId"])

    assert (found["status"], found["decidedBy"]["reason"]) == ("rejected", "Not today")
    assert "Do not do it" in found["next"]


async def test_what_is_no_longer_needed_is_withdrawn() -> None:
    """A request is taken back with a reason; a second time it is refused with why."""
    async with model() as (_, client):
        asked = await told(client, "request_approval", **ASK)
        gone = await told(client, "withdraw", approval_id=asked["approvalId"], reason="Found another way")
        why = await refusal(client, "withdraw", approval_id=asked["approvalId"], reason="Again")

    assert gone["status"] == "withdrawn"
    assert "request_closed" in why


async def test_a_model_is_told_that_too_much_waits() -> None:
    """Where the gateway takes no more work, the model reads that nothing was recorded, and to try again later."""

    async def full() -> None:
        raise TooMuchWaits("100 effects wait", retry_after=30)

    async with an_api(let_in=full) as api:
        way = api.client._transport
        gateway = AsyncLoopgate(GATEWAY, api.token, patience_s=10, transport=way)
        async with gateway, Client(mcp_server(gateway, Asker())) as client:
            why = await refusal(client, "request_approval", **ASK)

    assert "nothing was recorded" in why
    assert "try again later" in why


async def test_loops_are_listed_with_where_they_stand() -> None:
    """A model sees what is under way."""
    async with model() as (_, client):
        asked = await told(client, "request_approval", **ASK)
        page = await told(client, "list_loops", loop_id="adhoc.approval")

    assert [(each["instanceId"], each["currentState"]) for each in page["loops"]] == [
        (asked["instanceId"], "PENDING_HUMAN_APPROVAL")
    ]


async def test_same_key_asks_people_once() -> None:
    """A restarted agent finds what it asked before."""
    async with model() as (_, client):
        ids = {(await told(client, "request_approval", **ASK, key="delete-7"))["approvalId"] for _ in range(2)}
        why = await refusal(client, "request_approval", title="Other", parameters={}, key="delete-7")

    assert len(ids) == 1
    assert "idempotency_key_reused" in why


async def test_no_tool_decides() -> None:
    """Asking, waiting, withdrawing and reading is all there is; every tool teaches when to call it."""
    async with model() as (_, client):
        listed = (await client.list_tools()).tools

    assert {tool.name for tool in listed} == {tool.__name__ for tool in TOOLS}
    assert {tool.name for tool in listed} == {
        *("request_approval", "get_approval", "wait_for_approval", "withdraw", "list_loops")
    }
    assert all(tool.description and tool.annotations and tool.output_schema for tool in listed)


async def test_whom_the_model_acts_for_is_not_its_own_word() -> None:
    """The person and the model behind every request are the server's; an argument of that name is not taken."""
    agent = {"id": "shop-agent", "type": "ai-agent", "modelId": "m-1", "provider": "anthropic"}
    async with model(Asker("robin", agent)) as (on, client):
        asked = await told(client, "request_approval", **ASK)
        loaded = await on.api.store.load_request("default", asked["approvalId"])
        [tool] = [each for each in (await client.list_tools()).tools if each.name == "request_approval"]

    assert loaded is not None
    assert loaded.request is not None
    requester = loaded.request.proposal.requester
    assert (requester.type, requester.id, requester.on_behalf_of) == ("ai-agent", "shop-agent", "robin")  # type: ignore[union-attr]
    assert not {"on_behalf_of", "onBehalfOf", "actor"} & set(tool.input_schema["properties"])


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("request_approval", {"title": "", "parameters": {}}, "title"),
        ("request_approval", {"title": "x" * 151, "parameters": {}}, "title"),
        ("request_approval", {"title": "Delete it"}, "parameters"),
        ("request_approval", ASK | {"channel": "random"}, "channel: 'random' is not among sre-approvals"),
        ("request_approval", ASK | {"approver_groups": ["board"]}, "approvers.groups"),
        ("request_approval", ASK | {"parameters": {"n": 2**60}}, "beyond 2^53-1"),
        ("request_approval", ASK | {"expires_after": "soon"}, "expiresAfter"),
        ("request_approval", ASK | {"key": "a b"}, "key"),
        ("get_approval", {"approval_id": "ar_nope"}, "unknown_request"),
        ("get_approval", {"approval_id": "../loops"}, "unknown_request"),
        ("wait_for_approval", {"approval_id": "ar_nope", "timeout_s": 241}, "timeout_s"),
        ("withdraw", {"approval_id": "ar_nope", "reason": "x"}, "unknown_request"),
        ("withdraw", {"approval_id": "ar_nope"}, "reason"),
        ("list_loops", {"limit": 0}, "limit"),
        ("approve", {"approval_id": "ar_1"}, "approve"),
    ],
)
async def test_errors_are_the_tools_and_say_why(tool: str, arguments: dict[str, Any], says: str) -> None:
    """What is refused comes back as an error that a model can read and mend; nothing is asked."""
    async with model() as (on, client):
        why = await refusal(client, tool, **arguments)
        open_now = (await on.api.get("/approvals")).json()["approvals"]

    assert says in why
    assert "Traceback" not in why
    assert open_now == []


@asynccontextmanager
async def served(**headers: str) -> AsyncIterator[httpx2.AsyncClient]:
    """Yield an HTTP client of the server over streamable HTTP."""
    async with clients() as on:
        app = http_app(mcp_server(on.awaiting, Asker()), TOKEN, ["mcp.example.com"])
        transport = httpx2.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8090", headers=headers) as client,
        ):
            yield client


async def test_http_serves_those_who_have_the_token() -> None:
    """The same tools over streamable HTTP."""
    async with (
        served(authorization=f"Bearer {TOKEN}") as http,
        Client(streamable_http_client("http://127.0.0.1:8090/mcp", http_client=http)) as client,
    ):
        asked = await told(client, "request_approval", **ASK)

    assert asked["status"] == "open"


@pytest.mark.parametrize(
    "given", [{}, {"authorization": f"Bearer {'b' * 32}"}, {"authorization": TOKEN}, {"authorization": "Bearer \xe4"}]
)
async def test_http_refuses_everybody_else(given: dict[str, str]) -> None:
    """Without its own token the server reads nothing, whoever is on this machine."""
    async with served() as http:
        headers = {name: value.encode("latin-1") for name, value in given.items()}
        answer = await http.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1:8090", "origin": "http://evil.example"}, 403),
        ({"host": "mcp.example.com"}, 200),
        ({"host": "localhost:1"}, 200),
    ],
)
async def test_http_knows_its_own_names_only(headers: dict[str, str], status: int) -> None:
    """A web page that had its own name resolve to this machine (DNS rebinding) gets nothing."""
    async with served(authorization=f"Bearer {TOKEN}") as http:
        hello = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "initialize",
            "params": {
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": {"name": "t", "version": "1"},
            },
        }
        accept = {"accept": "application/json, text/event-stream"}
        answer = await http.post("/mcp", json=hello, headers=headers | accept)

    assert answer.status_code == status


@pytest.mark.parametrize("token", ["", "short", "ä" * 32])
def test_http_needs_a_token_worth_the_name(token: str) -> None:
    """An empty or short token opens nothing."""
    with pytest.raises(Rejected, match="LOOPGATE_MCP_TOKEN"):
        http_app(mcp_server(None, Asker()), token, [])  # type: ignore[arg-type]
