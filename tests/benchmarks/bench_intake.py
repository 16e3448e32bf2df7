"""Webhooks and the API beside their floor: from a signed request to an answer that says what was committed."""

import asyncio
import itertools
import json
import os
import re
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil
import uvicorn
import uvloop
from rich.console import Console
from rich.table import Table
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from stack import CHANGE, Process, Stack
from standardwebhooks import Webhook, WebhookVerificationError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
CLIENTS = (1, 16, 64)
SECONDS = 5
WARM_UP = 50

FLOOR, WEBHOOK = "floor: Starlette, same signature", "webhook -> committed"
START, TRANSITION = "API: start", "API: transition"

Request_ = Callable[[int], bytes]


class Quiet(Stack):
    """A stack without workers: what is measured ends with the commit."""

    def start_worker(self) -> Process:
        """Start none."""
        return Process("worker", ["-c", ""], os.environ, self.home / "none.log")

    @property
    def source_secret(self) -> str:
        """What webhooks are signed with."""
        return self._source_secret


@dataclass
class Measured:
    """Answers of one closed-loop run."""

    clients: int
    spans_ms: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    seconds: float = 0.0
    load: float = 0.0

    def at(self, share: float) -> float:
        """Return the span below which *share* of them are."""
        spans = sorted(self.spans_ms)
        return spans[min(len(spans) - 1, int(share * len(spans)))]


async def measured(port: int, clients: int, make: Request_, numbers: Iterator[int]) -> Measured:
    """Have each of *clients* send one request after another for `SECONDS`, each over a connection of its own."""
    found = Measured(clients, load=psutil.getloadavg()[0])
    end = time.perf_counter() + SECONDS

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (began := time.perf_counter()) < end:
            request = make(next(numbers))
            began = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            await reader.readexactly(int(length[1]) if length else 0)
            found.spans_ms.append((time.perf_counter() - began) * 1e3)
            status = int(head.split(b" ", 2)[1])
            found.statuses[status] = found.statuses.get(status, 0) + 1
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    found.seconds = time.perf_counter() - began
    return found


def a_webhook(secret: str) -> Request_:
    """Return what makes the signed delivery of change number n."""
    signer = Webhook(secret)

    def make(number: int) -> bytes:
        data = {**CHANGE, "changeId": f"W-{number}", "requestedBy": "lee"}
        body, delivery, now = json.dumps({"type": "change.proposed", "data": data}), f"msg_{number}", datetime.now(UTC)
        signature = signer.sign(delivery, now, body)
        extra = f"webhook-id: {delivery}\r\nwebhook-timestamp: {int(now.timestamp())}\r\nwebhook-signature: {signature}"
        return _post("/webhooks/ci", body, extra)

    return make


def a_start(token: str) -> Request_:
    """Return what makes the call that starts a loop on change number n."""

    def make(number: int) -> bytes:
        asked = {"loopId": "infrastructure.change", "aggregateId": f"A-{number}", "payload": CHANGE}
        return _post("/api/v1/loops", json.dumps(asked), f"authorization: Bearer {token}")

    return make


def a_transition(token: str) -> Request_:
    """Return what makes the call that submits the analysis of change number n, which asks people."""
    agent = {"id": "bench", "type": "ai-agent", "modelId": "m", "provider": "p", "confidence": 0.9}
    evidence = {
        "confidence": 0.9,
        "blast_radius_score": 0.2,
        "affected_services": ["checkout"],
        "rollback_ready": True,
        "reasoning": "Small.",
    }
    body = json.dumps({"signalId": "submit_analysis", "actor": agent, "evidence": evidence})
    return lambda number: _post(f"/api/v1/loops/A-{number}/transition", body, f"authorization: Bearer {token}")


def _post(path: str, body: str, extra: str) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{extra}\r\n"
        f"Content-Length: {len(body.encode())}\r\n\r\n{body}"
    ).encode()


def serve(port: int) -> None:
    """Serve the floor as the gateway serves: one process, uvloop and httptools; it verifies and reads, no more."""
    webhook = Webhook(SECRET)

    async def hook(request: Request) -> Response:
        body = await request.body()
        try:
            webhook.verify(body, dict(request.headers))
        except WebhookVerificationError:
            return Response(status_code=401)
        json.loads(body)
        return JSONResponse({"outcome": "started"}, 202)

    app = Starlette(routes=[Route("/webhooks/ci", hook, methods=["POST"])])
    uvicorn.run(app, port=port, log_level="error", access_log=False, lifespan="off", loop="uvloop", http="httptools")


@contextmanager
def floor(home: Path) -> Iterator[int]:
    """Serve the floor in a process of its own; yield its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    process = Process("floor", [__file__, "--serve", str(port)], os.environ, home / "floor.log")
    try:
        while not _answers(port):
            assert process.is_running, process.tail()
            time.sleep(0.05)
        yield port
    finally:
        process.stop()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def _all(floor_port: int, port: int, secret: str, token: str) -> dict[str, list[Measured]]:
    found: dict[str, list[Measured]] = {}
    started = itertools.count()
    rows = (
        (FLOOR, floor_port, a_webhook(SECRET), itertools.count()),
        (WEBHOOK, port, a_webhook(secret), itertools.count()),
        (START, port, a_start(token), started),
        # Each submits for another one of those that were started.
        (TRANSITION, port, a_transition(token), itertools.count()),
    )
    for clients in CLIENTS:
        for name, at, make, numbers in rows:
            found.setdefault(name, []).append(await measured(at, clients, make, numbers))
    return found


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--serve"]:
        serve(int(sys.argv[2]))
        return
    # As many requests as it can answer: what a key may is not what is measured.
    limits = {"LOOPGATE_API_KEY_LIMIT": "1000000", "LOOPGATE_API_TENANT_LIMIT": "10000000", "LOOPGATE_MAX_BACKLOG": "0"}
    with (
        tempfile.TemporaryDirectory(prefix="loopgate-bench-") as home,
        floor(Path(home)) as floor_port,
        Quiet(Path(home), **limits) as stack,
    ):
        made = stack.run_cli("keys", "create", "bench", "--scope", "loops:write", "--json")
        token = json.loads(made.stdout)["token"]
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            found = runner.run(_all(floor_port, stack.gateway_ports[0], stack.source_secret, token))
    table = Table(title=f"Closed loop, {SECONDS} s each", box=None)
    for heading in ("", "clients", "per s", "p50 ms", "p99 ms", "not 2xx", "load"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, runs in found.items():
        for each in runs:
            wrong = sum(count for status, count in each.statuses.items() if not 200 <= status < 300)
            figures = (f"{len(each.spans_ms) / each.seconds:,.0f}", f"{each.at(0.5):.1f}", f"{each.at(0.99):.1f}")
            table.add_row(name, str(each.clients), *figures, str(wrong), f"{each.load:.1f}")
    Console(width=120).print(table)
    ratios = [
        statistics.median(gateway.spans_ms) / statistics.median(bare.spans_ms)
        for gateway, bare in zip(found[WEBHOOK], found[FLOOR], strict=True)
    ]
    print("webhook beside its floor, p50:", ", ".join(f"{ratio:.1f}x" for ratio in ratios))


if __name__ == "__main__":
    main()
