"""
How long a click waits for its ack, the commit inside, beside what no click could wait less for.

Open loop: clicks are due at a fixed rate whatever became of those before, and each is timed from the moment it was due,
so a stall is counted in every click it delayed. A gateway of its own, once as one process and once as two, on a Valkey
of its own; every click decides another open request. The floors are served and loaded in the same way, one after the
other. See the README beside this file.
"""

import asyncio
import hashlib
import hmac
import json
import os
import re
import socket
import sys
import tempfile
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil
import uvicorn
import uvloop
from rich.console import Console
from rich.table import Table
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.authorization import AuthorizeResult
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from stack import APP, CHANNEL, TEAM, Process, Stack, slack_id

from channels.slack.shown import ANSWER, Shown
from gateway.settings import Settings
from gateway.wiring.parts import Parts, open_parts
from loops.actors import AiAgent, service
from loops.approvals import ApprovalRequest

#: Clicks a second, and for how many seconds; before them, clicks that warm up and are not counted.
RATE, SECONDS, WARM_UP = 200, 15, 200
CONNECTIONS = 64
#: Slack gives up after three seconds; so does the load.
PATIENCE_S = 3.0
TENANT, SECRET = "default", "a-signing-secret"
CHANGE = {"service": "checkout", "summary": "twelve replicas", "environment": "production"}
ANALYSIS = {"confidence": 0.9, "affected_services": ["checkout"], "blast_radius_score": 0.2, "rollback_ready": True}

RAW, NO_OP = "floor: raw Starlette, HMAC", "floor: Bolt, no-op listener"
#: Gateways, by how many processes they are.
GATEWAYS = {1: "gateway, commit inside", 2: "the same, 2 processes"}


class Quiet(Stack):
    """The e2e stack without a worker: what is left to do after the clicks is not measured here."""

    def start_worker(self) -> None:  # type: ignore[override]
        """Start none."""

    def await_processes(self, count: int) -> None:
        """Wait until so many processes accept connections."""
        told = f"{self.gateway()}/metrics"
        self.until(lambda: self.http.get(told).text.count("loopgate_http_connections{") == count, "all processes")

    @property
    def secret(self) -> str:
        """What the sandbox, and so the load, signs with."""
        return self._signing_secret

    def parts_settings(self) -> Settings:
        """Return the settings the gateway of this stack reads."""
        return Settings(config=self.home / "loopgate.yaml", redis_url=self.store_url)  # type: ignore[arg-type]


@dataclass
class Measured:
    """One server under the load. Spans are milliseconds, from when a click was due; `alone` is one after the other."""

    spans: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    cpu_ms: float = 0.0
    alone_ms: float = 0.0
    load: float = 0.0
    committed: int | None = None

    def at(self, share: float) -> float:
        """Return a percentile."""
        ordered = sorted(self.spans)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


class Caller:
    """Keeps connections to one server, and posts on one that is free."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

    async def open(self) -> None:
        """Connect."""
        for _ in range(CONNECTIONS):
            self._free.put_nowait(await asyncio.open_connection("127.0.0.1", self._port))

    async def post(self, request: bytes) -> int:
        """Send *request* and return the status of its answer."""
        reader, writer = await self._free.get()
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            await reader.readexactly(int(length[1]) if length else 0)
        except BaseException:
            # An answer that comes late must not be read as the next one's.
            writer.close()
            self._free.put_nowait(await asyncio.open_connection("127.0.0.1", self._port))
            raise
        self._free.put_nowait((reader, writer))
        return int(head.split(b" ", 2)[1])

    def close(self) -> None:
        """Hang up."""
        while not self._free.empty():
            self._free.get_nowait()[1].close()


def clicks(shown: Sequence[Shown], secret: str) -> list[bytes]:
    """Return one signed request, headers and all, for each button in *shown*."""
    return [_click(number, each, secret) for number, each in enumerate(shown)]


def _click(number: int, shown: Shown, secret: str) -> bytes:
    payload = {
        "type": "block_actions",
        "team": {"id": TEAM, "domain": "test"},
        "user": {"id": slack_id("dana"), "username": "dana", "name": "dana", "team_id": TEAM},
        "api_app_id": APP,
        "token": "legacy",
        "container": {"type": "message", "message_ts": f"17.{number}", "channel_id": CHANNEL, "is_ephemeral": False},
        "trigger_id": f"trigger.{number}",
        "channel": {"id": CHANNEL, "name": "sre-approvals"},
        # A card as it comes back with each click: about 5 kB that nobody reads.
        "message": {"type": "message", "ts": f"17.{number}", "text": "card", "blocks": ["x" * 60] * 80},
        "state": {"values": {}},
        "response_url": "https://127.0.0.1/nowhere",
        "actions": [
            {
                "action_id": f"{ANSWER}approve.0",
                "block_id": "loopgate.answers.0",
                "text": {"type": "plain_text", "text": "Approve", "emoji": False},
                "value": shown.encode(),
                "style": "primary",
                "type": "button",
                "action_ts": f"18.{number}",
            }
        ],
    }
    body = urlencode({"payload": json.dumps(payload)}).encode()
    stamp = str(int(time.time()))
    signature = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    head = (
        "POST /slack/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"X-Slack-Request-Timestamp: {stamp}\r\nX-Slack-Signature: v0={signature}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def under_load(port: int, pid: int, requests: Sequence[bytes]) -> Measured:
    """Post the first `WARM_UP` requests one by one, and the others as they fall due; return what was measured."""
    caller, measured, process = Caller(port), Measured(), psutil.Process(pid)
    serving = [process, *process.children(recursive=True)]
    await caller.open()
    began = time.perf_counter()
    for request in requests[:WARM_UP]:
        await caller.post(request)
    measured.alone_ms = (time.perf_counter() - began) / WARM_UP * 1e3
    measured.load = psutil.getloadavg()[0]

    async def click(request: bytes, due: float) -> None:
        try:
            async with asyncio.timeout_at(due + PATIENCE_S):
                status = await caller.post(request)
        except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
            measured.failures.append(type(error).__name__)
            return
        measured.spans.append((loop.time() - due) * 1e3)
        if status != 200:
            measured.failures.append(str(status))

    loop = asyncio.get_running_loop()
    before, start, tasks = _cpu_s(serving), loop.time() + 0.1, []
    for number, request in enumerate(requests[WARM_UP:]):
        due = start + number / RATE
        if (early := due - loop.time()) > 0:
            await asyncio.sleep(early)
        tasks.append(asyncio.create_task(click(request, due)))
    await asyncio.gather(*tasks)
    measured.cpu_ms = (_cpu_s(serving) - before) / len(tasks) * 1e3
    caller.close()
    return measured


def _cpu_s(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(each.cpu_times()[:2]) for each in processes)


# What is measured


def gateway(home: Path, processes: int) -> Measured:
    """Measure a real gateway of so many processes: guard, Bolt, engine and commit."""
    with Quiet(home, **({"LOOPGATE_SERVE_PROCESSES": str(processes)} if processes > 1 else {})) as stack:
        stack.await_processes(processes)
        os.environ.update(stack._environment({}))

        async def measure() -> Measured:
            async with open_parts(stack.parts_settings(), stack.store_url) as parts:
                requests = [await _asked(parts, f"CHG-{number}") for number in range(WARM_UP + RATE * SECONDS)]
                shown = [Shown.of(request, transition_id="approve") for request in requests]
                made = clicks(shown, stack.secret)
                measured = await under_load(stack.gateway_ports[0], stack.gateways[0].pid, made)
                found = [await parts.store.load_request(TENANT, request.request_id) for request in requests]
                closed = [each.request.status for each in found if each and each.request]
                measured.committed = closed[WARM_UP:].count("approved")
                return measured

        return _run(measure())


def _run(measuring: Coroutine[Any, Any, Measured]) -> Measured:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measuring)


async def _asked(parts: Parts, change: str) -> ApprovalRequest:
    """Return a request that waits for its click."""
    ci = service("ci", "CI")
    await parts.engine.start(
        tenant=TENANT,
        loop_id="infrastructure.change",
        aggregate_id=change,
        data={**CHANGE, "changeId": change},
        actor=ci,
    )
    agent = AiAgent(id="anthropic:claude", model_id="claude", provider="anthropic", confidence=0.9)
    outcome = await parts.engine.transition(
        tenant=TENANT, aggregate_id=change, transition="submit_analysis", actor=agent, evidence=ANALYSIS
    )
    assert outcome.request is not None, outcome
    return outcome.request


def floor(name: str, home: Path) -> Measured:
    """Measure one of the floors, in a process of its own."""
    port = _free_port()
    process = Process("floor", [__file__, "--serve", name, str(port)], os.environ, home / "floor.log")
    try:
        while not _answers(port):
            assert process.is_running, process.tail()
            time.sleep(0.05)
        shown = [
            Shown(request_id=f"ar_{n}", version=1, digest="sha256:0", transition_id="approve")
            for n in range(WARM_UP + RATE * SECONDS)
        ]
        return _run(under_load(port, process.pid, clicks(shown, SECRET)))
    finally:
        process.stop()


def serve(name: str, port: int) -> None:
    """Serve a floor as the gateway serves: one process, uvloop and httptools."""
    route = Route("/slack/events", _raw if name == RAW else _no_op(), methods=["POST"])
    app = Starlette(routes=[route])
    uvicorn.run(app, port=port, log_level="error", access_log=False, lifespan="off", loop="uvloop", http="httptools")


async def _raw(request: Request) -> Response:
    body = await request.body()
    stamp = request.headers["x-slack-request-timestamp"].encode()
    expected = hmac.new(SECRET.encode(), b"v0:" + stamp + b":" + body, hashlib.sha256).hexdigest()
    is_signed = hmac.compare_digest(f"v0={expected}", request.headers["x-slack-signature"])
    form = await request.form()
    json.loads(str(form["payload"]))
    return Response(status_code=200 if is_signed else 401)


def _no_op() -> object:
    async def authorize(enterprise_id: str | None, team_id: str | None) -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=enterprise_id, team_id=team_id, bot_token="xoxb-0")

    async def acknowledge(ack: AsyncAck) -> None:
        await ack()

    app = AsyncApp(signing_secret=SECRET, authorize=authorize, process_before_response=True)
    app.action(re.compile(".*"))(acknowledge)
    handler = AsyncSlackRequestHandler(app)

    async def endpoint(request: Request) -> Response:
        return await handler.handle(request)

    return endpoint


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def _home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="loopgate-bench-") as home:
        yield Path(home)


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], int(sys.argv[3]))
        return
    found: dict[str, Measured] = {}
    for name in (RAW, NO_OP):
        with _home() as home:
            found[name] = floor(name, home)
    for processes, name in GATEWAYS.items():
        with _home() as home:
            found[name] = gateway(home, processes)
    table = Table(title=f"Click to ack, {RATE}/s open loop for {SECONDS} s", box=None)
    for heading in ("", "clicks", "failures", "p50 ms", "p99 ms", "max ms", "alone ms", "CPU ms/click", "load"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, each in found.items():
        spans = [f"{each.at(share):.1f}" for share in (0.5, 0.99, 1.0)]
        table.add_row(
            name,
            f"{len(each.spans):,}",
            str(len(each.failures)),
            *spans,
            f"{each.alone_ms:.1f}",
            f"{each.cpu_ms:.2f}",
            f"{each.load:.1f}",
        )
    Console(width=120).print(table)
    for name in GATEWAYS.values():
        failures = sorted(set(found[name].failures)) or "none"
        print(f"{name}: committed {found[name].committed} of {RATE * SECONDS} clicks; failures: {failures}")


if __name__ == "__main__":
    main()
