"""Breaking a caller's connection on purpose, as a network does at the worst moment."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

#: The server's open connections by the caller's address, kept in ``app.state.connections``.
Connections = dict[tuple[str, int], asyncio.Transport]


def break_connection(request: Request) -> Response:
    """
    Cut the caller's connection without an answer.

    Raises:
        ConnectionResetError: The app runs without a server of ours (in process), where there is no connection to cut.
    """
    connections: Connections = getattr(request.app.state, "connections", {})
    client = request.client
    transport = connections.get((client.host, client.port)) if client else None
    if transport is None:
        raise ConnectionResetError("the sandbox broke this connection on purpose")
    transport.abort()
    return Response(status_code=503)
