"""A policy decision point on loopback that answers what it is told to, byte by byte, and misbehaves on request."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


class DecisionServer:
    """`answers` are the bytes of the next responses, the last one again and again; `requests` is what was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.answer: bytes | None = b""
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.release = asyncio.Event()

    def says(self, body: Any, *, status: str = "200 OK", headers: str = "") -> None:
        """Let the next answers have *body*: bytes as they are, anything else as JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(raw)}\r\n{headers}\r\n"
        self.answer = head.encode() + raw

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *fields = head.strip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
            body = await reader.readexactly(int(headers["content-length"]))
            self.requests.append((line, headers, json.loads(body)))
            if self.answer is None:
                await self.release.wait()
            else:
                writer.write(self.answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def deciding() -> AsyncIterator[DecisionServer]:
    """Serve on a loopback port of its own for the length of the block."""
    server = DecisionServer()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1/data/changes/allow"
    try:
        yield server
    finally:
        server.release.set()
        listener.close()
        await listener.wait_closed()
