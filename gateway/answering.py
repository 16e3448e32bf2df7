"""Answering: a process that is no gateway answers probes beside its work, alone at its socket or with others."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from gateway.probes import probe_routes
from gateway.server import Server
from gateway.wiring.parts import Parts


@asynccontextmanager
async def answering(
    parts: Parts, listener: socket.socket, chores: Sequence[str], *, is_shared: bool
) -> AsyncIterator[None]:
    """
    Answer probes at *listener* inside the block; of *chores* it is told whether anybody sees to them.

    Raises:
        Exception: At the end, whatever ended the answering before.
    """
    app = Starlette(routes=probe_routes(parts, chores))
    server = Server(app, parts.metrics.tallies, is_shared=is_shared, is_beside=True)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="probes")
    try:
        yield
    finally:
        server.should_exit = True
        await serving
