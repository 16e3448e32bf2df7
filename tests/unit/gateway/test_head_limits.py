"""What comes around a request's body: refused where two readers could differ, bounded where nobody reads it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from patience import PATIENCE_S
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.head_limits import HeadLimits
from gateway.server import IDLE_S


class Impatient(HeadLimits):
    """The same, in less time."""

    linger_s = 0.2
    crowded_idle_s = 0


class Patient(HeadLimits):
    """The same, with more time than a machine stands still."""

    linger_s = PATIENCE_S


@dataclass
class Served:
    """A server on loopback, and the paths it was asked for."""

    port: int = 0
    asked: list[str] = field(default_factory=list)

    async def exchanged(self, *pieces: bytes, every_s: float = 0.0) -> bytes:
        """Send *pieces* over a connection of its own; return all that comes back until the server closes it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)

        async def send() -> None:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(every_s)

        sending = asyncio.create_task(send())
        found = bytearray()
        try:
            async with asyncio.timeout(PATIENCE_S):
                while piece := await reader.read(65_536):
                    found += piece
        except ConnectionError:
            pass
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            writer.close()
        return bytes(found)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator["Connected"]:
        """Yield a connection of one's own."""
        found = Connected(*await asyncio.open_connection("127.0.0.1", self.port))
        try:
            yield found
        finally:
            found.writer.close()


@dataclass
class Connected:
    """A connection that is kept."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answered(self) -> None:
        """Have one request answered over it."""
        self.writer.write(b"POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        await self.reader.readuntil(b"}")


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """One app, which reads bodies at ``/read`` and answers at once at ``/early``."""
    async with serving() as found:
        yield found


@asynccontextmanager
async def serving(limits: type[HeadLimits] = Impatient) -> AsyncIterator[Served]:
    found = Served()

    async def read(request: Request) -> Response:
        found.asked.append(request.url.path)
        body = await request.body()
        return JSONResponse({"body": len(body), "headers": [name for name, _ in request.headers.items()]})

    async def early(request: Request) -> Response:
        found.asked.append(request.url.path)
        return JSONResponse({"error": "no"}, 413)

    app = Starlette(routes=[Route("/read", read, methods=["POST"]), Route("/early", early, methods=["POST"])])
    config: Any = uvicorn.Config(
        app,
        http=limits,
        lifespan="off",
        log_config=None,
        access_log=False,
        port=0,
        limit_concurrency=4,
        timeout_keep_alive=IDLE_S,
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    found.port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        await server.shutdown()


CHUNKED = b"POST /read HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
PIGGYBACK = b"POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"


@pytest.mark.parametrize(
    "framing",
    [
        b"content-length: 4\r\ntransfer-encoding: chunked",
        b"transfer-encoding: chunked\r\ncontent-length: 4",
        b"content-length: 4\r\ncontent-length: 5",
        b"content-length: 4\r\ncontent-length: 4",
        b"content-length: 4, 4",
        b"content-length: +4",
        b"content-length: -4",
        b"content-length : 4",
        b"transfer-encoding: xchunked",
        b"transfer-encoding: chunked, identity",
        b"transfer-encoding : chunked",
        b"x: a\r\n transfer-encoding: chunked",
        b"x: a\ntransfer-encoding: chunked",
        b"x: a\x00b",
    ],
)
async def test_a_request_that_two_readers_would_end_elsewhere_is_refused(served: Served, framing: bytes) -> None:
    """Two lengths, a length and chunks, folded or bare lines: 400, and nothing hidden in its body is a request."""
    head = b"POST /early HTTP/1.1\r\nhost: x\r\n" + framing + b"\r\n\r\n"
    answer = await served.exchanged(head + b"0\r\n\r\n" + PIGGYBACK)
    told, _, body = answer.partition(b"\r\n\r\n")

    assert told.startswith(b"HTTP/1.1 400 Bad Request\r\n"), answer
    assert json.loads(body) == {"error": "this is not a request of HTTP/1.1", "code": "malformed"}
    assert "/read" not in served.asked


async def test_trailers_are_no_headers(served: Served) -> None:
    """Fields behind a chunked body, which no proxy looks at, do not count as said before it."""
    sent = CHUNKED + b"2\r\n{}\r\n0\r\nidempotency-key: smuggled\r\nauthorization: Bearer x\r\n\r\n"
    answer = json.loads((await served.exchanged(sent)).partition(b"\r\n\r\n")[2])

    assert answer == {"body": 2, "headers": ["host", "connection", "transfer-encoding"]}


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"2\r\n{}\r\n0\r\n", b"x: " + b"y" * 1_000 + b"\r\n"),
        (b"2\r\n{}\r\n0\r\nx: ", b"y" * 1_000),
        (b"2;", b"y" * 1_000),
    ],
    ids=["trailers", "one trailer", "a chunk's extension"],
)
async def test_what_nobody_reads_has_an_end(served: Served, start: bytes, piece: bytes) -> None:
    """Endless trailers and extensions are cut off after as much as a head may have."""
    answer = await served.exchanged(CHUNKED + start, *[piece] * 5_000)

    assert b"HTTP/1.1 200" not in answer


async def test_many_small_chunks_are_a_body_like_any_other(served: Served) -> None:
    """A sender that writes byte by byte has as much said around its body as there is of it, and is served."""
    answer = await served.exchanged(CHUNKED, b"1\r\nx\r\n" * 20_000, b"0\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 200")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["body"] == 20_000


async def test_an_answer_before_the_end_of_a_request_ends_the_connection(served: Served) -> None:
    """Who goes on with a body that was refused, byte by byte, has their answer and loses the connection."""
    head = b"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: 9999999\r\n\r\n"
    answer = await served.exchanged(head, *[b"x"] * 1_000, every_s=0.05)

    assert answer.startswith(b"HTTP/1.1 413")
    assert answer.endswith(b'{"error":"no"}')


async def test_a_request_that_ends_in_time_keeps_its_connection() -> None:
    """An answer that came early costs nobody their connection who ends their request: the next one is served."""
    refused = b"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n"
    last = CHUNKED + b"0\r\n\r\n"
    async with serving(Patient) as served:
        answer = await served.exchanged(refused, b"12345", last, every_s=0.05)

    assert answer.count(b"HTTP/1.1 ") == 2
    assert served.asked == ["/early", "/read"]


async def test_idle_connections_outlast_those_that_proxies_keep_and_in_a_crowd_make_room(served: Served) -> None:
    """The side that keeps a connection closes it, or loses what it sends: ours stay for more than 60 s, unless many."""
    async with AsyncExitStack() as stack, asyncio.timeout(PATIENCE_S):
        first = await stack.enter_async_context(served.connected())
        await first.answered()
        _, third = [await stack.enter_async_context(served.connected()) for _ in range(2)]
        await third.answered()
        ended = await third.reader.read()
        await first.answered()

    assert IDLE_S > 60
    assert ended == b""
    assert served.asked == ["/read"] * 3
