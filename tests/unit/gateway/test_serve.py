"""`loopgate serve` as a real process: it says whether it is well, stays small, and leaves nothing behind."""

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psutil
import pytest
from patience import PATIENCE_S
from ports import free_ports
from unit.gateway.files import SECRETS, a_file

from gateway.api.keys import ApiKey, digest_of, new_token
from gateway.clock import SystemClock
from gateway.storage.connect import connect
from gateway.storage.embedded import EmbeddedServer
from gateway.storage.redis_api_keys import RedisApiKeys

#: Resident memory of a gateway that has started, in bytes, at most.
MEMORY_MAX = 120_000_000


@contextmanager
def serving(home: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], httpx2.Client]]:
    """Serve with the sound configuration; yield the process and a client, once it answers."""
    a_file(home)
    [port] = free_ports(1)
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("LOOPGATE_", "SLACK_"))}
    with (home / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", "serve"],
            env={
                **inherited,
                **SECRETS,
                "LOOPGATE_CONFIG": str(home / "loopgate.yaml"),
                "LOOPGATE_DATA_DIR": str(home / "data"),
                "LOOPGATE_PORT": str(port),
                **environment,
            },
            stdout=log,
            stderr=log,
        )
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S) as client:
        try:
            until(lambda: process.poll() is not None or _answers(client))
            yield process, client
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def until(ask: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    """Ask until the answer is yes: another process sends no event."""
    end = time.monotonic() + patience_s
    while not ask():
        assert time.monotonic() < end
        time.sleep(0.02)


def said(home: Path) -> str:
    """Return what the process logged."""
    return (home / "serve.log").read_text(errors="replace")


def _answers(client: httpx2.Client) -> bool:
    try:
        return client.get("/healthz").status_code == 200
    except httpx2.TransportError:
        return False


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_gateway_told_to_stop_tidies_up_and_exits_with_0(tmp_path: Path, told: signal.Signals) -> None:
    """After SIGTERM or Ctrl-C the embedded store is stopped, everything written, and the exit code is 0."""
    with serving(tmp_path) as (process, client):
        ready = client.get("/readyz")
        store = EmbeddedServer(tmp_path / "data" / "store").pid
        process.send_signal(told)
        code = process.wait(timeout=PATIENCE_S)

    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert code == 0, said(tmp_path)
    assert store is not None
    assert not psutil.pid_exists(store)
    assert not (tmp_path / "data" / "store" / "server.json").exists()
    assert "gateway.stopped" in said(tmp_path)
    assert "Traceback" not in said(tmp_path)


def test_several_processes_behind_one_address_end_together(tmp_path: Path) -> None:
    """Each is small, one store is theirs, and after Ctrl-C nothing is left: processes, store, or a traceback."""
    with serving(tmp_path, LOOPGATE_SERVE_PROCESSES="2") as (process, client):
        until(lambda: client.get("/metrics").text.count("loopgate_http_connections{") == 2)
        children = [each for each in psutil.Process(process.pid).children() if "serve" in each.cmdline()]
        resident = [each.memory_info().rss for each in children]
        store = EmbeddedServer(tmp_path / "data" / "store").pid
        process.send_signal(signal.SIGINT)
        code = process.wait(timeout=PATIENCE_S)

    assert len(resident) == 2
    assert max(resident) < MEMORY_MAX
    assert code == 0, said(tmp_path)
    assert not [each for each in children if each.is_running()]
    assert store is not None
    assert not psutil.pid_exists(store)
    assert said(tmp_path).count("gateway.stopped") == 2
    assert "gateway.killed" not in said(tmp_path)
    assert "Traceback" not in said(tmp_path)


def test_a_gateway_stays_small(tmp_path: Path, redis_url: str) -> None:
    """Resident memory after start is under 120 MB, a scrape included."""
    with serving(tmp_path, LOOPGATE_REDIS_URL=redis_url) as (process, client):
        client.get("/readyz")
        scraped = client.get("/metrics").text
        resident = psutil.Process(process.pid).memory_info().rss

    assert resident < MEMORY_MAX
    assert 'loopgate_effects{kind="card.post",queue="cards",state="dead"} 0.0' in scraped
    assert "loopgate_store_up 1.0" in scraped


def test_a_gateway_without_its_store_is_alive_and_not_ready(tmp_path: Path) -> None:
    """503 with when to ask again, and not a word about where the store is."""
    with serving(tmp_path, LOOPGATE_REDIS_URL="redis://:hunter2@127.0.0.1:1/0") as (_, client):
        healthy, ready, scraped = client.get("/healthz"), client.get("/readyz"), client.get("/metrics")

    assert healthy.json() == {"status": "ok"}
    assert ready.status_code == 503
    assert ready.json() == {"status": "unready", "error": "the store does not answer"}
    assert ready.headers["retry-after"]
    assert scraped.status_code == 200
    assert "loopgate_store_up 0.0" in scraped.text
    assert "hunter2" not in said(tmp_path)


def test_a_gateway_without_workers_takes_no_more_than_may_wait(tmp_path: Path, redis_url: str) -> None:
    """Over `LOOPGATE_MAX_BACKLOG` starts over the API are put off, and a loop that was let in still ends."""
    token = asyncio.run(a_token(redis_url))
    headers = {"authorization": f"Bearer {token}"}
    numbers = itertools.count(1)

    def start() -> httpx2.Response:
        asked = {"loopId": "infrastructure.change", "aggregateId": f"CHG-{next(numbers)}"}
        return client.post("/api/v1/loops", json=asked, headers=headers)

    with serving(tmp_path, LOOPGATE_REDIS_URL=redis_url, LOOPGATE_MAX_BACKLOG="1") as (_, client):
        first = start()
        until(lambda: start().status_code == 503)
        refused = start()
        ended = client.post("/api/v1/loops/CHG-1/cancel", json={}, headers=headers)

    assert first.status_code == 201, first.text
    assert refused.json()["code"] == "backlog_full"
    assert ended.status_code == 200, ended.text
    assert "backlog.full" in said(tmp_path)


async def a_token(url: str) -> str:
    """Return the token of a fresh key that may start loops, in the store at *url*."""
    token = new_token()
    async with connect(url) as client:
        key = ApiKey(
            key_id="ak_ci",
            tenant="default",
            service="ci",
            scopes=("loops:write",),
            token_digest=digest_of(token),
            created_at=SystemClock().now(),
        )
        await RedisApiKeys(client).save(key)
    return token


@pytest.mark.parametrize("several", [{}, {"LOOPGATE_SERVE_PROCESSES": "2"}])
def test_a_port_in_use_is_one_message(tmp_path: Path, redis_url: str, several: dict[str, str]) -> None:
    """Somebody else listens there: exit code 1, and what to set."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with serving(tmp_path, LOOPGATE_REDIS_URL=redis_url, LOOPGATE_PORT=port, **several) as (process, _):
            code = process.wait(timeout=PATIENCE_S)

    assert code == 1
    assert said(tmp_path).count(f"loopgate: cannot listen on 127.0.0.1 port {port}: ") == 1
    assert "LOOPGATE_PORT" in said(tmp_path)
    assert "Traceback" not in said(tmp_path)


def test_a_host_there_is_none_of_is_one_message(tmp_path: Path, redis_url: str) -> None:
    """An address that is not this machine's: exit code 1."""
    with serving(tmp_path, LOOPGATE_REDIS_URL=redis_url, LOOPGATE_HOST="192.0.2.1") as (process, _):
        code = process.wait(timeout=PATIENCE_S)

    assert code == 1
    assert "loopgate: cannot listen on 192.0.2.1" in said(tmp_path)


def exchanged(client: httpx2.Client, *pieces: bytes, pause_s: float = 0.0, patience_s: float = PATIENCE_S) -> bytes:
    """Send *pieces* one by one over a connection of its own; return all that comes back until it is closed."""
    url = client.base_url
    with socket.create_connection((url.host, url.port), timeout=patience_s) as connection:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause_s)
        found = b""
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(65_536):
                found += piece
    return found


def test_slow_and_oversized_heads_are_cut_off(tmp_path: Path, redis_url: str) -> None:
    """A head that trickles gets 408, one that is too large 431, in one piece or many; others are served meanwhile."""
    start = b"GET /healthz HTTP/1.1\r\nhost: x\r\n"
    with serving(tmp_path, LOOPGATE_REDIS_URL=redis_url) as (_, client), ThreadPoolExecutor(4) as pool:
        slow = [pool.submit(exchanged, client, *pieces) for pieces in ((), (start,), (start, b"x-a: 1\r\n"))]
        large = exchanged(client, start, b"x-a: " + b"y" * 40_000 + b"\r\n\r\n")
        endless = exchanged(client, start, *[b"x-a: " + b"y" * 2_000 + b"\r\n"] * 40)
        long_url = exchanged(client, b"GET /" + b"y" * 40_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n")
        roomy = exchanged(client, start, b"connection: close\r\nx-a: " + b"y" * 20_000 + b"\r\n\r\n")
        body = b"POST /webhooks/none HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n" + b"z" * 100_000
        pipelined = exchanged(client, body + start + b"connection: close\r\n\r\n")
        answers = [each.result() for each in slow]

    assert [answer.split(b" ")[1] for answer in answers] == [b"408"] * 3
    assert [answer.split(b" ")[1] for answer in (large, endless, long_url)] == [b"431"] * 3
    assert roomy.startswith(b"HTTP/1.1 200")
    assert pipelined.startswith(b"HTTP/1.1 404")
    assert pipelined.endswith(b'{"status":"ok"}')
    assert "Traceback" not in said(tmp_path)
