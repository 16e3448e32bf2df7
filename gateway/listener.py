"""The listening socket of a gateway, or of workers that answer probes."""

import socket

from loops.errors import Rejected

#: Connections that may wait to be accepted; the kernel may keep fewer (net.core.somaxconn).
BACKLOG = 2_048

#: What the address of gateways is set by, and of workers' probes.
FOR_GATEWAYS, FOR_PROBES = "LOOPGATE_HOST and LOOPGATE_PORT", "LOOPGATE_WORKER_HOST and LOOPGATE_WORKER_PORT"


def listening(host: str, port: int, *, set_by: str = FOR_GATEWAYS) -> socket.socket:
    """
    Return a socket that listens there; 0 is any port that is free.

    Raises:
        Rejected: If it cannot be had, with what the address is *set_by*.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise Rejected(
            f"cannot listen on {host} port {port}: {error.strerror or error}; set {set_by} to an address that is free"
        ) from error
