"""The listening socket of a gateway."""

import socket

from gateway.settings import Settings
from loops.errors import Rejected

#: Connections that may wait to be accepted; the kernel may keep fewer (net.core.somaxconn).
BACKLOG = 2_048


def listening(settings: Settings) -> socket.socket:
    """Return a socket that listens where *settings* say. Raises Rejected if that cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise Rejected(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}; "
            "set LOOPGATE_HOST and LOOPGATE_PORT to an address that is free"
        ) from error
