"""The uvicorn server of `python -m`: stops with pages open, and knows its connections, so that one can be broken."""

import asyncio
import json
import os
import socket
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from channels.slack_sandbox.connections import Connections

#: How long a connection on which nothing is asked stays open, in seconds: longer than clients keep theirs, of which
#: aiohttp's are kept longest, for 15 s. What is sent as the other side closes is lost.
IDLE_S = 75


def breakable(app: Starlette) -> type[HttpToolsProtocol]:
    """Return the protocol to serve *app* with, so that its connections can be broken; see `break_connection`."""
    connections: Connections = {}
    app.state.connections = connections

    class Protocol(HttpToolsProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if self.client is not None:
                connections[self.client] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            if self.client is not None:
                connections.pop(self.client, None)
            super().connection_lost(exc)

    return Protocol


def serve(app: Starlette, host: str, port: int, ready_file: Path | None) -> None:
    """Serve *app* until SIGTERM or SIGINT; writes *ready_file* when listening."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    config = uvicorn.Config(
        app,
        http=breakable(app),
        ws="none",
        date_header=False,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=IDLE_S,
    )
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        bound = listener.getsockname()[1]
        url = f"http://[{host}]:{bound}" if family == socket.AF_INET6 else f"http://{host}:{bound}"
        _Server(config, app, url, ready_file).run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, app: Starlette, url: str, ready_file: Path | None) -> None:
        super().__init__(config)
        self._app = app
        self._url = url
        self._ready_file = ready_file
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        if self._ready_file is not None:
            facts: dict[str, Any] = {"url": self._url, "pid": os.getpid()}
            unfinished = self._ready_file.with_name(f"{self._ready_file.name}.part")
            unfinished.write_text(json.dumps(facts))
            unfinished.replace(self._ready_file)
        print(f"Slack sandbox listening on {self._url}", flush=True)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._app.state.sandbox.feed.close)
