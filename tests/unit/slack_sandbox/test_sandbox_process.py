"""The sandbox as a process of its own, driven through Slack's SDK."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import httpx2
import pytest
from patience import PATIENCE_S
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from unit.slack_sandbox.sandbox_driver import CHANNEL, TOKEN, a_card, a_config

from channels.slack_sandbox.__main__ import main
from channels.slack_sandbox.config import SandboxConfig


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    """The workspace of these tests, as the file a person would write."""
    file = tmp_path / "slack.json"
    file.write_text(a_config().model_dump_json())
    return file


@pytest.fixture
def process(config_file: Path, tmp_path: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A running sandbox: its URL, and the process."""
    ready = tmp_path / "ready.json"
    command = [sys.executable, "-m", "channels.slack_sandbox", "--config", str(config_file), "--ready-file", str(ready)]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as running:
        until = time.monotonic() + PATIENCE_S
        while not ready.exists() and time.monotonic() < until:
            time.sleep(0.01)
        facts = json.loads(ready.read_text())
        assert facts["pid"] == running.pid
        yield facts["url"], running
        running.terminate()
        running.wait(PATIENCE_S)


async def test_slack_sdk_talks_to_it(process: tuple[str, "subprocess.Popen[bytes]"]) -> None:
    """Slack's own client posts, updates, reads back, pages and is refused, over real HTTP."""
    client = AsyncWebClient(token=TOKEN, base_url=f"{process[0]}/api/", retry_handlers=[])

    me = await client.auth_test()
    posted = await client.chat_postMessage(
        channel=CHANNEL, text="card", blocks=a_card(), metadata={"event_type": "effect", "event_payload": {"id": "e1"}}
    )
    await client.chat_update(channel=CHANNEL, ts=posted["ts"], text="decided", blocks=a_card()[:1])
    history = await client.conversations_history(channel=CHANNEL, include_all_metadata=True)
    people = await client.users_list(limit=2)
    with pytest.raises(SlackApiError) as refused:
        await client.views_open(trigger_id="1.2.x", view={"type": "modal", "title": {}, "blocks": []})

    assert me["user_id"] == "U0BOT"
    assert history["messages"][0]["metadata"]["event_payload"] == {"id": "e1"}
    assert len(history["messages"][0]["blocks"]) == 1
    assert people["response_metadata"]["next_cursor"]
    assert refused.value.response["error"] == "invalid_arguments"


async def test_broken_connection_is_broken_on_the_wire(process: tuple[str, "subprocess.Popen[bytes]"]) -> None:
    """reset_after_accept reaches a real client as a lost connection, and the message is there."""
    url = process[0]
    client = AsyncWebClient(token=TOKEN, base_url=f"{url}/api/", retry_handlers=[])
    async with httpx2.AsyncClient(base_url=url, timeout=PATIENCE_S) as http:
        fault = {"method": "chat.postMessage", "kind": "reset_after_accept"}
        await http.post("/sandbox/faults", json=fault)
        with pytest.raises(aiohttp.ClientError):
            await client.chat_postMessage(channel=CHANNEL, text="doubtful")
        said = (await http.get(f"/sandbox/messages?channel={CHANNEL}")).json()["messages"]

    assert [message["text"] for message in said] == ["doubtful"]


def test_sigterm_ends_it_promptly_with_a_page_open(process: tuple[str, "subprocess.Popen[bytes]"]) -> None:
    """An open event stream does not hold the shutdown."""
    url, running = process
    opened = threading.Event()

    def follow() -> None:
        # How the stream ends is not what this is about, and an error in a thread would be another test's.
        with (
            contextlib.suppress(httpx2.TransportError),
            httpx2.Client() as http,
            http.stream("GET", f"{url}/sandbox/events", timeout=None) as stream,
        ):
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    opened.set()

    page = threading.Thread(target=follow, daemon=True)
    page.start()
    assert opened.wait(PATIENCE_S)

    os.kill(running.pid, signal.SIGTERM)
    running.wait(PATIENCE_S)
    page.join(PATIENCE_S)

    assert not page.is_alive()


def test_foreign_host_is_refused(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The sandbox listens on loopback or not at all."""
    assert main(["--host", "0.0.0.0", "--config", str(config_file)]) == 2
    assert "loopback" in capsys.readouterr().err


def test_bad_configuration_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt key, a missing file and an outgoing request_url are each refused by name."""
    facts = json.loads(a_config().model_dump_json())
    misspelt = tmp_path / "misspelt.json"
    misspelt.write_text(json.dumps(facts | {"chanels": []}))
    outgoing = tmp_path / "outgoing.json"
    outgoing.write_text(json.dumps(facts | {"app": facts["app"] | {"request_url": "https://example.com/slack"}}))

    codes = [main(["--config", str(file)]) for file in (misspelt, outgoing, tmp_path / "absent.json")]

    told = capsys.readouterr().err
    assert codes == [2, 2, 2]
    assert "chanels" in told
    assert "leaves this machine" in told
    assert "absent.json: No such file" in told


def test_taken_port_is_told(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A port somebody else has ends in one line, not a traceback."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        code = main(["--config", str(config_file), "--port", str(other.getsockname()[1])])

    assert code == 2
    assert "try --port 0" in capsys.readouterr().err


def test_member_nobody_knows_is_refused() -> None:
    """A channel cannot name a member who is not among the users."""
    facts = json.loads(a_config().model_dump_json())
    facts["channels"][0]["members"].append("U0NOBODY")

    with pytest.raises(ValueError, match="U0NOBODY"):
        SandboxConfig.model_validate(facts)


def test_it_stands_alone() -> None:
    """The sandbox imports neither Loopgate nor Slack's SDKs: a shared mistake would hide itself."""
    script = (
        "import sys, channels.slack_sandbox.__main__\n"
        "foreign = {'loops', 'gateway', 'providers', 'slack_sdk', 'slack_bolt'}\n"
        "mine = [m for m in sys.modules if m.split('.')[0] in foreign or m.startswith('channels.slack.')]\n"
        "assert not mine, mine"
    )

    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[3])
