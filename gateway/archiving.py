"""Archiving: what closed long ago leaves the store for the archive's directory."""

from collections.abc import Sequence
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import structlog

from gateway.auditing.archive import Round, archive_closed
from gateway.auditing.checkpoints import seal_tenant
from gateway.auditing.ports import Archives, Checkpoints
from loops.errors import Unavailable
from loops.ports import Clock, Store

log = structlog.stdlib.get_logger()

#: The lease under which one process at a time archives, and how long it stays with one that died.
ARCHIVING, ARCHIVING_LEASE = "archiving", timedelta(minutes=1)


class Archivist:
    """Archives what of *tenants* closed longer than *retention* ago."""

    def __init__(
        self,
        tenants: Sequence[str],
        store: Store,
        checkpoints: Checkpoints,
        archives: Archives,
        clock: Clock,
        *,
        directory: Path,
        retention: timedelta,
    ) -> None:
        self._tenants = tenants
        self._store = store
        self._checkpoints = checkpoints
        self._archives = archives
        self._clock = clock
        self._directory = directory
        self._retention = retention

    async def once(self) -> None:
        """Make one round and log what came of it. Raises as `round`."""
        done = await self.round()
        for finding in done.findings:
            log.error("archive.refused", instance_id=finding.instance_id, reason=finding.reason)
        if done.archived:
            log.info("archive.done", archived=done.archived, left=done.left)

    async def round(self) -> Round:
        """
        Seal what moved and archive what may be, of each tenant; return what came of it.

        Raises:
            Unavailable: If the store is away, or the directory cannot be read or written.
        """
        total = Round()
        for tenant in self._tenants:
            now = self._clock.now()
            await seal_tenant(self._store, self._checkpoints, tenant, now)
            try:
                done = await archive_closed(
                    self._store,
                    self._checkpoints,
                    self._archives,
                    tenant,
                    directory=self._directory,
                    closed_before=now - self._retention,
                    now=now,
                    by=f"loopgate {version('loopgate')}",
                )
            except OSError as error:
                raise Unavailable(
                    f"the archive in {self._directory} cannot be kept: {error.strerror or error}"
                ) from error
            total.archived += done.archived
            total.left += done.left
            total.findings += done.findings
        return total
