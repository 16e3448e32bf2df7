"""Archiving: what closed long ago leaves the store for the archive's directory, while a worker runs."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import structlog

from gateway.auditing.archive import Round, archive_closed
from gateway.auditing.checkpoints import seal_tenant
from gateway.auditing.ports import Archives, Checkpoints
from gateway.jobs.ports import Leases
from loops.errors import LoopgateError
from loops.ports import Clock, Store

log = structlog.stdlib.get_logger()

#: How long the chore stays with a worker that died; renewed before each tenant.
LEASE = timedelta(minutes=10)


class Archivist:
    """Archives what of *tenants* closed longer than *retention* ago, once every while, as one process at a time."""

    def __init__(
        self,
        holder: str,
        tenants: Sequence[str],
        store: Store,
        checkpoints: Checkpoints,
        archives: Archives,
        leases: Leases,
        clock: Clock,
        *,
        directory: Path,
        retention: timedelta,
        every: timedelta,
    ) -> None:
        self._holder = holder
        self._tenants = tenants
        self._store = store
        self._checkpoints = checkpoints
        self._archives = archives
        self._leases = leases
        self._clock = clock
        self._directory = directory
        self._retention = retention
        self._every = every

    async def run(self) -> None:
        """Archive until cancelled; what is away or full is tried again the next time."""
        while True:
            await asyncio.sleep(self._every.total_seconds())
            try:
                done = await self.once()
            except (LoopgateError, OSError) as error:
                log.warning("archive.failed", error=str(error))
            except Exception:
                log.exception("archive.broke")
            else:
                for finding in done.findings:
                    log.error("archive.refused", instance_id=finding.instance_id, reason=finding.reason)
                if done.archived:
                    log.info("archive.done", archived=done.archived, left=done.left)

    async def once(self) -> Round:
        """Seal what moved and archive what may be, of each tenant, unless another process is at it."""
        total = Round()
        for tenant in self._tenants:
            if not await self._leases.hold("archiving", self._holder, LEASE):
                break
            now = self._clock.now()
            await seal_tenant(self._store, self._checkpoints, tenant, now)
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
            total.archived += done.archived
            total.left += done.left
            total.findings += done.findings
        return total
