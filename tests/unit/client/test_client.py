"""Both clients on the real API: what they ask, learn and are refused."""

import asyncio
import inspect
import subprocess
import sys
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from patience import PATIENCE_S
from ports import refusing
from unit.api.rig import Rig
from unit.api.test_approvals import decide
from unit.client.rig import GATEWAY, clients
from unit.client.test_dialogues import VIEW

from gateway.client import Approval, AsyncLoopgate, Loopgate, LoopPage, NotApproved, Refused, TimedOut, Unavailable
from loops.errors import Rejected

COLOURS = pytest.mark.parametrize("colour", ["blocking", "awaiting"])
PARAMETERS = {"database": "staging", "replicas": 3}
REPLICAS = {"replicas": {"type": "integer", "minimum": 1, "maximum": 5}}


@COLOURS
async def test_approve_waits_and_gives_what_people_approved(colour: str) -> None:
    """Asked, edited and approved by a person, heard at once: the parameters are the edited ones."""
    async with clients() as on:
        asked = await on.call(colour, "request", "Delete it", PARAMETERS, editable=REPLICAS, key="k")
        approving = asyncio.create_task(
            on.call(colour, "approve", "Delete it", PARAMETERS, editable=REPLICAS, key="k", timeout_s=PATIENCE_S)
        )
        await decide(on.api, asked.approval_id, edits={"parameters.replicas": 2})
        found = await approving

    assert (asked.status, found.status, found.edited) == ("open", "approved", True)
    assert found.parameters == PARAMETERS | {"replicas": 2}
    assert found.decided_by.person_id == "dana"


@COLOURS
async def test_terms_reach_the_gateway(colour: str) -> None:
    """Facts, approvers, quorum, expiry, who asks and for whom stand on the request."""
    agent = {"id": "bot", "type": "ai-agent", "modelId": "m-1", "provider": "anthropic"}
    async with clients() as on:
        made = await on.call(
            colour,
            "request",
            "Delete it",
            PARAMETERS,
            facts={"Why": "costs"},
            approvers={"users": ["kim"]},
            expires_after=timedelta(minutes=30),
            on_behalf_of="robin",
            actor=agent,
        )
        loaded = await on.api.store.load_request("default", made.approval_id)

    assert made.facts == {"Why": "costs"}
    assert made.waiting_for == "1 of Kim"
    assert made.expires_at - made.created_at == timedelta(minutes=30)
    assert loaded is not None
    assert loaded.request is not None
    requester = loaded.request.proposal.requester
    assert (requester.type, requester.id, requester.on_behalf_of) == ("ai-agent", "bot", "robin")


@COLOURS
async def test_rejection_is_an_error_with_who_and_why(colour: str) -> None:
    """Whoever does not look at the status is stopped."""
    async with clients() as on:
        asked = await on.call(colour, "request", "Delete it", key="k")
        await decide(on.api, asked.approval_id, "reject", reason="Not today")
        with pytest.raises(NotApproved) as told:
            await on.call(colour, "approve", "Delete it", key="k")
        waited = await on.call(colour, "wait", asked.approval_id)

    assert told.value.status == waited.status == "rejected"
    assert "by Dana" in str(told.value)
    assert "Not today" in str(told.value)


@COLOURS
async def test_time_out_leaves_the_request_open_and_withdraw_takes_it_back(colour: str) -> None:
    """Silence is no answer; whoever stops waiting may go on later, or withdraw."""
    async with clients() as on:
        with pytest.raises(TimedOut) as told:
            await on.call(colour, "approve", "Delete it", timeout_s=0)
        open_id = told.value.approval.approval_id
        still = await on.call(colour, "get", open_id)
        gone = await on.call(colour, "withdraw", open_id, "Not needed")

    assert (still.status, gone.status) == ("open", "withdrawn")


@COLOURS
async def test_refusals_carry_code_and_fields(colour: str) -> None:
    """What the configuration does not allow is named, by field."""
    async with clients() as on:
        with pytest.raises(Refused) as told:
            await on.call(colour, "request", "Delete it", channel="random", quorum=9)
        with pytest.raises(Refused) as unknown:
            await on.call(colour, "get", "ar_nope/../../x")

    assert told.value.fields.keys() == {"channel", "quorum"}
    assert (unknown.value.status, unknown.value.code) == (404, "unknown_request")


@COLOURS
async def test_loops_are_listed_page_by_page(colour: str) -> None:
    """Instances come with where they stand, and a cursor to go on with."""
    async with clients() as on:
        for number in range(3):
            await on.api.started(f"CHG-{number}")
        first = await on.call(colour, "loops", loop_id="test.change", limit=2)
        second = await on.call(colour, "loops", loop_id="test.change", limit=2, cursor=first.next_cursor)

    assert [each.aggregate_id for each in first.loops + second.loops] == ["CHG-2", "CHG-1", "CHG-0"]
    assert second.next_cursor is None


async def _shown(api: Rig) -> list[dict[str, Any]]:
    """Return the open requests, once there is one."""
    async with api.bell.listening("default") as rung, asyncio.timeout(PATIENCE_S):
        while not (page := (await api.get("/approvals")).json()["approvals"]):
            await rung.wait()
            rung.clear()
    return list(page)


async def test_cancelled_task_takes_its_request_back() -> None:
    """Nobody decides for a caller that is gone."""
    async with clients() as on:
        waiting = asyncio.create_task(on.awaiting.approve("Delete it"))
        page = await _shown(on.api)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        found = await on.awaiting.get(page[0]["approvalId"])

    assert found.status == "withdrawn"


def test_interrupted_caller_takes_its_request_back() -> None:
    """Ctrl-C in a blocking call: one last word to the gateway, then the interrupt goes on."""
    sent: list[str] = []

    def gateway(request: httpx2.Request) -> httpx2.Response:
        sent.append(f"{request.method} {request.url.path}")
        if request.method == "GET":
            raise KeyboardInterrupt
        return httpx2.Response(201, json=VIEW)

    with Loopgate(GATEWAY, "le_0", transport=httpx2.MockTransport(gateway)) as client, pytest.raises(KeyboardInterrupt):
        client.approve("Delete it")

    assert sent == [
        "POST /api/v1/approvals", "GET /api/v1/approvals/ar_1", "POST /api/v1/approvals/ar_1/withdraw",
    ]  # fmt: skip


async def test_gateway_that_cannot_be_reached_is_unavailable() -> None:
    """A refused connection is ours to report: no vendor's exception reaches a caller."""
    with refusing() as port:
        url = f"http://127.0.0.1:{port}"
        with Loopgate(url, "le_0", patience_s=0) as blocking, pytest.raises(Unavailable, match="ConnectError"):
            blocking.get("ar_1")
        async with AsyncLoopgate(url, "le_0", patience_s=0) as awaiting:
            with pytest.raises(Unavailable, match="ConnectError"):
                await awaiting.get("ar_1")


@pytest.mark.parametrize("kind", [Loopgate, AsyncLoopgate])
@pytest.mark.parametrize(
    ("url", "token", "says"),
    [
        (None, "le_0", "LOOPGATE_URL is not set"),
        (GATEWAY, None, "LOOPGATE_TOKEN is not set"),
        ("loopgate.example", "le_0", "LOOPGATE_URL"),
        ("http://loopgate.example", "le_0", "must be https"),
        ("https://user:word@loopgate.example", "le_0", "takes neither"),
        (GATEWAY, "le_0\r\nx: y", "LOOPGATE_TOKEN is not a token"),
    ],
)
def test_what_cannot_be_connected_to_is_said(kind: Any, url: str | None, token: str | None, says: str) -> None:
    """A missing variable is named; a token goes over https or loopback only."""
    with pytest.raises(Rejected, match=says):
        kind(url, token)


@pytest.mark.parametrize("name", ["approve", "request", "get", "wait", "withdraw", "loops"])
def test_both_clients_have_every_call_and_help_says_what_it_returns(name: str) -> None:
    """One call reads the same on either client, down to its defaults; nobody is shown a generator."""
    one, other = (inspect.signature(getattr(kind, name)) for kind in (Loopgate, AsyncLoopgate))

    assert one == other
    assert one.return_annotation is (LoopPage if name == "loops" else Approval)


def test_importing_the_client_is_light() -> None:
    """A caller's program loads no store, queue, Slack, web server or model SDK with it."""
    heavy = "{'redis','rq','slack_sdk','slack_bolt','aiohttp','starlette','uvicorn','structlog','anthropic','mcp'}"
    program = (
        f"import sys, gateway.client; print({heavy} & {{name.partition('.')[0] for name in sys.modules}} or 'light')"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )

    assert shown.stdout.strip() == "light"
