"""Programs and models ask people, who change what they ask: what runs is what was approved, once."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from browser.readme import readme_file
from patience import PATIENCE_S
from stack import Stack

from gateway.client import Loopgate

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def access(stack: Stack) -> dict[str, str]:
    """What a program needs: where the gateway is, and the token of a key."""
    made = stack.run_cli("keys", "create", "shop-agent")
    assert made.returncode == 0, made.stderr
    return {"LOOPGATE_URL": stack.gateway(), "LOOPGATE_TOKEN": made.stdout.strip(), "NO_PROXY": "127.0.0.1"}


def edited_and_approved(stack: Stack, saying: str, replicas: int) -> dict[str, Any]:
    """As Dana, change the replicas on the card that is *saying* so, and approve; return the card once it shows that."""
    card = stack.card(saying)
    stack.click(card, "Edit and approve", "dana")
    submitted = stack.submit("dana", stack.view("dana"), str(replicas))
    assert submitted["status"] == 200, submitted
    return stack.card(saying, saying="Dana Ops")


def test_the_agent_in_the_readme_runs_once_with_what_a_human_made_of_it(stack: Stack, access: dict[str, str]) -> None:
    """Twenty lines: the decorator asks, Dana changes 12 to 8 and approves, and the function runs with 8, once."""
    program, why = readme_file("agent.py"), "the queue has grown for an hour"
    with subprocess.Popen(
        [sys.executable, "-c", program], env=os.environ | access, stdout=PIPE, stderr=PIPE, text=True
    ) as agent:
        try:
            asked = stack.card(why)
            shown = edited_and_approved(stack, why, 8)
            said, complained = agent.communicate(timeout=PATIENCE_S)
        finally:
            agent.kill()
    request = said.rpartition(" ")[2].strip()
    with Loopgate(access["LOOPGATE_URL"], access["LOOPGATE_TOKEN"]) as client:
        found = client.get(request)
    events = stack.audited(found.aggregate_id)

    assert len(program.splitlines()) <= 20
    assert "Scale checkout to 12 replicas" in json.dumps(asked)
    assert (agent.returncode, complained) == (0, "")
    assert said == f"scaling checkout to 8 replicas by {request}\n"
    assert found.parameters == {"service": "checkout", "replicas": 8, "why": why}
    assert "Dana Ops" in json.dumps(shown)
    assert [each["type"] for each in events].count("approval.edited") == 1
    assert events[0]["data"]["actor"]["id"] == "shop-agent"


async def test_a_model_asks_through_mcp_and_gets_what_a_human_made_of_it(stack: Stack, access: dict[str, str]) -> None:
    """The official client starts the server as the README says; the model waits, and is told the edited parameters."""
    mcp = pytest.importorskip("mcp")
    server = json.loads(readme_file("mcp.json"))["mcpServers"]["loopgate"]
    command = str(Path(sys.executable).with_name(server["command"]))
    parameters = mcp.StdioServerParameters(command=command, args=server["args"], env=server["env"] | access)
    async with mcp.Client(parameters) as client:
        asked = await client.call_tool(
            "request_approval",
            {
                "title": "Scale the basket for the sale",
                "parameters": {"service": "basket", "replicas": 12},
                "editable": {"replicas": {"type": "integer", "minimum": 1, "maximum": 20}},
            },
        )
        request = asked.structured_content["approvalId"]
        waiting = asyncio.create_task(client.call_tool("wait_for_approval", {"approval_id": request}))
        await asyncio.to_thread(edited_and_approved, stack, "Scale the basket for the sale", 9)
        found = (await waiting).structured_content
        refused = await client.call_tool("withdraw", {"approval_id": request, "reason": "Too late"})

    assert asked.structured_content["status"] == "open"
    assert (found["status"], found["edited"]) == ("approved", True)
    assert found["parameters"] == {"service": "basket", "replicas": 9}
    assert found["decidedBy"]["personId"] == "dana"
    assert refused.is_error
    assert "request_closed" in refused.content[0].text
