"""Vendors on this machine: an application served from a thread, and an answer that breaks off."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from patience import PATIENCE_S
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class CutShort(Response):
    """Promises a hundred bytes, sends one, and closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"100")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{", "more_body": False})


@contextmanager
def served_in_a_thread(app: Starlette) -> Iterator[str]:
    """Serve *app* on a loopback port of its own for the length of the block, and yield its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = _Server(uvicorn.Config(app, log_level="critical", lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        assert server.ready.wait(PATIENCE_S)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(PATIENCE_S)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.ready.set()
