"""Several worker processes, watched: what is opened once for all of them, and who keeps them up."""

import contextlib
from collections.abc import Sequence

import structlog

from gateway.gateways import store_of_all
from gateway.listener import FOR_PROBES, listening
from gateway.log import configure_logging
from gateway.pool import Pool
from gateway.seat import Seat
from gateway.settings import Settings
from gateway.tallies import Tallies, shared_memory

log = structlog.stdlib.get_logger()


def work_many(settings: Settings, queues: Sequence[str], processes: int) -> int:
    """
    Carry out effects of *queues* (of all, where there are none) with so many processes; return the exit code.

    Where probes are to be answered, all accept at one socket, and whoever is asked tells what all have counted, also
    those that are gone. An embedded store is this process's, so that it outlives them.

    Raises:
        ConfigurationError, StoreUnavailable: If the embedded server cannot be had.
        Rejected: If the port for probes cannot be had.
    """
    configure_logging(settings.log_format, settings.log_level)
    arguments = ["gateway.cli", "work", *(part for name in queues for part in ("--queue", name))]
    memory_max = settings.worker_memory_mb * 1_000_000
    with contextlib.ExitStack() as stack:
        stack.enter_context(store_of_all(settings))
        if settings.worker_port is None:
            return Pool(lambda _: arguments, processes, memory_max=memory_max).run()
        listener = stack.enter_context(listening(settings.worker_host, settings.worker_port, set_by=FOR_PROBES))
        memory = shared_memory(processes)
        watched = Tallies(memory, places=processes, place=None)
        host, port = listener.getsockname()[:2]
        log.info("workers.answering", host=host, port=port, processes=processes)
        return Pool(
            lambda place: [*arguments, "--seat", str(Seat(listener.fileno(), memory, processes, place))],
            processes,
            descriptors=(listener.fileno(), memory),
            ended=watched.wipe,
            memory_max=memory_max,
        ).run()
