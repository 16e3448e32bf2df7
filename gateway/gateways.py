"""Several gateway processes behind one address: what is opened once for all of them, and who keeps them up."""

import os
from contextlib import AbstractContextManager, nullcontext

import structlog

from gateway.listener import listening
from gateway.log import configure_logging
from gateway.pool import Pool
from gateway.seat import Seat
from gateway.settings import Settings
from gateway.tallies import Tallies, shared_memory
from loops.errors import Rejected

log = structlog.stdlib.get_logger()

#: Processes that Socket Mode has room for: each holds two connections, and a third while it renews one; Slack allows an
#: app ten. Source: docs.slack.dev, apis/events-api/using-socket-mode.
SOCKET_MODE_MAX = 3

#: Seconds the processes have to end by themselves: open requests take five at most, and Socket Mode's three more.
STOP_PATIENCE_S = 12.0


def serve_many(settings: Settings, processes: int) -> int:
    """
    Serve HTTP with so many processes until SIGTERM or SIGINT; return the exit code.

    All accept at one socket, which stays open whoever dies, so that no connection is refused meanwhile. An embedded
    store is this process's, so that it outlives them.

    Raises:
        ConfigurationError, StoreUnavailable: If the embedded server cannot be had.
        Rejected: If the port cannot be had, or Slack does not allow so many.
    """
    configure_logging(settings.log_format, settings.log_level)
    if settings.slack_mode == "socket" and processes > SOCKET_MODE_MAX:
        raise Rejected(
            f"{processes} gateway processes need more Socket Mode connections than the ten that Slack allows an app; "
            f"run at most {SOCKET_MODE_MAX}, of all gateways together, or take deliveries over HTTP"
        )
    with listening(settings.host, settings.port) as listener, store_of_all(settings):
        memory = shared_memory(processes)
        watched = Tallies(memory, places=processes, place=None)
        host, port = listener.getsockname()[:2]
        log.info("gateways.listening", host=host, port=port, processes=processes)

        def command(place: int) -> list[str]:
            return ["gateway.cli", "serve", "--seat", str(Seat(listener.fileno(), memory, processes, place))]

        try:
            return Pool(
                command,
                processes,
                kind="gateway",
                descriptors=(listener.fileno(), memory),
                ended=watched.wipe,
                told=listener.close,
                memory_max=settings.worker_memory_mb * 1_000_000,
                stop_patience_s=STOP_PATIENCE_S,
            ).run()
        finally:
            os.close(memory)


def store_of_all(settings: Settings) -> AbstractContextManager[object]:
    """Return what keeps an embedded store up for every process of a pool, where there is one."""
    if settings.redis_url:
        return nullcontext()
    # Imported where it is needed: the wiring is most of what a gateway takes of memory.
    from gateway.wiring.store import store_url  # noqa: PLC0415

    return store_url(settings)
